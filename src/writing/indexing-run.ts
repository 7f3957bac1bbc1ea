import { InvalidArgumentError } from "../errors.js";
import { laterToken } from "../standby/token.js";
import { withToken } from "../standby/write-tokens.js";
import type { FailedUpsert, RunProgress, RunSummary, UpsertResult } from "../types.js";

/** Failures that a summary lists; it counts all of them. */
const MAX_LISTED_FAILURES = 100;

/** Whether a run ends or continues if a training cannot be indexed. */
export type OnFailure = "throw" | "continue";

/** The type of the results that a run yields. */
export type ResultOf<Chosen extends OnFailure> = "continue" extends Chosen ? UpsertResult | FailedUpsert : UpsertResult;

/**
 * A run over many trainings, used in one of two ways: `for await` yields the result of each training in order, `await`
 * indexes all of them and returns a summary, which lists the first 100 failures. The run is lazy: it starts with the
 * first use, which also decides between the two.
 *
 * Awaiting a run twice runs it once. Iterating a run after awaiting it, or the reverse, throws
 * {@link InvalidArgumentError}.
 */
export class IndexingRun<Result extends UpsertResult | FailedUpsert = UpsertResult>
  implements AsyncGenerator<Result, void, undefined>, Promise<RunSummary>
{
  readonly [Symbol.toStringTag] = "IndexingRun";
  readonly #begin: () => AsyncGenerator<Result, void, undefined>;
  #results: AsyncGenerator<Result, void, undefined> | undefined;
  #summary: Promise<RunSummary> | undefined;

  /**
   * @param begin - starts the work; called at the first use
   * @param onProgress - called after each training
   */
  constructor(begin: () => AsyncGenerator<Result, void, undefined>, onProgress?: (progress: RunProgress) => void) {
    this.#begin = onProgress ? () => reportProgress(begin(), onProgress) : begin;
  }

  /** @throws {@link InvalidArgumentError} if the run has been awaited */
  [Symbol.asyncIterator](): this {
    this.#iterate();
    return this;
  }

  /** Resolves to the next result. */
  async next(): Promise<IteratorResult<Result, void>> {
    return this.#iterate().next();
  }

  /** Ends the run and stops the batches in progress. */
  async return(): Promise<IteratorResult<Result, void>> {
    return this.#iterate().return();
  }

  /** Ends the run with an error. */
  async throw(error: unknown): Promise<IteratorResult<Result, void>> {
    return this.#iterate().throw(error);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#summary) await this.return();
  }

  /** Indexes all trainings. Rejects with the error that iteration would throw. */
  then<Fulfilled = RunSummary, Rejected = never>(
    onFulfilled?: ((summary: RunSummary) => Fulfilled | PromiseLike<Fulfilled>) | null,
    onRejected?: ((reason: unknown) => Rejected | PromiseLike<Rejected>) | null,
  ): Promise<Fulfilled | Rejected> {
    return this.#await().then(onFulfilled, onRejected);
  }

  /** Indexes all trainings, like {@link then}. */
  catch<Rejected = never>(
    onRejected?: ((reason: unknown) => Rejected | PromiseLike<Rejected>) | null,
  ): Promise<RunSummary | Rejected> {
    return this.#await().catch(onRejected);
  }

  /** Indexes all trainings, like {@link then}. */
  finally(onFinally?: (() => void) | null): Promise<RunSummary> {
    return this.#await().finally(onFinally);
  }

  #iterate(): AsyncGenerator<Result, void, undefined> {
    if (this.#summary)
      throw new InvalidArgumentError("run", "has already been awaited: start another run to iterate it");
    return (this.#results ??= this.#begin());
  }

  #await(): Promise<RunSummary> {
    if (this.#results) {
      const problem = "is already being iterated: start another run to await it";
      return Promise.reject(new InvalidArgumentError("run", problem));
    }
    return (this.#summary ??= summarize(this.#begin()));
  }
}

async function summarize(results: AsyncIterable<UpsertResult | FailedUpsert>): Promise<RunSummary> {
  const summary: RunSummary = { indexed: 0, unchanged: 0, superseded: 0, failed: { count: 0, first: [] } };
  let token: string | undefined;
  for await (const result of results) {
    if (result.status !== "failed") {
      summary[result.status] += 1;
      token = laterToken(token, result.token);
      continue;
    }
    const { id, error } = result;
    summary.failed.count += 1;
    if (summary.failed.first.length < MAX_LISTED_FAILURES) summary.failed.first.push({ id, error });
  }
  return withToken(summary, token);
}

async function* reportProgress<Result extends UpsertResult | FailedUpsert>(
  results: AsyncGenerator<Result, void, undefined>,
  onProgress: (progress: RunProgress) => void,
): AsyncGenerator<Result, void, undefined> {
  const progress = { trainings: 0, failed: 0, embedded: 0, reused: 0, total: 0 };
  for await (const result of results) {
    progress.trainings += 1;
    if (result.status === "failed") progress.failed += 1;
    else {
      progress.embedded += result.embedded;
      progress.reused += result.reused;
      progress.total += result.chunks;
    }
    onProgress({ ...progress });
    yield result;
  }
}
