/**
 * Spans and metrics for OpenTelemetry, with the semantic conventions of generative AI.
 *
 * @module langchain-training-index/telemetry
 */
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { metrics, SpanKind, trace, type MeterProvider, type TracerProvider } from "@opentelemetry/api";
import { checkNames, namesOfProperties } from "../calls/checks.js";
import type { NoticeTrace } from "../calls/notices.js";
import {
  embeddingChannel,
  NOTICE_CHANNEL_NAME,
  searchChannel,
  statementChannel,
  upsertChannel,
  type SearchTrace,
  type StatementTrace,
} from "../calls/tracing.js";
import { InvalidArgumentError } from "../errors.js";
import * as names from "./attributes.js";
import { bridgeChannel } from "./channel-bridge.js";
import { Measurements } from "./measurements.js";
import { SpanContext } from "./span-context.js";

/** Options of {@link instrument}. */
export interface InstrumentOptions {
  /** Makes the tracer. Default: the provider that is registered globally. */
  tracerProvider?: TracerProvider | undefined;
  /** Makes the meter. Default: the provider that is registered globally when `instrument` is called. */
  meterProvider?: MeterProvider | undefined;
  /** Whether spans hold the questions (`gen_ai.retrieval.query.text`). Default `false`: they may be personal. */
  recordQueryText?: boolean | undefined;
  /** Whether spans hold the ids and scores of hits (`gen_ai.retrieval.documents`). Default `false`. */
  recordDocuments?: boolean | undefined;
  /**
   * Whether spans hold the SQL of statements (`db.query.text`), a few thousand characters without values. Default `false`:
   * its name (`db.query.summary`) is also in the comment that Postgres shows.
   */
  recordStatementText?: boolean | undefined;
  /**
   * Whether statements are spans. `false` if `@opentelemetry/instrumentation-pg` makes them already. They are measured in
   * any case. Default `true`.
   */
  statementSpans?: boolean | undefined;
}

const INSTRUMENT_OPTIONS = namesOfProperties<InstrumentOptions>({
  tracerProvider: true,
  meterProvider: true,
  recordQueryText: true,
  recordDocuments: true,
  recordStatementText: true,
  statementSpans: true,
});
const FLAGS = ["recordQueryText", "recordDocuments", "recordStatementText", "statementSpans"] as const;

/** The name of the tracer and the meter. */
const SCOPE = "langchain-training-index";

/**
 * Makes spans and metrics of all that this library does in this process: searches, writes, calls to the embedder,
 * statements, and notices. Call it once, after OpenTelemetry's own set-up. A repeat without stopping the first records
 * everything twice.
 *
 * Spans hold no text of a training or a question, no vector and no connection string, unless an option says so. The names
 * are those of the semantic conventions, whose generative-AI part is still in development: they may change with a minor
 * version of this library.
 *
 * @example
 * ```ts
 * import { instrument } from "langchain-training-index/telemetry";
 *
 * const stop = instrument({ recordQueryText: true });
 * ```
 * @returns a function that stops it; work in progress then is still recorded
 * @throws `InvalidArgumentError` for an invalid or unknown option
 */
export function instrument(options: InstrumentOptions = {}): () => void {
  checkInstrument(options);
  const { tracerProvider = trace, meterProvider = metrics } = options;
  const spanContext = new SpanContext();
  const bridge = { tracer: tracerProvider.getTracer(SCOPE), spanContext };
  const measurements = new Measurements(meterProvider.getMeter(SCOPE));
  const stops = [
    bridgeChannel(searchChannel, bridge, {
      span: (search) => ({
        name: `retrieval ${search.schema}`,
        kind: SpanKind.CLIENT,
        attributes: {
          ...names.searchAttributes(search),
          ...names.searchSpanAttributes(search),
          ...(options.recordQueryText ? { [names.QUERY_TEXT]: search.queryText() } : {}),
        },
      }),
      result: (search) => ({
        ...names.searchResultAttributes(search),
        ...(options.recordDocuments ? documentsOf(search) : {}),
      }),
      measure: (search, seconds) => {
        measurements.search(search, seconds);
      },
    }),
    bridgeChannel(upsertChannel, bridge, {
      span: (write) => ({
        name: `${write.operation} ${write.schema}`,
        kind: SpanKind.INTERNAL,
        attributes: { ...names.writeAttributes(write), ...names.writeSpanAttributes(write) },
      }),
      result: names.writeResultAttributes,
      measure: (write, seconds) => {
        measurements.write(write, seconds);
      },
    }),
    bridgeChannel(embeddingChannel, bridge, {
      span: (call) => ({
        name: `embeddings ${call.model}`,
        kind: SpanKind.CLIENT,
        attributes: { ...names.embeddingAttributes(call), ...names.embeddingSpanAttributes(call) },
      }),
      result: () => ({}),
      measure: (call, seconds) => {
        measurements.embedding(call, seconds);
      },
    }),
    bridgeChannel(statementChannel, bridge, {
      span: options.statementSpans === false ? undefined : (statement) => statementSpan(statement, options),
      result: names.statementResultAttributes,
      measure: (statement, seconds) => {
        measurements.statement(statement, seconds);
      },
    }),
    bridgeNotices(spanContext, measurements),
  ];
  return () => {
    for (const stop of stops) stop();
    spanContext.end();
  };
}

function statementSpan(
  statement: StatementTrace,
  { recordStatementText }: InstrumentOptions,
): { name: string; kind: SpanKind; attributes: ReturnType<typeof names.statementAttributes> } {
  const { name, text } = statement;
  const attributes = names.statementAttributes(statement);
  if (recordStatementText) attributes[names.STATEMENT_TEXT] = text;
  return { name, kind: SpanKind.CLIENT, attributes };
}

function documentsOf({ hits }: SearchTrace): Record<string, string> {
  return hits ? { [names.DOCUMENTS]: JSON.stringify(hits) } : {};
}

/** A notice is counted, and is an event of the span in whose work it occurred. */
function bridgeNotices(spanContext: SpanContext, measurements: Measurements): () => void {
  const record = (published: unknown): void => {
    const { code, message } = published as NoticeTrace;
    measurements.notice(code);
    spanContext.currentSpan?.addEvent(names.NOTICE_EVENT, {
      [names.NOTICE_CODE]: code,
      [names.NOTICE_MESSAGE]: message,
    });
  };
  subscribe(NOTICE_CHANNEL_NAME, record);
  return () => {
    unsubscribe(NOTICE_CHANNEL_NAME, record);
  };
}

/** @throws {@link InvalidArgumentError} */
function checkInstrument(options: InstrumentOptions): void {
  checkNames(options, INSTRUMENT_OPTIONS, "instrument");
  for (const flag of FLAGS) {
    const given: unknown = options[flag];
    if (given !== undefined && typeof given !== "boolean") {
      throw new InvalidArgumentError(flag, "must be true or false");
    }
  }
  checkProvider("tracerProvider", options.tracerProvider, "getTracer");
  checkProvider("meterProvider", options.meterProvider, "getMeter");
}

function checkProvider(option: string, given: unknown, method: string): void {
  if (given === undefined) return;
  if (typeof (given as Record<string, unknown> | null)?.[method] === "function") return;
  throw new InvalidArgumentError(option, `must be a provider of OpenTelemetry, with the method ${method}`);
}
