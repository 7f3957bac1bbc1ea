import { AsyncLocalStorage } from "node:async_hooks";
import { context, trace as traces, type Context, type Span } from "@opentelemetry/api";
import { runWith } from "../calls/tracing.js";

/** A span of this library that is in progress. */
interface Scope {
  /** The context that was active when it began. */
  outer: Context;
  /** The same with the span. */
  inner: Context;
}

/**
 * Finds the parents of spans. While work runs, its span is in OpenTelemetry's active context, so that spans which others make
 * inside (of HTTP requests, of the host's reranker) are its children. Its own storage makes the spans of this library nest even
 * if no context manager is registered, without which nothing is ever active.
 */
export class SpanContext {
  readonly #scopes = new AsyncLocalStorage<Scope>();

  /** The context of a span that begins now. */
  get current(): Context {
    const active = context.active();
    const scope = this.#scopes.getStore();
    // A span that was made inside the scope, by the host, is in the active context only.
    return active === scope?.outer ? scope.inner : active;
  }

  /** The span that is in progress here. */
  get currentSpan(): Span | undefined {
    return traces.getSpan(this.current);
  }

  /** Ends all scopes. Until the next one promises cost what they did before the first. */
  end(): void {
    this.#scopes.disable();
  }

  /** Makes a span the parent of what the work of a trace does. */
  enter(trace: object, span: Span): void {
    const outer = context.active();
    const scope = { outer, inner: traces.setSpan(this.current, span) };
    runWith(trace, (work) => this.#scopes.run(scope, () => context.with(scope.inner, work)));
  }
}
