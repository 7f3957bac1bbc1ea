import { checkCall } from "../calls/call-options.js";
import { namesOfProperties } from "../calls/checks.js";
import { withTimeLimit } from "../calls/time-limit.js";
import { InvalidArgumentError, SchemaError } from "../errors.js";
import type { Condition } from "../filtering/condition.js";
import type { NamedStatements } from "../postgres/named-statements.js";
import type { Models } from "../models/models.js";
import type { KnownSchema, SchemaState } from "../schema/known-schema.js";
import { SCHEMA_VERSION } from "../schema/layout.js";
import { vectorIndexName, vectorIndexTypes, type VectorIndexType } from "../schema/vector-index.js";
import { readCurrent, type CurrentStatements } from "../searching/current-statements.js";
import type { IndexStatus, OtherModelStatus, StatusCounts, VectorIndexStatus } from "./index-status.js";
import type { ReadOptions } from "./read-options.js";
import { readOnShards } from "./shard-storage.js";
import { countBehind, indexStatus, storageInCluster } from "./status-sql.js";
import { withoutSuffix } from "../schema/profiles.js";
import { warningsOf, type Findings } from "./status-warnings.js";
import { vectorIndexUse } from "./vector-index-use.js";

/** Options of `status`. */
export interface StatusOptions extends ReadOptions {
  /** Whether to count trainings, chunks and tombstones, which takes most of the time. Default `true`. */
  counts?: boolean | undefined;
}

const STATUS_OPTIONS = namesOfProperties<StatusOptions>({ client: true, signal: true, timeoutMs: true, counts: true });

/** Below this size of the tables of trainings and chunks, rows are counted: that takes up to about a second. */
const EXACT_COUNT_BYTES = 2 ** 30;

/** Dependencies of {@link readStatus}. */
export interface StatusParts {
  statements: NamedStatements;
  knownSchema: KnownSchema;
  models: Pick<Models, "of">;
  /** The index's own filter, compiled; `undefined` without one. */
  filter: Condition | undefined;
  /** The index's default `efSearch`. */
  efSearch: number;
  /** Whether the host has chosen it. */
  choseEfSearch: boolean;
}

interface StatusRow {
  version: string | null;
  recorded: "true" | "false";
  text_search: string | null;
  /** Read through to_jsonb, since schemas before version 6 have no such column. */
  lacks_words: "true" | "false";
  recorded_type: VectorIndexType;
  postgres: string;
  is_standby: "true" | "false";
  pgvector: string;
  pgvector_available: string | null;
  chunk_bytes: string;
  page_bytes: string;
  lacks_statistics: "true" | "false";
  tables: string;
  vector_indexes: string | null;
  build: string | null;
  other_model: string | null;
  counts: string | null;
}

/** A table in the JSON of a {@link StatusRow}; times are in milliseconds. */
interface TableFields {
  name: string;
  bytes: number;
  indexBytes: number;
  liveRows: number;
  deadRows: number;
  lastVacuum: number | null;
  lastAnalyze: number | null;
}

/** A vector index in the JSON of a {@link StatusRow}. */
type VectorIndexFields = { name: string } & Pick<VectorIndexStatus, "valid" | "ready" | "bytes">;

interface BuildFields {
  phase: string;
  blocksDone: number;
  blocksTotal: number;
  tuplesDone: number;
  tuplesTotal: number;
}

/**
 * Reads the state of an index, in one statement, and a second one that asks the planner about the vector index of a large table.
 *
 * @param exactCountBytes - below this size of the tables rows are counted
 */
export async function readStatus(
  parts: StatusParts,
  options: StatusOptions,
  exactCountBytes = EXACT_COUNT_BYTES,
): Promise<IndexStatus> {
  checkCall(options, STATUS_OPTIONS, "status");
  const { counts = true, client } = options;
  if (typeof counts !== "boolean") throw new InvalidArgumentError("counts", "must be true or false");
  const { filter, statements: primary, knownSchema } = parts;
  return withTimeLimit(options, (signal) =>
    // Not from the standby: the report is about the primary.
    readCurrent({ statements: primary, knownSchema }, { client, signal }, async (statements, state) => {
      const { layout } = state;
      const shape = { condition: filter?.text, counts };
      const values = counts ? (filter?.values ?? []) : [];
      const isSpread = layout.citus === "tables";
      const [row] = await statements.query<StatusRow>(
        "read-status",
        indexStatus(layout, isSpread ? { condition: undefined, counts: false } : shape),
        [
          vectorIndexTypes.map((type) => vectorIndexName(layout.profileId, type)),
          exactCountBytes,
          ...(isSpread ? [] : values),
        ],
        { keepsPlan: false },
      );
      if (!row)
        throw new SchemaError("SCHEMA_DAMAGED", `Schema ${JSON.stringify(layout.schema)} has no active profile`);
      const stored =
        layout.citus === "schema"
          ? await statements.query<Partial<StatusRow>>("read-status", storageInCluster(layout), [], {
              keepsPlan: false,
            })
          : isSpread
            ? [await readOnShards(statements, layout, { tables: row.tables, shape, values })]
            : [];
      // While a build waits on the coordinator, the node that has the chunks does not know of it.
      const build = stored[0]?.build ?? row.build;
      return toStatus(parts, { ...row, ...stored[0], build }, state, statements);
    }),
  );
}

async function toStatus(
  parts: StatusParts,
  row: StatusRow,
  state: SchemaState,
  statements: CurrentStatements,
): Promise<IndexStatus> {
  const { models, filter: condition, efSearch, choseEfSearch } = parts;
  const { profile } = models.of(state);
  const { schema, profileId } = state.layout;
  const isStandby = row.is_standby === "true";
  const tables = JSON.parse(row.tables) as TableFields[];
  const { type, index } = chosenIndex(row, profileId);
  const now: SchemaState = {
    ...state,
    type: index?.valid ? type : undefined,
    pages: Number(row.chunk_bytes) / Number(row.page_bytes),
  };
  const bytes = tables.reduce((sum, table) => sum + table.bytes, 0);
  const indexBytes = tables.reduce((sum, table) => sum + table.indexBytes, 0);
  const status: Omit<IndexStatus, "warnings"> = {
    schema: { name: schema, version: Number(row.version ?? 0), latest: SCHEMA_VERSION },
    model: { name: profile.model, dimensions: profile.dimensions, recorded: row.recorded === "true" },
    otherModel: await otherModelOf(row, state, statements),
    counts: row.counts === null ? undefined : (JSON.parse(row.counts) as StatusCounts),
    sizes: { total: bytes + indexBytes, tables: bytes, indexes: indexBytes },
    tables: tables.map((table) => ({
      name: table.name,
      bytes: table.bytes,
      indexBytes: table.indexBytes,
      deadRows: isStandby ? undefined : table.deadRows,
      lastVacuum: toDate(table.lastVacuum),
      lastAnalyze: toDate(table.lastAnalyze),
    })),
    vectorIndex: {
      type,
      exists: index !== undefined,
      valid: index?.valid ?? false,
      ready: index?.ready ?? false,
      bytes: index?.bytes ?? 0,
      build: row.build === null ? undefined : progressOf(JSON.parse(row.build) as BuildFields),
      use: await vectorIndexUse(statements, now, { condition, efSearch }),
    },
    textSearch: state.layout.textSearch,
    server: { postgres: row.postgres, pgvector: row.pgvector, isStandby },
  };
  const findings: Findings = {
    status,
    profileId,
    hasFilter: condition !== undefined,
    defaultEfSearch: choseEfSearch ? undefined : efSearch,
    lacksWords: row.text_search !== null && row.lacks_words === "true",
    lacksStatistics: row.lacks_statistics === "true" && now.pages > 0,
    availablePgvector: row.pgvector_available ?? undefined,
    liveRows: new Map(tables.map(({ name, liveRows }) => [name, liveRows])),
  };
  return { ...status, warnings: warningsOf(findings) };
}

async function otherModelOf(
  row: StatusRow,
  { layout }: SchemaState,
  statements: CurrentStatements,
): Promise<IndexStatus["otherModel"]> {
  if (row.other_model === null) return undefined;
  const { name, createdAt, ...other } = JSON.parse(row.other_model) as Omit<OtherModelStatus, "createdAt"> & {
    createdAt: number;
  };
  const [count] = await statements.query<{ behind: string }>("read-switch", countBehind(layout), [], {
    keepsPlan: false,
  });
  return { ...other, name: withoutSuffix(name), behind: Number(count?.behind ?? 0), createdAt: new Date(createdAt) };
}

/** The index that searches use; without a usable one, the one that is recorded, or any that exists. */
function chosenIndex(
  { vector_indexes, recorded_type }: StatusRow,
  profileId: number,
): { type: VectorIndexType; index: VectorIndexFields | undefined } {
  const indexes = JSON.parse(vector_indexes ?? "[]") as VectorIndexFields[];
  const existing = [recorded_type, ...vectorIndexTypes].flatMap((type) => {
    const index = indexes.find(({ name }) => name === vectorIndexName(profileId, type));
    return index ? [{ type, index }] : [];
  });
  return existing.find(({ index }) => index.valid) ?? existing[0] ?? { type: recorded_type, index: undefined };
}

function progressOf({ phase, ...counts }: BuildFields): VectorIndexStatus["build"] {
  const { blocksDone, blocksTotal, tuplesDone, tuplesTotal } = counts;
  const [done, total] = blocksTotal > 0 ? [blocksDone, blocksTotal] : [tuplesDone, tuplesTotal];
  return { phase, progress: total > 0 ? done / total : undefined };
}

function toDate(milliseconds: number | null): Date | undefined {
  return milliseconds === null ? undefined : new Date(milliseconds);
}
