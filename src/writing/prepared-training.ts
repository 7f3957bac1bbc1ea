import { checkClient } from "../calls/host-database.js";
import { COMMIT_OPTIONS, type CommitOptions } from "./write-options.js";
import { checkCall } from "../calls/call-options.js";
import type { PreparedBatch } from "./prepared-batch.js";
import type { TransactionClient } from "../calls/orm-transactions.js";
import { withTimeLimit } from "../calls/time-limit.js";
import { withToken, type WriteTokens } from "../standby/write-tokens.js";
import type { UpsertResult } from "../types.js";
import { countUpserts, traceWrite } from "./write-trace.js";

/** A new version of a training with all its vectors, ready to replace the stored one. Made by `prepareTraining`. */
export class PreparedTraining {
  readonly #batch: PreparedBatch;
  readonly #signal: AbortSignal | undefined;
  readonly #tokens: WriteTokens;

  /** @param signal - the signal of the preparation, which also ends the commit */
  constructor(batch: PreparedBatch, signal: AbortSignal | undefined, tokens: WriteTokens) {
    this.#batch = batch;
    this.#signal = signal;
    this.#tokens = tokens;
  }

  /**
   * Replaces the stored version. Without `client` it does so in its own transaction, and embeds again if another call
   * changed the training since the preparation. With `client` it joins the host's transaction and commits or rolls back
   * with it; it then calls nothing but Postgres. A repeat changes nothing; after a rollback it stores the version
   * again.
   *
   * @throws {@link InvalidArgumentError} for a `client` that is neither a `pg` client nor an ORM's transaction on `pg`, or that is in
   *   no transaction
   * @throws {@link DatabaseError} `CONFLICT`, retryable, if with `client` another call has removed texts whose vectors
   *   were to be reused: prepare the training again. Without `client`, if that keeps happening
   * @throws {@link DatabaseError} if Postgres fails; `TIMEOUT` after `timeoutMs`
   * @throws {@link AbortError} if the signal, or that of the preparation, fires
   */
  async commit(client?: TransactionClient, options: CommitOptions = {}): Promise<UpsertResult> {
    checkClient(client);
    checkCall(options, COMMIT_OPTIONS, "commit");
    const commit = async (signal: AbortSignal | undefined): Promise<UpsertResult> => {
      const results = await traceWrite(this.#batch.commitStart, () => this.#batch.commit(client, signal), countUpserts);
      return withToken(onlyResult(results), await this.#tokens.afterWrite(client, signal));
    };
    return withTimeLimit(options, commit, this.#signal);
  }
}

/** The result of a batch of one training. */
export function onlyResult([result]: readonly UpsertResult[]): UpsertResult {
  if (!result) throw new Error("a batch of one training has one result");
  return result;
}
