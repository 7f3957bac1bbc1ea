import { checkClient } from "./options.js";
import type { PreparedBatch } from "./prepared-batch.js";
import type { Queryable } from "./store/database.js";
import type { UpsertResult } from "./types.js";

/** A version of a training with its vectors made, ready to take the place of the stored one. */
export class PreparedTraining {
  readonly #batch: PreparedBatch;

  constructor(batch: PreparedBatch) {
    this.#batch = batch;
  }

  /**
   * Swaps the versions: in a transaction of its own, or in the one that `client` is in, with which it then stands
   * or falls. Makes no network call but to Postgres. A repeat changes nothing; after a rollback it does its work.
   *
   * @throws {@link InvalidArgumentError} for a client that has no `query`
   * @throws {@link DatabaseError} `CONFLICT`, which is retryable, when with a `client` the texts that were to keep
   * their vectors are gone by now: prepare again. Without one this is done here.
   * @throws {@link DatabaseError} when Postgres fails, or the client is in no transaction
   */
  async commit(client?: Queryable): Promise<UpsertResult> {
    checkClient(client);
    const [result] = await this.#batch.commit(client);
    if (!result) throw new Error("a batch of one training has one result");
    return result;
  }
}
