/**
 * The tracing channels of `node:diagnostics_channel` on which the library publishes what it does, for any tool that
 * subscribes. Channels are found by their names, so a subscriber hears every loaded copy of this library.
 *
 * @see https://nodejs.org/api/diagnostics_channel.html#class-tracingchannel
 */
import { tracingChannel, type TracingChannel } from "node:diagnostics_channel";
import { DatabaseError, TrainingIndexError } from "../errors.js";
import type { SearchMode, SearchStrategy } from "../hit-types.js";
import type { TrainingId } from "../types.js";

/** The prefix of the names of all channels. */
const PREFIX = "langchain-training-index:";

/** The names of the tracing channels, as `tracingChannel()` takes them. */
export const CHANNEL_NAMES = {
  search: `${PREFIX}search`,
  upsert: `${PREFIX}upsert`,
  embedding: `${PREFIX}embedding`,
  statement: `${PREFIX}statement`,
} as const;

/** The name of the channel on which every notice is published. */
export const NOTICE_CHANNEL_NAME = `${PREFIX}notice`;

/** A failure as subscribers see it: it holds no text of a training or a question. */
export interface FailureTrace {
  /** The class of the error: `DatabaseError`. */
  name: string;
  /** The code of an error of this library, or the SQLSTATE of Postgres; `undefined` if there is none. */
  code?: string | undefined;
  /** The message of an error of this library. Those of other errors may hold texts, and are left out. */
  message?: string | undefined;
  /** The SQLSTATE of Postgres, if an error of this library has one. */
  sqlState?: string | undefined;
  /** Whether a retry can help, of an error of this library. */
  retryable?: boolean | undefined;
}

/** What every trace has. */
interface Trace {
  /** Set if the work failed. */
  error?: FailureTrace | undefined;
}

/** A hit as subscribers see it: without its text. */
export interface HitTrace {
  /** The id of the chunk, or with strategy `trainings` of the training. */
  id: string;
  score: number;
}

/** What is published about one search, on the channel `langchain-training-index:search`. */
export interface SearchTrace extends Trace {
  readonly schema: string;
  /** The embedding model of the index. */
  readonly model: string;
  readonly mode: SearchMode;
  readonly strategy: SearchStrategy;
  /** The highest number of hits. */
  readonly k: number;
  /** Whether a filter of the call or of the index applies. */
  readonly filtered: boolean;
  /** Whether the hits are reranked. */
  readonly reranked: boolean;
  /** Set when the search has succeeded: the hits, best first. */
  hits?: readonly HitTrace[] | undefined;
  /**
   * Returns the question, or `undefined` if the search was for a vector. A method, so that nothing that prints or stores the
   * trace reveals the question by accident.
   */
  queryText(): string | undefined;
}

/** What a write did, in numbers. Those that do not apply are 0. */
export interface WriteCounts {
  indexed: number;
  unchanged: number;
  superseded: number;
  failed: number;
  deleted: number;
  /** Trainings to delete that were not there. */
  absent: number;
  /** Tombstones that were removed. */
  pruned: number;
  /** Chunks whose texts were embedded. */
  embedded: number;
  /** Chunks that kept their vectors. */
  reused: number;
  /** Chunks that were removed. */
  removed: number;
}

/** A kind of write. `prepare` and `commit` are the two halves of an upsert by `prepareTraining`. */
export type WriteOperation = "upsert" | "prepare" | "commit" | "delete" | "prune";

/**
 * What is published about one write, on the channel `langchain-training-index:upsert`. Calls for many trainings publish one
 * for each batch.
 */
export interface UpsertTrace extends Trace {
  readonly operation: WriteOperation;
  readonly schema: string;
  /** The ids of the trainings that the call was given; empty for deletes by filter and for `prune`. */
  readonly ids: readonly TrainingId[];
  /** Set when the write has succeeded. */
  counts?: WriteCounts | undefined;
}

/** What is published about one call of the embedder, retries included, on the channel `langchain-training-index:embedding`. */
export interface EmbeddingTrace extends Trace {
  readonly purpose: "query" | "documents";
  readonly model: string;
  readonly dimensions: number;
  /** The name of the embedder's class: `OpenAIEmbeddings`. */
  readonly embedder: string;
  /** The number of texts. */
  readonly texts: number;
  /** Their length without prefixes, in UTF-16 code units. */
  readonly characters: number;
}

/** What is published about one statement, on the channel `langchain-training-index:statement`. */
export interface StatementTrace extends Trace {
  /** The name in the comment of the statement; `begin`, `commit`, `savepoint` and so on for statements without one. */
  readonly name: string;
  /** The SQL. It holds names of tables and numbers, but no values: those are bound. */
  readonly text: string;
  /** The number of returned or changed rows, set when the statement has succeeded. */
  rows?: number | undefined;
}

type TraceChannel<Traced> = TracingChannel<unknown, Traced & object>;

// Kept for the life of the process: Node drops a channel that nothing refers to, with its subscribers.
/** The channel of searches. */
export const searchChannel = tracingChannel(CHANNEL_NAMES.search) as TraceChannel<SearchTrace>;
/** The channel of upserts and deletes. */
export const upsertChannel = tracingChannel(CHANNEL_NAMES.upsert) as TraceChannel<UpsertTrace>;
/** The channel of calls to the embedder. */
export const embeddingChannel = tracingChannel(CHANNEL_NAMES.embedding) as TraceChannel<EmbeddingTrace>;
/** The channel of statements. */
export const statementChannel = tracingChannel(CHANNEL_NAMES.statement) as TraceChannel<StatementTrace>;

/**
 * Does work, and publishes it on a channel. Without a subscriber it only calls `work`.
 *
 * @param begin - makes the trace
 * @param succeed - adds the result to the trace
 */
export function traced<Traced extends Trace, Result>(
  channel: TraceChannel<Traced>,
  begin: () => Traced,
  work: () => Promise<Result>,
  succeed?: (trace: Traced, result: Result) => void,
): Promise<Result> {
  return hasSubscribers(channel) ? publish(channel, begin(), work, succeed) : work();
}

/** `TracingChannel.hasSubscribers` exists since Node 20.13 only. */
function hasSubscribers<Traced>({ start, end, asyncStart, asyncEnd, error }: TraceChannel<Traced>): boolean {
  return [start, end, asyncStart, asyncEnd, error].some((channel) => channel.hasSubscribers);
}

/** Publishes what `tracePromise` does, except result and error: they may hold texts. */
function publish<Traced extends Trace, Result>(
  channel: TraceChannel<Traced>,
  trace: Traced,
  work: () => Promise<Result>,
  succeed: ((trace: Traced, result: Result) => void) | undefined,
): Promise<Result> {
  return channel.start.runStores(trace, async () => {
    // In an async function, so that `end` is published also if `work` throws before its first await.
    const working = runnerOf(trace)(async () => work());
    channel.end.publish(trace);
    try {
      const result = await working;
      succeed?.(trace, result);
      return result;
    } catch (error) {
      trace.error = describeFailure(error);
      channel.error.publish(trace);
      throw error;
    } finally {
      channel.asyncStart.publish(trace);
      channel.asyncEnd.publish(trace);
    }
  });
}

/** Calls the function that it is given, and returns what that returns. */
export type Runner = <Result>(work: () => Result) => Result;

const RUNNER = Symbol.for("langchain-training-index.runner");

/**
 * Makes a function run the work of a trace, for a subscriber of `start` that has to make a context active while the work
 * runs. `bindStore` of the channel cannot: it wants the `AsyncLocalStorage` itself, which OpenTelemetry hides.
 *
 * @see https://github.com/open-telemetry/opentelemetry-js/issues/6088
 */
export function runWith(trace: object, run: Runner): void {
  const outer = runnerOf(trace);
  const value: Runner = (work) => outer(() => run(work));
  Object.defineProperty(trace, RUNNER, { value, configurable: true });
}

function runnerOf(trace: object): Runner {
  const { [RUNNER]: run } = trace as { [RUNNER]?: Runner };
  return run ?? ((work) => work());
}

/** The parts of an error that hold no texts. */
export function describeFailure(error: unknown): FailureTrace {
  if (TrainingIndexError.is(error)) {
    const { name, code, message, retryable } = error;
    const sqlState = DatabaseError.is(error) ? error.sqlState : undefined;
    return { name, code, message, retryable, ...(sqlState === undefined ? {} : { sqlState }) };
  }
  const { name, code } = (typeof error === "object" && error !== null ? error : {}) as Record<string, unknown>;
  return {
    name: typeof name === "string" && IDENTIFIER.test(name) ? name : "Error",
    ...(typeof code === "string" && IDENTIFIER.test(code) ? { code } : {}),
  };
}

const IDENTIFIER = /^\w{1,40}$/;
