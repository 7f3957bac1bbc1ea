import { checkClient } from "../calls/host-database.js";
import { COMMIT_OPTIONS } from "./write-options.js";
import type { CommitOptions } from "./write-options.js";
import { checkCall } from "../calls/call-options.js";
import type { PreparedBatch } from "./prepared-batch.js";
import type { Queryable } from "../postgres/database.js";
import { withTimeLimit } from "../calls/time-limit.js";
import type { UpsertResult } from "../types.js";

/** A version of a training with its vectors made, ready to take the place of the stored one. */
export class PreparedTraining {
  readonly #batch: PreparedBatch;
  readonly #signal: AbortSignal | undefined;

  /** @param signal - of the preparation */
  constructor(batch: PreparedBatch, signal: AbortSignal | undefined) {
    this.#batch = batch;
    this.#signal = signal;
  }

  /**
   * Swaps the versions: in a transaction of its own, or in the one that `client` is in, with which it then stands
   * or falls. Makes no network call but to Postgres. A repeat changes nothing; after a rollback it does its work.
   *
   * @throws {@link InvalidArgumentError} for a client that is none of `pg`, or that is in no transaction
   * @throws {@link DatabaseError} `CONFLICT`, which is retryable, when with a `client` the texts that were to keep
   * their vectors are gone by now: prepare again. Without one this is done here.
   * @throws {@link DatabaseError} when Postgres fails; `TIMEOUT` when the time is over
   * @throws {@link AbortError} when the signal fires, or that of the preparation
   */
  async commit(client?: Queryable, options: CommitOptions = {}): Promise<UpsertResult> {
    checkClient(client);
    checkCall(options, COMMIT_OPTIONS, "commit");
    const commit = (signal: AbortSignal | undefined): Promise<UpsertResult[]> =>
      this.#batch.commit(client, signal);
    return onlyResult(await withTimeLimit(options, commit, this.#signal));
  }
}

/** Of a batch of one training. */
export function onlyResult([result]: readonly UpsertResult[]): UpsertResult {
  if (!result) throw new Error("a batch of one training has one result");
  return result;
}
