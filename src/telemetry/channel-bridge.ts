import { subscribe, unsubscribe, type TracingChannel } from "node:diagnostics_channel";
import { SpanStatusCode, type Attributes, type Span, type SpanKind, type Tracer } from "@opentelemetry/api";
import type { FailureTrace } from "../calls/tracing.js";
import { failureAttributes } from "./attributes.js";
import type { SpanContext } from "./span-context.js";

/** What a channel publishes becomes spans and measurements by these functions. */
export interface Translation<Traced> {
  /** The span of work that begins; left out for work without a span. */
  span?: ((trace: Traced) => { name: string; kind: SpanKind; attributes: Attributes }) | undefined;
  /** What the span gets at its end. */
  result: (trace: Traced) => Attributes;
  /** Measures work that has ended. */
  measure: (trace: Traced, seconds: number) => void;
}

/** Work in progress. */
interface Started {
  span: Span | undefined;
  /** On the clock of `performance.now()`. */
  at: number;
}

/**
 * Makes spans and measurements of what a channel publishes.
 *
 * @returns a function that stops it; work in progress then is still recorded
 */
export function bridgeChannel<Traced extends { error?: FailureTrace | undefined }>(
  { start, asyncEnd }: Pick<TracingChannel<unknown, Traced>, "start" | "asyncEnd">,
  { tracer, spanContext }: { tracer: Tracer; spanContext: SpanContext },
  { span: describe, result, measure }: Translation<Traced>,
): () => void {
  const inProgress = new Map<unknown, Started>();
  let isStopped = false;
  const begin = (message: unknown): void => {
    const trace = message as Traced;
    let span: Span | undefined;
    if (describe) {
      const { name, ...options } = describe(trace);
      span = tracer.startSpan(name, options, spanContext.current);
      spanContext.enter(trace, span);
    }
    inProgress.set(trace, { span, at: performance.now() });
  };
  const end = (message: unknown): void => {
    const trace = message as Traced;
    const started = inProgress.get(trace);
    if (!started) return;
    inProgress.delete(trace);
    if (started.span) endSpan(started.span, trace.error, result(trace));
    measure(trace, (performance.now() - started.at) / 1000);
    stopIfDone();
  };
  const stopIfDone = (): void => {
    if (isStopped && inProgress.size === 0) unsubscribe(asyncEnd.name, end);
  };
  subscribe(start.name, begin);
  subscribe(asyncEnd.name, end);
  return () => {
    isStopped = true;
    unsubscribe(start.name, begin);
    stopIfDone();
  };
}

function endSpan(span: Span, failure: FailureTrace | undefined, attributes: Attributes): void {
  span.setAttributes({ ...attributes, ...failureAttributes(failure) });
  if (failure) span.setStatus({ code: SpanStatusCode.ERROR, message: failure.message ?? failure.name });
  span.end();
}
