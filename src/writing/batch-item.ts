import type { ChunkPlan, PlannedChunk } from "../chunking/chunk-plan.js";
import { InvalidArgumentError } from "../errors.js";
import type { PlannedTraining, StoredChunk, StoredVersion } from "../storing/chunk-difference.js";
import type { StoredState } from "../storing/stored-versions.js";
import { supersededBy, type SwapOutcome, type UnchangedTraining } from "../storing/swap.js";
import type { NormalizedTraining } from "../chunking/training-input.js";
import type { UpsertResult } from "../types.js";
import { ID_TAKEN } from "./scope.js";

/** One training of a batch that is being prepared. */
export class BatchItem {
  readonly training: NormalizedTraining;
  readonly ticket: string;
  /** From a fresh split, or planned around an edit. */
  chunks: readonly PlannedChunk[];
  /** Number of its texts that were embedded. */
  embedded = 0;
  #plan: ChunkPlan;
  #splitter: string;
  #state: StoredState | undefined;
  /** Undefined until its chunks are read. */
  #stored: StoredVersion | undefined;
  #storedHashes: ReadonlySet<string> = new Set();
  #mustRewrite = false;
  /** Ids of stored chunks whose vectors are not used. */
  #damagedChunks: ReadonlySet<string> = new Set();

  constructor(training: NormalizedTraining, plan: ChunkPlan, splitter: string, state: StoredState | undefined) {
    this.training = training;
    this.ticket = state?.ticket ?? "0";
    this.chunks = plan.chunks;
    this.#plan = plan;
    this.#splitter = splitter;
    this.observe(state);
  }

  /** Replaces the plan by one for another model. What is stored has to be observed again. */
  replan(plan: ChunkPlan, splitter: string): void {
    this.#plan = plan;
    this.#splitter = splitter;
    this.#damagedChunks = new Set();
  }

  /**
   * Records what is stored now, and discards what was planned from an earlier state.
   *
   * @throws {@link InvalidArgumentError} if the id belongs to a training outside the filter of the index
   */
  observe(state: StoredState | undefined): void {
    if (state?.in_scope === "false") {
      throw new InvalidArgumentError("training.id", ID_TAKEN);
    }
    this.#state = state;
    this.chunks = this.#plan.chunks;
    this.#stored = undefined;
    this.#storedHashes = new Set();
  }

  /**
   * Records the stored chunks, which were read after the state of the training. If another call stored a version in between,
   * the fence does not admit this one, and it is prepared again.
   */
  observeChunks(given: readonly StoredChunk[]): void {
    const distrusted = new Set(given.filter(({ id }) => this.#damagedChunks.has(id)).map(({ hash }) => hash));
    // No text has an empty hash. All rows with the hash, because a row can be copied from any other with the same hash.
    const chunks = given.map((chunk) => (distrusted.has(chunk.hash) ? { ...chunk, hash: "" } : chunk));
    const contentTicket = this.#state?.content_ticket;
    this.#stored = contentTicket == null ? undefined : { contentTicket, chunks };
    this.#storedHashes = new Set(chunks.map(({ hash }) => hash));
  }

  /** Whether a stored chunk has a vector for the text with this hash. */
  hasStored(hash: string): boolean {
    return this.#storedHashes.has(hash);
  }

  /** Its chunks whose texts no stored chunk has. */
  get newChunks(): PlannedChunk[] {
    return this.chunks.filter(({ hash }) => !this.hasStored(hash));
  }

  /** The outcome if a newer version is stored: then there is nothing to do. */
  get superseded(): SwapOutcome | undefined {
    const reason = this.#state?.superseded_by ?? undefined;
    return reason && supersededBy(reason);
  }

  /** Whether an earlier version is stored. */
  get hasStoredVersion(): boolean {
    return this.#state?.content_ticket != null;
  }

  /**
   * Never reports `unchanged` again. Called if another call changed the training after this one found it unchanged:
   * with many concurrent duplicates the item could otherwise alternate between unchanged and changed forever.
   */
  forceRewrite(): void {
    this.#mustRewrite = true;
  }

  /**
   * Stores the training again even if it seems unchanged: its rows are damaged.
   *
   * @param damagedChunks - ids of chunks that are embedded again
   */
  distrust(damagedChunks: ReadonlySet<string>): void {
    this.#mustRewrite = true;
    this.#damagedChunks = damagedChunks;
  }

  /** Set if the stored version equals the given one: the input of `touch`, which records this call on it. */
  get unchanged(): UnchangedTraining | undefined {
    if (this.#mustRewrite) return undefined;
    const { key, revision } = this.training;
    const state = this.#state;
    const unchangedSince = state?.content_ticket;
    // If someone deleted chunk rows by hand, the stored version is not whole and must be repaired.
    const isWhole = state?.stored_chunks === state?.chunks;
    const same = unchangedSince != null && isWhole && state?.fingerprint === this.#plan.fingerprint;
    return same ? { key, revision, ticket: this.ticket, unchangedSince } : undefined;
  }

  /** The version to store. */
  get planned(): PlannedTraining {
    const { key, revision, metadata } = this.training;
    const { fingerprint } = this.#plan;
    const { ticket, chunks } = this;
    const splitter = this.#splitter;
    const stored = this.hasStoredVersion ? this.#stored : null;
    return { key, revision, metadata, ticket, fingerprint, splitter, chunks, stored };
  }

  /** The result that the caller gets. */
  result({ status, removed, reason }: SwapOutcome): UpsertResult {
    // The stored chunks can differ from a fresh split: planned around an edit, or cut further for the model.
    const chunks = status === "unchanged" ? Number(this.#state?.chunks ?? 0) : this.chunks.length;
    const { embedded } = this;
    // `embedded` includes texts that were embedded for a plan that became stale, so it can exceed `chunks`.
    const reused = status === "superseded" ? 0 : Math.max(chunks - embedded, 0);
    const result = { id: this.training.id, status, chunks, embedded, reused, removed };
    return reason === undefined ? result : { ...result, reason };
  }
}
