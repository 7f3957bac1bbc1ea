import type { TransactionClient } from "../calls/orm-transactions.js";
import type { BoundedPool } from "../postgres/bounded-database.js";
import type { Model, Models } from "../models/models.js";
import type { KnownSchema } from "../schema/known-schema.js";
import type { SwapConnection } from "../storing/swap.js";
import { claimedTarget, type ClaimedTarget, type WriteTarget } from "../storing/write-target.js";
import type { WriteTokens } from "../standby/write-tokens.js";
import type { IndexingProgress } from "../types.js";
import type { OfferedWords } from "../words/offered-words.js";
import type { BatchItem } from "./batch-item.js";

/** Dependencies of a `PreparedBatch`. */
export interface BatchParts {
  pool: BoundedPool;
  /** Uses the same pool. */
  connection: SwapConnection & { knownSchema: Pick<KnownSchema, "latest" | "look" | "forget"> };
  target: WriteTarget;
  models: Models;
  offeredWords: OfferedWords;
  tokens: WriteTokens;
}

/** The model and the tables that a batch is prepared for. */
export interface BatchModel {
  model: Model;
  profileId: number;
  target: ClaimedTarget;
}

/** The model that is in use now, as far as this process knows. */
export function currentModel({ connection, target, models }: Omit<BatchParts, "pool" | "offeredWords">): BatchModel {
  const { latest } = connection.knownSchema;
  const model = models.of(latest);
  const { profileId } = latest.layout;
  return { model, profileId, target: claimedTarget(target, profileId, model.claim) };
}

/** Options of `PreparedBatch` and of its preparation. */
export interface PrepareOptions {
  signal?: AbortSignal | undefined;
  /** Reads go through this client of the host's. */
  client?: TransactionClient | undefined;
  onProgress?: ((progress: IndexingProgress) => void) | undefined;
  /** The model of vectors that the caller gives with the trainings: if another one is in use, the call ends with `PROFILE_RETIRED`. */
  maker?: Model | undefined;
  /** The ticket of a call that prepares many batches. Default: a ticket for each training, taken now. */
  ticket?: string | undefined;
  /**
   * Trainings that are stored again even if they are unchanged, by key, each with the ids of its damaged chunks, whose
   * vectors are not used.
   */
  damaged?: ReadonlyMap<string, ReadonlySet<string>> | undefined;
}

/** How a batch is planned. */
export interface BatchPlan {
  /** The model that its items were planned for. */
  planned: BatchModel;
  /** Plans an item for another model, if the index is switched meanwhile. Without it the batch ends with `PROFILE_RETIRED`. */
  replan?: ((item: BatchItem, model: Model) => Promise<void>) | undefined;
}
