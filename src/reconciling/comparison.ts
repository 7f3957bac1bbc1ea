import { hashOf, planChunks, type ChunkPlan } from "../chunking/chunk-plan.js";
import { findDamage, hasOwnHash, type Damage } from "./damage.js";
import type { Model } from "../models/models.js";
import type { ReconcileParts } from "./reconciler.js";
import type { SourceItem } from "./source-items.js";
import {
  digestOf,
  findUnsettled,
  readTrainingRows,
  readVectors,
  type ChunkKey,
  type ExpectedRows,
  type Read,
  type StoredChunkState,
  type TrainingRows,
} from "./training-rows.js";
import type { SampledChunk, VectorSample } from "./vector-sample.js";

/** What a {@link Comparison} needs of its run. */
export interface ComparisonSettings {
  read: Read;
  sample: VectorSample;
  model: Model;
  /** Trainings with a higher ticket are newer than the run, and are not judged. */
  ticket: string | null;
  signal: AbortSignal | undefined;
}

/** An item of a source, and how the index differs from it. */
export interface ComparedItem {
  item: SourceItem;
  isMissing: boolean;
  isStale: boolean;
  damage: Damage;
}

/** An item with what is stored of it. */
interface FoundItem {
  item: SourceItem;
  stored: TrainingRows;
}

/** Compares items of a source with what is stored. */
export class Comparison {
  readonly #parts: ReconcileParts;
  readonly #settings: ComparisonSettings;

  constructor(parts: ReconcileParts, settings: ComparisonSettings) {
    this.#parts = parts;
    this.#settings = settings;
  }

  /**
   * Compares items, a few at a time. Leaves out those that are as they should be, and trainings that were stored or deleted since
   * the run began.
   */
  async *compare(items: readonly SourceItem[]): AsyncGenerator<ComparedItem[], void, undefined> {
    const { read, ticket, sample } = this.#settings;
    const { filter } = this.#parts;
    const rows = { read, filter, ticket };
    const plans = await this.#planAll(items);
    let unsettled = items;
    if (!sample.isChoosing) {
      const expected = items.map((item) => expectedRows(item, plans.get(item)));
      const found = await findUnsettled(rows, items, expected, this.#settings.model.profile.dimensions);
      const itemsAt = (places: readonly number[]): SourceItem[] => places.flatMap((place) => items[place] ?? []);
      if (found.missing.length > 0) {
        yield itemsAt(found.missing).map((item) => ({ item, isMissing: true, isStale: false, damage: NO_DAMAGE }));
      }
      unsettled = itemsAt(found.others);
    }
    for await (const found of readTrainingRows(rows, unsettled)) {
      const settled = found.filter(({ stored }) => !stored.isNewer);
      const givenVectors = await this.#findGivenVectors(settled);
      const compared = settled.map(({ item, stored }) => this.#judge(item, plans.get(item), stored, givenVectors));
      await this.#checkVectors(settled, compared);
      yield compared;
    }
  }

  /** The chunks of those items that are whole trainings. */
  async #planAll(items: readonly SourceItem[]): Promise<Map<SourceItem, ChunkPlan>> {
    const plans = new Map<SourceItem, ChunkPlan>();
    for (const item of items) {
      if (item.training) plans.set(item, await planChunks(item.training, this.#settings.model.chunker));
    }
    return plans;
  }

  /** @param plan - `undefined` for an item that does not tell what is stored */
  #judge(
    item: SourceItem,
    plan: ChunkPlan | undefined,
    stored: TrainingRows,
    givenVectors: ReadonlySet<string>,
  ): ComparedItem {
    if (!stored.isLiving) {
      return { item, isMissing: true, isStale: false, damage: { kinds: new Set(), chunks: new Set() } };
    }
    const isSame = plan === undefined || plan.fingerprint === stored.fingerprint;
    const damage = findDamage(stored, {
      dimensions: this.#settings.model.profile.dimensions,
      training: isSame ? item.training : undefined,
      header: isSame ? this.#headerOf(item) : this.#unknownHeader,
      isHashOfVector: ({ id }) => givenVectors.has(JSON.stringify([item.key, id])),
    });
    // Without a fingerprint the version is damaged, and may be the same.
    const isOther = stored.fingerprint !== undefined && !isSame;
    const isStale = stored.version === "older" || (stored.version === "same" && isOther);
    return { item, isMissing: false, isStale, damage };
  }

  #headerOf({ training }: SourceItem): string | undefined {
    return training ? training.header : this.#unknownHeader;
  }

  /** What is embedded above the chunks of a training that is not given: nothing, unless the index has a header. */
  get #unknownHeader(): string | undefined {
    return this.#parts.hasHeader ? undefined : "";
  }

  /** The chunks, as JSON of key and id, whose hash is of their text and a vector that the caller gave. */
  async #findGivenVectors(found: readonly FoundItem[]): Promise<Set<string>> {
    const unexplained: (ChunkKey & { chunk: StoredChunkState })[] = found.flatMap(({ item, stored }) => {
      const header = this.#headerOf(item);
      if (header === undefined) return [];
      const others = stored.chunks.filter((chunk) => !hasOwnHash(chunk, header));
      return others.map((chunk) => ({ key: item.key, id: chunk.id, chunk }));
    });
    const given = new Set<string>();
    for await (const batch of readVectors(this.#settings.read, unexplained)) {
      for (const { chunk: entry, vector } of batch) {
        const { key, id, chunk } = entry;
        if (chunk.hash === hashOf("", chunk.content, vector)) given.add(JSON.stringify([key, id]));
      }
    }
    return given;
  }

  /** Embeds some chunks again, and adds wrong vectors to the damage. */
  async #checkVectors(found: readonly FoundItem[], compared: readonly ComparedItem[]): Promise<void> {
    const { sample, signal } = this.#settings;
    const damages = new Map(compared.map(({ item, damage }) => [item.key, damage]));
    const chosen = found.flatMap(({ item, stored }): SampledChunk[] => {
      const header = this.#headerOf(item);
      const { key } = item;
      return stored.chunks
        .filter((chunk) => hasOwnHash(chunk, header) && !damages.get(key)?.chunks.has(chunk.id) && sample.choose())
        .map(({ id, content }) => ({ key, id, content, header: header ?? "" }));
    });
    for (const { key, id } of await sample.check(chosen, signal)) {
      damages.get(key)?.kinds.add("vector");
      damages.get(key)?.chunks.add(id);
    }
  }
}

/** One for all missing trainings, of which there may be a million. */
const NO_DAMAGE: Damage = { kinds: new Set(), chunks: new Set() };

/** What Postgres compares the rows of an item with; for an item without text nothing. */
function expectedRows({ training }: SourceItem, plan: ChunkPlan | undefined): ExpectedRows | undefined {
  if (!training || !plan) return undefined;
  // Line breaks of a stored text can be edited without changing its hash.
  const isPlain = training.sources.every(({ text }) => !text.includes("\r"));
  const metadata: unknown = JSON.parse(training.metadata);
  return { fingerprint: plan.fingerprint, metadata, digest: isPlain ? digestOf(plan.chunks) : "" };
}
