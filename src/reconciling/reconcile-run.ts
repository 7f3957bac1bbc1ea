import { runHostCode } from "../calls/host-code.js";
import { readSource } from "../calls/source.js";
import { InvalidArgumentError, throwIfAborted } from "../errors.js";
import type { Model } from "../models/models.js";
import { profileRetired } from "../postgres/database.js";
import type { StatementName } from "../postgres/statement-names.js";
import { removeLeftovers } from "../storing/removal.js";
import { decodeTrainingId } from "../schema/training-id.js";
import { readCurrent } from "../searching/current-statements.js";
import { writeStatement } from "../storing/write-transaction.js";
import type { TrainingId } from "../types.js";
import * as sql from "./check-sql.js";
import { Comparison } from "./comparison.js";
import { DriftCollector, type Drift } from "./drift.js";
import { IdSet } from "./id-set.js";
import type { ReconcileParts } from "./reconciler.js";
import type { ReconcileOptions, ReconcileProgress } from "./reconcile-options.js";
import { Repairs, requireContent } from "./repairs.js";
import { itemBatches, readSourceItem, type Normalize, type TrainingSource, type SourceItem } from "./source-items.js";
import { isLarge } from "../schema/schema-state.js";
import { readSchemaProblems } from "./schema-problems.js";
import type { Read } from "./training-rows.js";
import { VectorSample } from "./vector-sample.js";

/** Orphans that one transaction deletes. */
const DELETED_AT_ONCE = 500;
/** The share of the stored trainings that may be deleted by default. */
const DEFAULT_DELETED_SHARE = 0.1;

/** Marks of an id: the index had it when the run began; the source has it. */
const STORED = 1;
const SEEN = 2;

/** What a run does. */
export interface RunSettings extends Omit<ReconcileOptions, "dryRun" | "timeoutMs"> {
  /** The ticket of the run, under which repairs are made; for a run that only reads, the last one taken before it. */
  ticket: string | null;
  /** Whether drift is repaired. */
  repairs: boolean;
  /** Whether items need a content, also if nothing is repaired. */
  needsContent: boolean;
}

type PageRow = Record<"keys" | "chunks" | "last", string | null>;

/** Some stored trainings, in the order of their ids. */
interface ListedPage {
  keys: string[];
  /** How many chunks they have. */
  chunks: number;
  /** The last id of the page, of a training of any kind. */
  last: string;
}

/** One run of `verify` or `reconcile`. */
export class ReconcileRun {
  readonly #parts: ReconcileParts;
  readonly #settings: RunSettings;
  readonly #collector = new DriftCollector();
  readonly #ids = new IdSet();
  readonly #sample: VectorSample;
  readonly #comparison: Comparison;
  /** The model and the profile when the run began: it ends when the index is switched to others. */
  readonly #model: Model;
  readonly #profileId: number;
  readonly #repairs: Repairs | undefined;
  #phase: ReconcileProgress["phase"] = "listing";
  #stored = 0;
  #deleted = 0;

  constructor(parts: ReconcileParts, settings: RunSettings) {
    const { indexer, models, knownSchema } = parts;
    const { ticket, repairs, signal, sample = 0 } = settings;
    this.#parts = parts;
    this.#settings = settings;
    const model = models.of(knownSchema.latest);
    this.#model = model;
    this.#profileId = knownSchema.layout.profileId;
    this.#sample = new VectorSample(model.embedder, this.#read, sample);
    this.#comparison = new Comparison(parts, { read: this.#read, sample: this.#sample, model, ticket, signal });
    this.#repairs = repairs && ticket !== null ? new Repairs(indexer, ticket, signal) : undefined;
  }

  get repaired(): number {
    return this.#repairs?.repaired ?? 0;
  }

  get deleted(): number {
    return this.#deleted;
  }

  /** Compares the index with a source. Orphans are deleted only after the source has ended without an error. */
  async compareWith(source: TrainingSource<unknown>, normalize: Normalize): Promise<Drift> {
    const { drift } = this.#collector;
    await this.#begin();
    for await (const keys of this.#pages()) for (const key of keys) this.#ids.mark(key, STORED);
    this.#phase = "comparing";
    const items = readSource(source, this.#settings.signal);
    const read = (given: unknown, index: number): SourceItem => this.#readItem(given, index, normalize);
    for await (const batch of itemBatches(items, read)) await this.#compare(batch);
    this.#phase = "deleting";
    await this.#findOrphans();
    // An empty source is taken for a mistake, and deletes nothing.
    if (this.#settings.repairs && drift.orphaned.count > 0 && drift.checked > 0) await this.#deleteOrphans();
    this.#report();
    return drift;
  }

  /** Looks for damage in all trainings of the index. */
  async checkStored(): Promise<Drift> {
    await this.#begin();
    this.#phase = "comparing";
    for await (const keys of this.#pages()) {
      await this.#compare(keys.map((key) => referenceTo(this.#idOf(key), key)));
    }
    return this.#collector.drift;
  }

  async #begin(): Promise<void> {
    const { pool, target, knownSchema } = this.#parts;
    const { signal, sample = 0 } = this.#settings;
    await knownSchema.current(undefined, signal);
    this.#collector.drift.schema = await readSchemaProblems(pool.within({ signal }), target.layout);
    if (sample === 0) return;
    let chunks = 0;
    for await (const page of this.#listPages(null)) chunks += page.chunks;
    this.#sample.expect(chunks);
  }

  /** The living trainings of the index, in pages. Reports what deleted ones have left behind, and deletes it. */
  async *#pages(): AsyncGenerator<string[], void, undefined> {
    const { filter } = this.#parts;
    let after: string | null = null;
    const checkRange = async (last: string | null): Promise<void> => {
      const left = await this.#read<{ key: string }>(
        "find-leftovers",
        (layout) => sql.findLeftovers(layout, filter?.text),
        [after, last, ...(filter?.values ?? [])],
      );
      const keys = left.map(({ key }) => key);
      for (const key of keys) this.#collector.addDamaged(this.#idOf(key), ["leftover"]);
      if (this.#repairs && keys.length > 0) await this.#removeLeftovers(keys);
    };
    for await (const { keys, last } of this.#listPages(null)) {
      await checkRange(last);
      after = last;
      this.#stored += keys.length;
      this.#report();
      yield keys;
    }
    await checkRange(null);
  }

  /**
   * The living trainings of the index, in pages ordered by id.
   *
   * @param ticket - leaves out trainings with a higher one; `null` for none
   */
  async *#listPages(ticket: string | null): AsyncGenerator<ListedPage, void, undefined> {
    const { filter } = this.#parts;
    let after: string | null = null;
    for (;;) {
      const [page]: PageRow[] = await this.#read<PageRow>(
        "list-stored",
        (layout) => sql.listStored(layout, filter?.text),
        [after, ticket, ...(filter?.values ?? [])],
      );
      const last: string | null = page?.last ?? null;
      if (!page || last === null) return;
      yield { keys: JSON.parse(page.keys ?? "[]") as string[], chunks: Number(page.chunks), last };
      after = last;
    }
  }

  /** Checks an item of the source. @param index - its place */
  #readItem(given: unknown, index: number, normalize: Normalize): SourceItem {
    const item = readSourceItem(given, index, this.#parts.target.layout.idType, normalize);
    if (this.#settings.needsContent) requireContent(item, index);
    if (this.#ids.mark(item.key, SEEN) & SEEN) {
      throw new InvalidArgumentError(
        `source[${index}].id`,
        "is in the source twice. A source that repeats trainings may also leave some out (paging with OFFSET does both " +
          "while rows change), so it cannot tell which ones to delete",
      );
    }
    return item;
  }

  async #compare(items: readonly SourceItem[]): Promise<void> {
    for await (const compared of this.#comparison.compare(items)) {
      for (const { item, isMissing, isStale, damage } of compared) {
        const isDamaged = damage.kinds.size > 0;
        if (isMissing) this.#collector.add("missing", item.id);
        if (isStale) this.#collector.add("stale", item.id);
        if (isDamaged) this.#collector.addDamaged(item.id, [...damage.kinds]);
        if (this.#repairs && (isMissing || isStale || isDamaged)) {
          await this.#repairs.add(item, isDamaged ? damage.chunks : undefined);
        }
      }
    }
    // Before the next batch is read, so that no more than one batch is in memory.
    await this.#repairs?.flush();
    this.#collector.drift.checked += items.length;
    this.#report();
  }

  async #findOrphans(): Promise<void> {
    for await (const keys of this.#orphanPages()) {
      for (const key of keys) this.#collector.add("orphaned", this.#idOf(key));
      this.#report();
    }
  }

  async #deleteOrphans(): Promise<void> {
    const { remover } = this.#parts;
    const { signal, ticket, maxDeletes = Math.ceil(DEFAULT_DELETED_SHARE * this.#stored) } = this.#settings;
    const { count } = this.#collector.drift.orphaned;
    if (count > maxDeletes) {
      throw new InvalidArgumentError(
        "maxDeletes",
        `allows ${maxDeletes} deletes, but ${count} of ${this.#stored} stored trainings are not in the source; none was ` +
          `deleted. If the source is complete, call again with { maxDeletes: ${count} }`,
      );
    }
    for await (const keys of this.#orphanPages()) {
      for (let start = 0; start < keys.length; start += DELETED_AT_ONCE) {
        const part = keys.slice(start, start + DELETED_AT_ONCE);
        const outcomes = await remover.remove(part, { ticket: ticket ?? undefined, signal });
        this.#deleted += outcomes.filter(({ status }) => status === "deleted").length;
        this.#report();
      }
    }
  }

  /**
   * The trainings that the source lacks: of those that were stored before it was read, so that one that is committed meanwhile is
   * none, whenever its call started.
   */
  async *#orphanPages(): AsyncGenerator<string[], void, undefined> {
    for await (const { keys } of this.#listPages(this.#settings.ticket)) {
      yield keys.filter((key) => this.#ids.markOf(key) === STORED);
    }
  }

  async #removeLeftovers(keys: readonly string[]): Promise<void> {
    const { pool, target, knownSchema, notify } = this.#parts;
    const { signal } = this.#settings;
    const remove = (): Promise<void> =>
      writeStatement(pool.within({ signal }), undefined, notify, (database) => removeLeftovers(database, target, keys));
    await knownSchema.follow(remove, { writes: true, signal });
  }

  readonly #read: Read = <Row>(
    name: StatementName,
    textFor: Parameters<Read>[1],
    values: unknown[],
    { suitsAnyValue = false } = {},
  ): Promise<Row[]> => {
    const { signal } = this.#settings;
    throwIfAborted(signal);
    return readCurrent(this.#parts, { signal }, (statements, state) => {
      const { models } = this.#parts;
      if (models.of(state) !== this.#model || state.layout.profileId !== this.#profileId) throw profileRetired();
      return statements.query<Row>(name, textFor(state.layout), values, { keepsPlan: suitsAnyValue && isLarge(state) });
    });
  };

  #idOf(key: string): TrainingId {
    return decodeTrainingId(key, this.#parts.target.layout.idType);
  }

  #report(): void {
    const { onProgress } = this.#settings;
    if (!onProgress) return;
    const { checked, missing, stale, orphaned, damaged } = this.#collector.drift;
    const progress = {
      phase: this.#phase,
      stored: this.#stored,
      ...{ checked, missing: missing.count, stale: stale.count, orphaned: orphaned.count, damaged: damaged.count },
      repaired: this.repaired,
      deleted: this.#deleted,
    };
    runHostCode("onProgress", () => {
      onProgress(progress);
    });
  }
}

/** A training of which only the id is known. */
function referenceTo(id: TrainingId, key: string): SourceItem {
  return { id, key, revision: null, training: undefined, load: undefined };
}
