import type { Attributes, Counter, Histogram, Meter } from "@opentelemetry/api";
import type { NoticeCode } from "../calls/notices.js";
import type { EmbeddingTrace, SearchTrace, StatementTrace, UpsertTrace, WriteCounts } from "../calls/tracing.js";
import {
  embeddingAttributes,
  failureAttributes,
  METRICS,
  NOTICE_CODE,
  OUTCOME,
  searchAttributes,
  statementAttributes,
  writeAttributes,
} from "./attributes.js";

/** @see https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/gen-ai-metrics.md */
const MODEL_SECONDS = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
/** Finer at the lower end: most searches take a few milliseconds. */
const SEARCH_SECONDS = [0.0025, 0.005, ...MODEL_SECONDS];
/** @see https://opentelemetry.io/docs/specs/semconv/db/database-metrics/ */
const STATEMENT_SECONDS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10];

/** Outcomes of trainings, and of chunks. */
const TRAINING_OUTCOMES = ["indexed", "unchanged", "superseded", "failed", "deleted", "absent", "pruned"] as const;
const CHUNK_OUTCOMES = ["embedded", "reused", "removed"] as const;

/** The metrics of this library. */
export class Measurements {
  readonly #searches: Histogram;
  readonly #embeddings: Histogram;
  readonly #statements: Histogram;
  readonly #writes: Histogram;
  readonly #trainings: Counter;
  readonly #chunks: Counter;
  readonly #notices: Counter;

  constructor(meter: Meter) {
    const seconds = (name: string, description: string, explicitBucketBoundaries: number[]): Histogram =>
      meter.createHistogram(name, { description, unit: "s", advice: { explicitBucketBoundaries } });
    this.#searches = seconds(METRICS.operationDuration, "Duration of searches.", SEARCH_SECONDS);
    this.#embeddings = seconds(METRICS.embeddingsDuration, "Duration of calls to the embedder.", MODEL_SECONDS);
    this.#statements = seconds(METRICS.statementDuration, "Duration of statements.", STATEMENT_SECONDS);
    this.#writes = seconds(METRICS.writeDuration, "Duration of upserts and deletes.", SEARCH_SECONDS);
    const count = (name: string, description: string, unit: string): Counter =>
      meter.createCounter(name, { description, unit });
    this.#trainings = count(METRICS.trainings, "Trainings by the outcome of their upsert or delete.", "{training}");
    this.#chunks = count(METRICS.chunks, "Chunks that were embedded, that kept their vectors, and removed.", "{chunk}");
    this.#notices = count(METRICS.notices, "Fallbacks.", "{notice}");
  }

  /** A search that has ended. */
  search(search: SearchTrace, seconds: number): void {
    this.#searches.record(seconds, { ...searchAttributes(search), ...errorType(search) });
  }

  /** A call to the embedder that has ended. */
  embedding(call: EmbeddingTrace, seconds: number): void {
    this.#embeddings.record(seconds, { ...embeddingAttributes(call), ...errorType(call) });
  }

  /** A statement that has ended. */
  statement(statement: StatementTrace, seconds: number): void {
    this.#statements.record(seconds, { ...statementAttributes(statement), ...failureAttributes(statement.error) });
  }

  /** A write that has ended. */
  write(write: UpsertTrace, seconds: number): void {
    const attributes = writeAttributes(write);
    this.#writes.record(seconds, { ...attributes, ...errorType(write) });
    if (!write.counts) return;
    this.#count(this.#trainings, TRAINING_OUTCOMES, write.counts, attributes);
    this.#count(this.#chunks, CHUNK_OUTCOMES, write.counts, attributes);
  }

  /** A fallback. */
  notice(code: NoticeCode): void {
    this.#notices.add(1, { [NOTICE_CODE]: code });
  }

  #count(
    counter: Counter,
    outcomes: readonly (keyof WriteCounts)[],
    counts: WriteCounts,
    attributes: Attributes,
  ): void {
    for (const outcome of outcomes) {
      if (counts[outcome] > 0) counter.add(counts[outcome], { ...attributes, [OUTCOME]: outcome });
    }
  }
}

function errorType({ error }: Pick<SearchTrace, "error">): Attributes {
  return error ? { "error.type": error.code ?? error.name } : {};
}
