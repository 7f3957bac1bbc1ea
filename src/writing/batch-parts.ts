import type { Chunker } from "../chunking/chunker.js";
import type { Embedder } from "../embedding/embedder.js";

import type { BoundedPool } from "../postgres/bounded-database.js";
import type { Queryable } from "../postgres/database.js";
import type { SwapConnection } from "../storing/swap.js";

import type { WriteTarget } from "../storing/write-target.js";

import type { WriteTokens } from "../standby/write-tokens.js";
import type { IndexingProgress } from "../types.js";
import type { OfferedWords } from "../words/offered-words.js";

/** Dependencies of a `PreparedBatch`. */
export interface BatchParts {
  pool: BoundedPool;
  /** Uses the same pool. */
  connection: SwapConnection;
  target: WriteTarget;
  embedder: Embedder;
  chunker: Chunker;
  offeredWords: OfferedWords;
  tokens: WriteTokens;
}

/** Options of `PreparedBatch` and of its preparation. */
export interface PrepareOptions {
  signal?: AbortSignal | undefined;
  /** Reads go through this client of the host's. */
  client?: Queryable | undefined;
  onProgress?: ((progress: IndexingProgress) => void) | undefined;
  /** The ticket of a call that prepares many batches. Default: a ticket for each training, taken now. */
  ticket?: string | undefined;
  /**
   * Trainings that are stored again even if they are unchanged, by key, each with the ids of its damaged chunks, whose
   * vectors are not used.
   */
  damaged?: ReadonlyMap<string, ReadonlySet<string>> | undefined;
}
