import { runHostCode } from "../calls/host-code.js";
import { readSource } from "../calls/source.js";
import { withTimeLimit } from "../calls/time-limit.js";
import { SchemaError } from "../errors.js";
import type { Scope } from "../filtering/scope.js";
import type { VectorIndexMethod } from "../schema/vector-index-method.js";
import type { KnownSchema } from "../schema/known-schema.js";
import { withToken } from "../standby/write-tokens.js";
import { currentModel, type BatchModel, type BatchParts } from "../writing/batch-parts.js";
import { bulkLoad } from "../writing/bulk-load.js";
import { EARLIEST_TICKET, storeVersions, type GivenVersion, type VersionOrder } from "./given-versions.js";
import type { Remover } from "../writing/remover.js";
import { takeRunTicket, type RunTicketParts } from "../writing/ticket-order.js";
import { requireScope } from "../writing/scope.js";
import { readStates } from "../storing/stored-versions.js";
import { upsertAll, type RunResult, type StoreBatch } from "../writing/upsert-all.js";
import type { ExportHeader } from "./export-format.js";
import { checkImport, type ExportSource, type ImportOptions, type ImportSummary } from "./export-options.js";
import { readExport, type GivenTombstone, type ImportTarget } from "./export-reader.js";

/** Tombstones that one transaction stores. */
const DELETED_AT_ONCE = 500;

/** Dependencies of an {@link Importer}. */
export interface ImporterParts extends BatchParts, Omit<RunTicketParts, "knownSchema"> {
  knownSchema: KnownSchema;
  remover: Remover;
  /** The vector index of another extension. */
  method: VectorIndexMethod | undefined;
  /** The filter of the index, compiled: what everything that is written must have. */
  scope: Scope;
}

/** Stores exported trainings with their vectors. */
export class Importer {
  readonly #parts: ImporterParts;

  constructor(parts: ImporterParts) {
    this.#parts = parts;
  }

  /** What was stored before an error stays; a repeat stores the rest. */
  async import(source: ExportSource, options: ImportOptions): Promise<ImportSummary> {
    checkImport(source, options);
    const { overwrite = false, bulk = false, onProgress } = options;
    return withTimeLimit(options, async (signal) => {
      await this.#parts.knownSchema.look(undefined, signal); // the model may have been switched
      const ticket = await takeRunTicket(this.#parts, signal);
      const planned = currentModel(this.#parts);
      const order = { ticket, keepsStored: !overwrite, planned };
      const progress = { trainings: 0, total: 0 };
      const summary: ImportSummary = { indexed: 0, unchanged: 0, superseded: 0, deleted: 0 };
      const entries = readExport(readSource(source, signal), (header) => {
        progress.total = header.trainings;
        return this.#begin(header, planned);
      });
      try {
        // Now, so that nothing is changed for a file that is no export, or of another model.
        const first = await entries.next();
        const versions = this.#withoutTombstones(startingWith(first, entries), order, summary, signal);
        for await (const { status } of bulk
          ? this.#load(versions, order, signal)
          : this.#store(versions, order, signal)) {
          if (status !== "failed") summary[status] += 1;
          progress.trainings += 1;
          runHostCode("onProgress", () => onProgress?.({ ...progress }));
        }
        return withToken(summary, await this.#parts.tokens.afterWrite(undefined, signal));
      } finally {
        await entries.return();
      }
    });
  }

  /** @throws {@link SchemaError} `PROFILE_MISMATCH` */
  #begin({ profile: exported }: ExportHeader, { model: { profile: own } }: BatchModel): ImportTarget {
    const { idType } = this.#parts.target.layout;
    const { dimensions } = own;
    if (exported === null) return { idType, dimensions };
    const names = ["model", "dimensions", "queryPrefix", "documentPrefix"] as const;
    const different = names.find((name) => exported[name] !== own[name]);
    if (different === undefined) return { idType, dimensions };
    throw new SchemaError(
      "PROFILE_MISMATCH",
      `The export has vectors of another embedding model: its ${different} is ${JSON.stringify(exported[different])}, that of this ` +
        `index is ${JSON.stringify(own[different])}. Such vectors cannot be compared, so nothing was stored: import it into an index ` +
        "of the same model, or index the texts again",
    );
  }

  #store(versions: AsyncIterable<GivenVersion>, order: VersionOrder, signal: AbortSignal | undefined): Results {
    const store: StoreBatch<GivenVersion> = (batch, ending) => storeVersions(this.#parts, batch, order, ending);
    return upsertAll(store, versions, { signal });
  }

  #load(versions: AsyncIterable<GivenVersion>, order: VersionOrder, signal: AbortSignal | undefined): Results {
    const { pool, target, knownSchema, method } = this.#parts;
    const upsert = (given: Iterable<GivenVersion> | AsyncIterable<GivenVersion>): Results =>
      this.#store(given as AsyncIterable<GivenVersion>, order, signal);
    const onIndexChanged = (): void => {
      knownSchema.forget();
    };
    return bulkLoad({ pool, layout: target.layout, method, upsert, onIndexChanged }, versions, { signal });
  }

  /** The trainings of an export; deletes what it has deleted. */
  async *#withoutTombstones(
    entries: AsyncIterable<GivenVersion | GivenTombstone>,
    order: VersionOrder,
    summary: ImportSummary,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<GivenVersion, void, undefined> {
    const { scope } = this.#parts;
    let tombstones: GivenTombstone[] = [];
    for await (const entry of entries) {
      if ("chunks" in entry) {
        yield requireScope(entry, scope, entry.option);
        continue;
      }
      tombstones.push(requireScope({ ...entry, sources: [] }, scope, entry.option));
      if (tombstones.length < DELETED_AT_ONCE) continue;
      summary.deleted += await this.#delete(tombstones, order, signal);
      tombstones = [];
    }
    summary.deleted += await this.#delete(tombstones, order, signal);
  }

  /** @returns how many trainings were deleted; most tombstones are of ids that the index does not have */
  async #delete(
    tombstones: readonly GivenTombstone[],
    { ticket, keepsStored }: VersionOrder,
    signal: AbortSignal | undefined,
  ): Promise<number> {
    if (tombstones.length === 0) return 0;
    const { pool, remover } = this.#parts;
    const rank = keepsStored ? EARLIEST_TICKET : ticket;
    const states = await readStates(this.#parts, pool.within({ signal }), tombstones, rank, signal);
    const admitted = tombstones.filter((_, index) => states[index]?.superseded_by === null);
    const outcomes = await remover.removeEach(admitted, ticket, signal);
    return outcomes.filter(({ status }) => status === "deleted").length;
  }
}

type Results = AsyncGenerator<RunResult, void, undefined>;

async function* startingWith<Item>(
  first: IteratorResult<Item, void>,
  others: AsyncIterable<Item>,
): AsyncGenerator<Item, void, undefined> {
  if (first.done === true) return;
  yield first.value;
  yield* others;
}
