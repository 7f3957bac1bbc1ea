import type { NormalizedTraining } from "../chunking/training-input.js";
import { InvalidArgumentError } from "../errors.js";
import type { Indexer } from "../writing/indexer.js";
import { isFullBatch, type SourceItem } from "./source-items.js";

/** Stores the host's version of trainings that are missing, stale or damaged, in batches, under the ticket of the call. */
export class Repairs {
  readonly #indexer: Indexer;
  readonly #ticket: string;
  readonly #signal: AbortSignal | undefined;
  #pending: NormalizedTraining[] = [];
  #damaged = new Map<string, ReadonlySet<string>>();

  /** Trainings that were repaired. One that another call has changed meanwhile does not count. */
  repaired = 0;

  constructor(indexer: Indexer, ticket: string, signal: AbortSignal | undefined) {
    this.#indexer = indexer;
    this.#ticket = ticket;
    this.#signal = signal;
  }

  /**
   * Repairs a training with the next batch.
   *
   * @param damagedChunks - ids of chunks to embed again; `undefined` for a training without damage
   */
  async add(item: SourceItem, damagedChunks: ReadonlySet<string> | undefined): Promise<void> {
    const training = item.training ?? (await item.load?.());
    if (!training) return; // deleted since the source was read: the host's own delete follows
    this.#pending.push(training);
    if (damagedChunks) this.#damaged.set(training.key, damagedChunks);
    if (isFullBatch(this.#pending)) await this.flush();
  }

  /** Stores the trainings that were added. */
  async flush(): Promise<void> {
    if (this.#pending.length === 0) return;
    const pending = this.#pending;
    const options = { ticket: this.#ticket, damaged: this.#damaged, signal: this.#signal };
    this.#pending = [];
    this.#damaged = new Map();
    for (const { status } of await this.#indexer.upsert(pending, options)) {
      if (status !== "superseded") this.repaired += 1;
    }
  }
}

/** @throws {@link InvalidArgumentError} for an item that cannot be repaired, because its content is not known */
export function requireContent({ training, load }: SourceItem, index: number): void {
  if (training || load) return;
  throw new InvalidArgumentError(
    `source[${index}]`,
    "has neither content nor load: reconcile needs whole trainings, or { id, revision, load }; verify takes { id, revision }",
  );
}
