import { batches } from "../calls/batches.js";
import { runHostCode } from "../calls/host-code.js";
import { SchemaError, throwIfAborted } from "../errors.js";
import type { Condition } from "../filtering/condition.js";
import type { BoundedPool } from "../postgres/bounded-database.js";
import { decodeVector } from "../postgres/codec.js";
import { inSnapshot, query, type Queryable } from "../postgres/database.js";
import type { KnownSchema } from "../schema/known-schema.js";
import type { Layout } from "../schema/layout.js";
import { readSchemaState, type SchemaState } from "../schema/schema-state.js";
import { decodeTrainingId } from "../schema/training-id.js";
import { EXPORT_FORMAT, EXPORT_VERSION, vectorToBase64, type ExportHeader } from "./export-format.js";
import { checkExport, type ExportOptions } from "./export-options.js";
import * as sql from "./export-sql.js";

/** Trainings, and tombstones, that one statement lists. */
const PAGE_ROWS = { trainings: 500, tombstones: 5000 };
/** Trainings and chunks that one statement reads: about 4 MB. Longer trainings are read in parts. */
const CHUNK_LIMITS = { items: 100, size: 500 };

/** Dependencies of an {@link Exporter}. */
export interface ExporterParts {
  pool: BoundedPool;
  knownSchema: Pick<KnownSchema, "layout">;
  /** The index's own filter, compiled; `undefined` without one. */
  filter: Condition | undefined;
}

interface ExportCounts {
  trainings: string;
  tombstones: string;
}

interface TombstoneRow {
  key: string;
  metadata: string;
  revision: string | null;
}

/** The last three are `null` if the training has no list of chunks. */
interface TrainingRow extends TombstoneRow {
  fingerprint: string | null;
  splitter: string | null;
  chunks: string | null;
}

/** A place in the list of a training's chunks; all but `key` can be `null` in damaged rows. */
interface ChunkRow {
  key: string;
  id: string | null;
  start: string | null;
  end: string | null;
  content: string | null;
  metadata: string | null;
  hash: string | null;
  vector: string | null;
}

/** With several connections to a node of a Citus cluster, each would have a snapshot of its own. */
const ONE_SNAPSHOT_OF_EACH_NODE = "SET LOCAL citus.max_adaptive_executor_pool_size = 1";

/** Writes the trainings of an index as lines of JSON. */
export class Exporter {
  readonly #parts: ExporterParts;

  constructor(parts: ExporterParts) {
    this.#parts = parts;
  }

  /** Lines with their line feeds. Each iteration reads again. */
  export(options: ExportOptions): AsyncIterable<string> {
    checkExport(options);
    return { [Symbol.asyncIterator]: () => this.#lines(options) };
  }

  async *#lines({ signal, onProgress }: ExportOptions): AsyncGenerator<string, void, undefined> {
    throwIfAborted(signal);
    let trainings = 0;
    const report = (total: number): void => {
      trainings += 1;
      runHostCode("onProgress", () => onProgress?.({ trainings, total }));
    };
    yield* inSnapshot(this.#parts.pool.within({ signal }), (client) => this.#read(client, report));
  }

  /** @param report - called with the number of all trainings after each of them */
  async *#read(client: Queryable, report: (total: number) => void): AsyncGenerator<string, void, undefined> {
    const { knownSchema, filter } = this.#parts;
    // Of the snapshot: the schema that is known may be older or newer.
    const state = await readSchemaState(client, knownSchema.layout);
    const { layout } = state;
    if (layout.citus === "tables") await query(client, "set-parameters", ONE_SNAPSHOT_OF_EACH_NODE);
    const values = [...(filter?.values ?? [])];
    const [counts] = await query<ExportCounts>(
      client,
      "export-trainings",
      sql.countExported(layout, filter?.text),
      values,
    );
    const header = headerOf(state, counts);
    yield `${JSON.stringify(header)}\n`;
    const listTrainings = sql.pageOfTrainings(layout, filter?.text, PAGE_ROWS.trainings);
    for await (const page of pagesOf<TrainingRow>(client, listTrainings, values)) {
      for (const batch of batches(page, ({ chunks }) => Number(chunks), CHUNK_LIMITS)) {
        const rows = readChunkRows(client, layout, batch);
        for (const training of batch) {
          yield* linesOfTraining(training, rows, layout);
          report(header.trainings);
        }
      }
    }
    const listTombstones = sql.pageOfTombstones(layout, filter?.text, PAGE_ROWS.tombstones);
    for await (const page of pagesOf<TombstoneRow>(client, listTombstones, values)) {
      for (const row of page) yield `{${guardFields(row, layout)},"deleted":true}\n`;
    }
  }
}

function headerOf({ recorded, dimensions }: SchemaState, counts: ExportCounts | undefined): ExportHeader {
  return {
    format: EXPORT_FORMAT,
    version: EXPORT_VERSION,
    profile: recorded ? { ...recorded, dimensions } : null,
    trainings: Number(counts?.trainings ?? 0),
    tombstones: Number(counts?.tombstones ?? 0),
  };
}

/** @param text - a statement whose $1 is the id that the page begins after */
async function* pagesOf<Row extends { key: string }>(
  client: Queryable,
  text: string,
  values: readonly unknown[],
): AsyncGenerator<Row[], void, undefined> {
  let after: string | null = null;
  for (;;) {
    const rows: Row[] = await query<Row>(client, "export-trainings", text, [after, ...values]);
    const last: Row | undefined = rows.at(-1);
    if (!last) return;
    yield rows;
    after = last.key;
  }
}

/** The chunks of trainings, in the order of the trainings and in reading order. */
async function* readChunkRows(
  client: Queryable,
  layout: Layout,
  trainings: readonly TrainingRow[],
): AsyncGenerator<ChunkRow, void, undefined> {
  const keys = trainings.map(({ key }) => key);
  const most = Math.max(...trainings.map(({ chunks }) => Number(chunks)));
  for (let after = 0; after < most; after += CHUNK_LIMITS.size) {
    yield* await query<ChunkRow>(client, "export-trainings", sql.readChunks(layout), [
      keys,
      after,
      after + CHUNK_LIMITS.size,
    ]);
  }
}

/** @param rows - of this training and later ones */
async function* linesOfTraining(
  training: TrainingRow,
  rows: AsyncGenerator<ChunkRow, void, undefined>,
  layout: Layout,
): AsyncGenerator<string, void, undefined> {
  const { key, fingerprint, splitter, chunks } = training;
  if (fingerprint === null || splitter === null || chunks === null) throw damaged(key);
  yield `{${guardFields(training, layout)},"fingerprint":"${fingerprint}","splitter":${JSON.stringify(splitter)},"chunks":${chunks}}\n`;
  for (let place = 0; place < Number(chunks); place++) {
    const { value: row } = await rows.next();
    if (row?.key !== key) throw damaged(key);
    const { id, start, end, content, metadata, hash, vector } = row;
    const isWhole = id !== null && start !== null && end !== null && content !== null && vector !== null;
    if (!isWhole) throw damaged(key);
    const offsets = `"start":${start},"end":${end}`;
    // Metadata stays in the text of Postgres: parsing it would round numbers that other programs have stored.
    yield `{"chunk":${JSON.stringify(id)},${offsets},"content":${JSON.stringify(content)},"metadata":${metadata},"hash":"${hash}","vector":"${vectorToBase64(decodeVector(vector))}"}\n`;
  }
}

/** The fields that trainings and tombstones have. */
function guardFields({ key, revision, metadata }: TombstoneRow, { idType }: Layout): string {
  const id = decodeTrainingId(key, idType);
  const written = typeof id === "bigint" ? key : id; // JSON has no bigint
  return `"id":${JSON.stringify(written)},"revision":${JSON.stringify(revision)},"metadata":${metadata}`;
}

function damaged(key: string): SchemaError {
  return new SchemaError(
    "SCHEMA_DAMAGED",
    `Training ${JSON.stringify(key)} is damaged, so that it cannot be exported: verify says what is missing, reconcile and ` +
      "upsertTraining repair it",
  );
}
