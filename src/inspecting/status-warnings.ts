import { quoteIdentifier } from "../postgres/identifiers.js";
import { isVersionAtLeast } from "../schema/catalog.js";
import { chunkTable, migrateCall } from "../schema/layout.js";
import { OLDEST_SAFE_PARALLEL_BUILD } from "../schema/vector-index-sql.js";
import type { VectorIndexType } from "../schema/vector-index.js";
import type { IndexStatus, StatusWarning, StatusWarningCode, TableStatus } from "./index-status.js";

/** The first version of pgvector whose VACUUM cannot damage vector indexes. @see https://github.com/pgvector/pgvector/blob/master/CHANGELOG.md */
const OLDEST_SAFE_VACUUM = "0.8.4";

/** Twice the share of a table at which autovacuum starts by default. */
const MAX_DEAD_SHARE = 0.4;
/** A small table has a high share of dead rows after a few writes. */
const MIN_DEAD_ROWS = 1000;
const MIN_TOMBSTONES = 10_000;
/** A week. */
const MAX_SWITCH_MS = 7 * 24 * 3600 * 1000;
/** Comparing fewer chunks takes less than about 15 ms, and Postgres may rightly prefer it. */
const MIN_CHUNKS_OF_SLOW_SEARCH = 10_000;

/**
 * From how many chunks on which `efSearch` finds 95 % of the ten nearest. Of 20,000 and 100,000 clustered vectors a `halfvec` index found
 * 99.7 % and 94.5 % with 40, a `bit` index 82 % and 85 % (`npm run bench -- --index halfvec,bit`). The figures for a million are from a trial
 * with another program, in which 40 found 79 %; those of `vector` are taken from `halfvec`.
 */
const SUFFICIENT_EF_SEARCH: Readonly<Record<VectorIndexType, readonly { chunks: number; efSearch: number }[]>> = {
  vector: [
    { chunks: 1_000_000, efSearch: 200 },
    { chunks: 100_000, efSearch: 100 },
  ],
  halfvec: [
    { chunks: 1_000_000, efSearch: 200 },
    { chunks: 100_000, efSearch: 100 },
  ],
  bit: [
    { chunks: 1_000_000, efSearch: 400 },
    { chunks: 20_000, efSearch: 200 },
  ],
};

/** What warnings are derived from. */
export interface Findings {
  status: Omit<IndexStatus, "warnings">;
  profileId: number;
  hasFilter: boolean;
  /** The `efSearch` of searches if nobody has chosen one. */
  defaultEfSearch: number | undefined;
  /** Whether `migrate` has not yet stored the words of all chunks, in a schema with text search. */
  lacksWords: boolean;
  /** Whether the chunk table has rows but was never analyzed. */
  lacksStatistics: boolean;
  /** The version of pgvector that the server could install. */
  availablePgvector: string | undefined;
  /** Estimated rows of each table. */
  liveRows: ReadonlyMap<string, number>;
}

/** The warnings of a status, each with its remedy. */
export function warningsOf(findings: Findings): StatusWarning[] {
  return [
    ...schemaWarnings(findings),
    ...vectorIndexWarnings(findings),
    ...efSearchWarnings(findings),
    ...tableWarnings(findings),
    ...switchWarnings(findings),
    ...extensionWarnings(findings),
  ];
}

function schemaWarnings({ status: { schema }, lacksWords }: Findings): StatusWarning[] {
  const { name, version, latest } = schema;
  if (version < latest) {
    return warning(
      "SCHEMA_OUTDATED",
      `The schema is at version ${version}, and this library needs ${latest}: run ${migrateCall(name)}`,
    );
  }
  if (version === latest) {
    if (!lacksWords) return [];
    return warning(
      "WORDS_INCOMPLETE",
      `The words of the chunks are not all stored, so searches by words do not find everything: run ${migrateCall(name)}, ` +
        "or wait for the one that runs",
    );
  }
  return warning(
    "SCHEMA_NEWER",
    `The schema is at version ${version}, and this library knows versions up to ${latest}: upgrade langchain-training-index`,
  );
}

function vectorIndexWarnings({ status, profileId, hasFilter, liveRows }: Findings): StatusWarning[] {
  const { schema, vectorIndex } = status;
  const { exists, valid, build, use } = vectorIndex;
  const isSlow = (liveRows.get(chunkTable(profileId)) ?? 0) >= MIN_CHUNKS_OF_SLOW_SEARCH;
  if (use === "notChosen" && !hasFilter && isSlow) {
    return warning(
      "VECTOR_INDEX_NOT_CHOSEN",
      "Postgres does not use the vector index, so searches compare all chunks: run ANALYZE on " +
        `${tableName(schema.name, chunkTable(profileId))}, and check that enable_indexscan is on and that random_page_cost is ` +
        "near 1 for an SSD",
    );
  }
  if (valid) return [];
  if (build) {
    return warning(
      "VECTOR_INDEX_BUILDING",
      `The vector index is being built (${build.phase}), and searches compare all chunks until it is complete: wait for the build`,
    );
  }
  if (exists) {
    return warning(
      "VECTOR_INDEX_INVALID",
      "The vector index is not valid, because its build failed or is another role's and still runs, so searches compare all chunks: " +
        `run ${migrateCall(schema.name)}, which waits for a running build and otherwise builds it again`,
    );
  }
  return warning(
    "VECTOR_INDEX_MISSING",
    `There is no vector index, so searches compare all chunks: run ${migrateCall(schema.name)}, which builds it`,
  );
}

function efSearchWarnings({
  status: { vectorIndex },
  profileId,
  defaultEfSearch,
  liveRows,
}: Findings): StatusWarning[] {
  if (defaultEfSearch === undefined || vectorIndex.use !== "used") return [];
  const chunks = liveRows.get(chunkTable(profileId)) ?? 0;
  const sufficient = SUFFICIENT_EF_SEARCH[vectorIndex.type].find((each) => chunks >= each.chunks)?.efSearch ?? 0;
  if (sufficient <= defaultEfSearch) return [];
  return warning(
    "EF_SEARCH_NOT_CHOSEN",
    `The index has about ${chunks} chunks, and the default efSearch of ${defaultEfSearch} probably misses more than 5 % of the nearest: measure ` +
      "with index.recall(), and open the index with what it suggests, such as " +
      `initialize(embeddings, { hnsw: { efSearch: ${sufficient} } })`,
  );
}

function tableWarnings({ status, profileId, lacksStatistics, liveRows }: Findings): StatusWarning[] {
  const { schema, tables, counts, vectorIndex } = status;
  const warnings = tables.flatMap((table) => deadRowWarnings(schema.name, table, liveRows.get(table.name) ?? 0));
  if (lacksStatistics && vectorIndex.use !== "tableIsSmall") {
    const table = tableName(schema.name, chunkTable(profileId));
    warnings.push(
      ...warning(
        "NEVER_ANALYZED",
        `Postgres has no statistics of ${table}, so it may choose slow plans: run ANALYZE ${table}, and check that autovacuum is on`,
      ),
    );
  }
  if (counts && counts.tombstones >= MIN_TOMBSTONES && counts.tombstones > counts.trainings) {
    warnings.push(
      ...warning(
        "MANY_TOMBSTONES",
        `${counts.tombstones} deleted trainings are still remembered, against jobs that arrive late: run ` +
          "index.prune({ olderThanMs }) with an age that no job can be late by",
      ),
    );
  }
  return warnings;
}

function deadRowWarnings(
  schema: string,
  { name, deadRows = 0, lastVacuum }: TableStatus,
  live: number,
): StatusWarning[] {
  if (deadRows < MIN_DEAD_ROWS || deadRows <= MAX_DEAD_SHARE * live) return [];
  const table = tableName(schema, name);
  const last = lastVacuum ? `the last VACUUM was at ${lastVacuum.toISOString()}` : "it was never vacuumed";
  return warning(
    "DEAD_ROWS",
    `About ${deadRows} rows of ${table} are dead and ${live} alive, ${last}: run VACUUM (ANALYZE) ${table}, and check that ` +
      "autovacuum is on and that no transaction stays open for hours",
  );
}

function switchWarnings({ status: { otherModel } }: Findings): StatusWarning[] {
  if (otherModel?.state !== "building" || Date.now() - otherModel.createdAt.getTime() < MAX_SWITCH_MS) return [];
  return warning(
    "SWITCH_ABANDONED",
    `A switch to the model ${JSON.stringify(otherModel.name)} began at ${otherModel.createdAt.toISOString()} and has not ended, with ` +
      `${otherModel.behind} trainings to build: call switchModel with this model, which continues, or discard it with retireModel`,
  );
}

function extensionWarnings({ status, availablePgvector }: Findings): StatusWarning[] {
  const { pgvector } = status.server;
  const isPending = availablePgvector !== undefined && !isVersionAtLeast(pgvector, availablePgvector);
  const remedy = isPending
    ? `run ALTER EXTENSION vector UPDATE, since the server has ${availablePgvector}`
    : "install a newer version on the server, then run ALTER EXTENSION vector UPDATE";
  if (isVersionAtLeast(pgvector, OLDEST_SAFE_VACUUM)) {
    return isPending ? warning("PGVECTOR_UPDATE_PENDING", `pgvector is ${pgvector} in this database: ${remedy}`) : [];
  }
  const faults = [
    ...(isVersionAtLeast(pgvector, OLDEST_SAFE_PARALLEL_BUILD) ? [] : ["parallel builds that write past a buffer"]),
    "VACUUM that can damage a vector index",
  ];
  return warning("PGVECTOR_OUTDATED", `pgvector ${pgvector} has ${faults.join(" and ")}: ${remedy}`);
}

function warning(code: StatusWarningCode, message: string): StatusWarning[] {
  return [{ code, message }];
}

/** The name of a table for SQL that a person runs. */
function tableName(schema: string, table: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(schema) ? `${schema}.${table}` : `${quoteIdentifier(schema, "schema")}.${table}`;
}
