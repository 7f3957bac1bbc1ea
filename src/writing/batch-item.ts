import type { ChunkPlan } from "../chunking/chunk-plan.js";
import { InvalidArgumentError } from "../errors.js";
import type { PlannedTraining, StoredChunk, StoredVersion } from "../storing/chunk-difference.js";
import type { PlannedChunk } from "../chunking/chunk-plan.js";
import { supersededBy, type SwapOutcome, type UnchangedTraining } from "../storing/swap.js";
import type { NormalizedTraining } from "../chunking/training-input.js";
import type { SupersededReason, UpsertResult } from "../types.js";

/** What is stored of a training while it is being prepared; all in text. */
export interface StoredState {
  /** The call's own; there when it was just taken. */
  ticket?: string;
  /** With a ticket that was just taken: the highest that was stored before. */
  newest?: string | null;
  /** The ticket of the call whose chunks stand; `null` when none do. */
  content_ticket: string | null;
  superseded_by: SupersededReason | null;
  in_scope: "true" | "false";
  fingerprint: string | null;
  /** How many chunks the version has; `null` when none is stored. */
  chunks: string | null;
  /** How many of them there are. */
  stored_chunks: string;
}

/** One training of a batch that is being prepared. */
export class BatchItem {
  readonly training: NormalizedTraining;
  readonly ticket: string;
  /** Those of a fresh split, or those around an edit. */
  chunks: readonly PlannedChunk[];
  /** Texts sent to the embedder for it. */
  embedded = 0;
  readonly #plan: ChunkPlan;
  readonly #splitter: string;
  #state: StoredState | undefined;
  /** Undefined until it is read. */
  #stored: StoredVersion | undefined;
  #storedHashes: ReadonlySet<string> = new Set();
  #isContested = false;

  constructor(
    training: NormalizedTraining,
    plan: ChunkPlan,
    splitter: string,
    state: StoredState | undefined,
  ) {
    this.training = training;
    this.ticket = state?.ticket ?? "0";
    this.chunks = plan.chunks;
    this.#plan = plan;
    this.#splitter = splitter;
    this.observe(state);
  }

  /**
   * Takes note of what is stored now, and starts over from it.
   *
   * @throws {@link InvalidArgumentError} when the id belongs to a training that the index does not see
   */
  observe(state: StoredState | undefined): void {
    if (state?.in_scope === "false") {
      throw new InvalidArgumentError(
        "training.id",
        "is taken by a training outside the filter of this index",
      );
    }
    this.#state = state;
    this.chunks = this.#plan.chunks;
    this.#stored = undefined;
    this.#storedHashes = new Set();
  }

  /** Takes note of the stored chunks; read after the state, so that they are of its version or of a later one. */
  observeChunks(chunks: readonly StoredChunk[]): void {
    const contentTicket = this.#state?.content_ticket;
    this.#stored = contentTicket == null ? undefined : { contentTicket, chunks };
    this.#storedHashes = new Set(chunks.map(({ hash }) => hash));
  }

  /** Whether a text with this hash has a vector among the stored chunks. */
  hasStored(hash: string): boolean {
    return this.#storedHashes.has(hash);
  }

  /** What comes of it when something newer is stored: nothing has to be done then. */
  get outdated(): SwapOutcome | undefined {
    const reason = this.#state?.superseded_by ?? undefined;
    return reason && supersededBy(reason);
  }

  /** Whether there are chunks of an earlier version. */
  get stands(): boolean {
    return this.#state?.content_ticket != null;
  }

  /**
   * Takes note that another call changed the training just when this one found it unchanged. From here on it is stored
   * like any other: among many duplicates it could find it unchanged and changed forever.
   */
  forceRewrite(): void {
    this.#isContested = true;
  }

  /** The stored version is the same; what it takes to let this call stand for it. */
  get unchanged(): UnchangedTraining | undefined {
    if (this.#isContested) return undefined;
    const { key, revision } = this.training;
    const state = this.#state;
    const unchangedSince = state?.content_ticket;
    // Rows that somebody deleted by hand are missing from what is to be the same.
    const isWhole = state?.stored_chunks === state?.chunks;
    const same = unchangedSince != null && isWhole && state?.fingerprint === this.#plan.fingerprint;
    return same ? { key, revision, ticket: this.ticket, unchangedSince } : undefined;
  }

  /** The version as it is to stand. */
  get planned(): PlannedTraining {
    const { key, revision, metadata } = this.training;
    const { fingerprint } = this.#plan;
    const { ticket, chunks } = this;
    const splitter = this.#splitter;
    const stored = this.stands ? this.#stored : null;
    return { key, revision, metadata, ticket, fingerprint, splitter, chunks, stored };
  }

  /** What the caller is told. */
  result({ status, removed, reason }: SwapOutcome): UpsertResult {
    // A stored version can have other chunks than a fresh split: around an edit, or in parts that the model reads.
    const chunks = status === "unchanged" ? Number(this.#state?.chunks ?? 0) : this.chunks.length;
    const { embedded } = this;
    // What was embedded for a plan that another call made stale counts too.
    const reused = status === "superseded" ? 0 : Math.max(chunks - embedded, 0);
    const result = { id: this.training.id, status, chunks, embedded, reused, removed };
    return reason === undefined ? result : { ...result, reason };
  }
}
