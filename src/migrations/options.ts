import { checkNames, checkOptions, namesOfProperties } from "../calls/checks.js";
import { InvalidArgumentError } from "../errors.js";
import { quoteIdentifier } from "../postgres/identifiers.js";
import { DEFAULT_SCHEMA, FIRST_PROFILE_ID, namesOf, type Names } from "../schema/layout.js";
import { textSearchLanguages, type TextSearchLanguage } from "../schema/lexemes.js";
import { idTypes } from "../schema/training-id.js";
import { MAX_DIMENSIONS, vectorIndexTypes, type VectorIndexType } from "../schema/vector-index.js";
import type { IdType } from "../types.js";

/** Of mxbai-embed-large, and of the multilingual models that can take its place without another table. */
export const DEFAULT_DIMENSIONS = 1024;
/** The defaults of pgvector, which the first host asked for by name. */
export const DEFAULT_HNSW = { m: 16, efConstruction: 64 };
/** @see https://github.com/pgvector/pgvector/blob/v0.8.0/src/hnsw.h HNSW_MIN_M and so on */
const HNSW_RANGES = { m: [2, 100], efConstruction: [4, 1000] } as const;

/** The table whose rows are the host's trainings. */
export interface HostTable {
  /** Default `public`. */
  schema?: string | undefined;
  table: string;
  /** Its primary key, or another unique column. Default `id`. */
  column?: string | undefined;
}

/**
 * Options of the migrations. On a schema that stands already, what is left out stays as it is, and what is
 * given must be as it is, but for `vectorIndex` and `textSearch`.
 */
export interface MigrateOptions {
  /** The schema that the index has for itself; made where it is missing. Default `training_index`. */
  schema?: string | undefined;
  /** Components of a vector, 1 to 2000; to 4000 with a `halfvec` index, to 16000 with a `bit` index. Default 1024. */
  dimensions?: number | undefined;
  /** The type of training ids. Default: that of the host's column when `trainings` is given, else `text`. */
  idType?: IdType | undefined;
  /** Makes a foreign key: a row deleted there takes its chunks along, in the same transaction. */
  trainings?: HostTable | undefined;
  /**
   * What the vector index holds of each vector; the vectors themselves are always stored whole. Default `vector`.
   * `migrate` changes it on a schema that stands: it builds the new index beside the old one, and searches and writes
   * go on.
   */
  vectorIndex?: VectorIndexType | undefined;
  /**
   * Lets chunks be searched for their words, in this language; modes `text` and `hybrid` of a search need it. It makes
   * writes slower and takes some room. `false`, the default, for none. On a schema that stands `migrate` adds it, changes
   * the language or takes it away, which rewrites the chunk table with all its indexes while writes and searches wait.
   */
  textSearch?: TextSearchLanguage | false | undefined;
  /** Parameters of the HNSW index. Default `{ m: 16, efConstruction: 64 }`; `efConstruction` is at least twice `m`. */
  hnsw?: { m?: number | undefined; efConstruction?: number | undefined } | undefined;
  /** The schema to create pgvector in, if it is not there yet. Default `public`. */
  extensionSchema?: string | undefined;
}

/** Names of the options of the migrations. */
export const MIGRATE_OPTIONS = namesOfProperties<MigrateOptions>({
  schema: true,
  dimensions: true,
  idType: true,
  trainings: true,
  vectorIndex: true,
  textSearch: true,
  hnsw: true,
  extensionSchema: true,
});
const MIGRATE_HNSW = namesOfProperties<NonNullable<MigrateOptions["hnsw"]>>({
  m: true,
  efConstruction: true,
});
const HOST_TABLE = namesOfProperties<HostTable>({ schema: true, table: true, column: true });

/**
 * @param owner - the function that takes the options, for errors
 * @throws {@link InvalidArgumentError} for a name that is not known
 */
export function checkMigrateNames(options: MigrateOptions, known: readonly string[], owner: string): void {
  checkOptions(options, known, owner);
  checkNames(options.hnsw, MIGRATE_HNSW, owner, "hnsw");
  checkNames(options.trainings, HOST_TABLE, owner, "trainings");
}

/** Options that have been checked, with every default filled in. */
export interface MigrationPlan {
  schema: string;
  names: Names;
  dimensions: number;
  idType: IdType;
  trainings: ResolvedHostTable | undefined;
  vectorIndex: VectorIndexType;
  textSearch: TextSearchLanguage | undefined;
  hnsw: { m: number; efConstruction: number };
  extensionSchema: string;
}

/** Names as Postgres knows them, and quoted for SQL. */
export interface ResolvedHostTable {
  schema: string;
  table: string;
  column: string;
  quotedTable: string;
  quotedColumn: string;
}

/** What the database has decided already. */
export interface FoundOptions {
  extensionSchema?: string | undefined;
  /** The type of the host's column. */
  hostIdType?: IdType | undefined;
}

/**
 * Checks options and fills in what is left out.
 *
 * @throws {@link InvalidArgumentError} naming the option at fault
 */
export function planMigration(options: MigrateOptions, found: FoundOptions = {}): MigrationPlan {
  const schema = options.schema ?? DEFAULT_SCHEMA;
  const extensionSchema = found.extensionSchema ?? options.extensionSchema ?? "public";
  const dimensions = options.dimensions ?? DEFAULT_DIMENSIONS;
  const vectorIndex = options.vectorIndex ?? "vector";
  if (!vectorIndexTypes.includes(vectorIndex)) {
    throw new InvalidArgumentError("vectorIndex", `must be one of ${vectorIndexTypes.join(", ")}`);
  }
  checkDimensions(dimensions, vectorIndex);
  const { textSearch = false } = options;
  if (textSearch !== false && !textSearchLanguages.includes(textSearch)) {
    throw new InvalidArgumentError("textSearch", `must be false or one of ${textSearchLanguages.join(", ")}`);
  }
  const idType = options.idType ?? found.hostIdType ?? "text";
  if (!idTypes.includes(idType)) {
    throw new InvalidArgumentError("idType", `must be one of ${idTypes.join(", ")}`);
  }
  if (found.hostIdType && idType !== found.hostIdType) {
    throw new InvalidArgumentError("idType", `is ${idType}, but the host's column is ${found.hostIdType}`);
  }
  const m = options.hnsw?.m ?? DEFAULT_HNSW.m;
  checkRange("hnsw.m", m, ...HNSW_RANGES.m);
  const hnsw = {
    m,
    efConstruction: options.hnsw?.efConstruction ?? Math.max(DEFAULT_HNSW.efConstruction, 2 * m),
  };
  checkRange("hnsw.efConstruction", hnsw.efConstruction, ...HNSW_RANGES.efConstruction);
  if (hnsw.efConstruction < 2 * hnsw.m) {
    throw new InvalidArgumentError("hnsw.efConstruction", "must be at least twice hnsw.m");
  }
  return {
    schema,
    names: namesOf({ schema, extensionSchema, profileId: FIRST_PROFILE_ID }),
    dimensions,
    idType,
    trainings: options.trainings && resolveHostTable(options.trainings),
    vectorIndex,
    textSearch: textSearch === false ? undefined : textSearch,
    hnsw,
    extensionSchema,
  };
}

function resolveHostTable({ schema = "public", table, column = "id" }: HostTable): ResolvedHostTable {
  return {
    schema,
    table,
    column,
    quotedTable: `${quoteIdentifier(schema, "trainings.schema")}.${quoteIdentifier(table, "trainings.table")}`,
    quotedColumn: quoteIdentifier(column, "trainings.column"),
  };
}

function checkDimensions(dimensions: number, type: VectorIndexType): void {
  const wider = widerType(dimensions);
  if (wider === undefined || dimensions <= MAX_DIMENSIONS[type]) {
    checkRange("dimensions", dimensions, 1, MAX_DIMENSIONS[type]);
    return;
  }
  throw new InvalidArgumentError(
    "dimensions",
    `must be an integer from 1 to ${MAX_DIMENSIONS[type]}, or vectorIndex be ${JSON.stringify(wider)}, which holds ` +
      `up to ${MAX_DIMENSIONS[wider]}`,
  );
}

/** The first type of index that can hold vectors of so many dimensions. */
export function widerType(dimensions: number): VectorIndexType | undefined {
  return Number.isInteger(dimensions)
    ? vectorIndexTypes.find((type) => dimensions <= MAX_DIMENSIONS[type])
    : undefined;
}

function checkRange(option: string, value: number, lowest: number, highest: number): void {
  if (!Number.isInteger(value) || value < lowest || value > highest) {
    throw new InvalidArgumentError(option, `must be an integer from ${lowest} to ${highest}`);
  }
}
