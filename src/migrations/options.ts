import { checkNames, checkOptions, isObject, namesOfProperties } from "../calls/checks.js";
import type { Notice } from "../calls/notices.js";
import { InvalidArgumentError } from "../errors.js";
import { quoteIdentifier } from "../postgres/identifiers.js";
import { DEFAULT_SCHEMA, FIRST_PROFILE_ID, namesOf, type Names } from "../schema/layout.js";
import { textSearchLanguages, type TextSearchLanguage } from "../schema/lexemes.js";
import { idTypes } from "../schema/training-id.js";
import { checkIndexMethod, type VectorIndexMethod } from "../schema/vector-index-method.js";
import { MAX_DIMENSIONS, vectorIndexTypes, type VectorIndexType } from "../schema/vector-index.js";
import type { IdType } from "../types.js";

/** The dimensions of mxbai-embed-large, and of multilingual models that can replace it without a new table. */
export const DEFAULT_DIMENSIONS = 1024;
/** The defaults of pgvector. */
export const DEFAULT_HNSW = { m: 16, efConstruction: 64 };
/** @see https://github.com/pgvector/pgvector/blob/v0.8.0/src/hnsw.h HNSW_MIN_M and so on */
const HNSW_RANGES = { m: [2, 100], efConstruction: [4, 1000] } as const;

/** The host's table of trainings. */
export interface HostTable {
  /** The schema of the table. Default `public`. */
  schema?: string | undefined;
  /** The name of the table, unquoted. */
  table: string;
  /** Its primary key or another unique column, which holds the training ids. Default `id`. */
  column?: string | undefined;
}

/**
 * Options of {@link migrate}. On a schema that is already migrated, options that are left out keep their stored values.
 * `vectorIndex` and `textSearch` can be changed, `dimensions` while no vectors are stored, `idType` from `integer` to
 * `bigint`, `hnsw` while the vector index is missing, and `trainings` can be added. Other changes are refused with the
 * code `SCHEMA_CONFLICT`.
 */
export interface MigrateOptions {
  /** The schema of the index, which nothing else should use; created if it is missing. Default `training_index`. */
  schema?: string | undefined;
  /**
   * Components of each vector, 1 to 2000; up to 4000 with a `halfvec` index, 16000 with a `bit` index. Default 1024.
   */
  dimensions?: number | undefined;
  /** The type of training ids. Default: the type of the host's column if `trainings` is given, otherwise `text`. */
  idType?: IdType | undefined;
  /**
   * Adds a foreign key to the host's table: deleting a row there deletes its training and chunks in the same
   * transaction, and a training without a row cannot be stored. Default: no foreign key.
   */
  trainings?: HostTable | undefined;
  /**
   * What the vector index holds of each vector: all of it, half-precision components, or one bit per component. The
   * table always stores the full vectors. Default `vector`. To change it, `migrate` builds the new index beside the old
   * one, while searches and writes continue. Or the index of another extension, see {@link VectorIndexMethod}: give it to each `migrate`.
   */
  vectorIndex?: VectorIndexType | VectorIndexMethod | undefined;
  /**
   * The language of text search, which the search modes `text` and `hybrid` need; `false` for none. It makes writes
   * slower and takes extra space. Default `false`. On an existing schema `migrate` adds it, changes the language, or
   * with `false` removes it. The words of existing chunks are stored in batches, while writes and searches continue.
   */
  textSearch?: TextSearchLanguage | false | undefined;
  /**
   * Parameters of the HNSW index: `m` 2 to 100, default 16; `efConstruction` 4 to 1000 and at least twice `m`, default
   * 64 or twice `m`, whichever is more.
   */
  hnsw?: { m?: number | undefined; efConstruction?: number | undefined } | undefined;
  /**
   * On the coordinator of a Citus cluster: `"schema"` gives the whole schema to one of the nodes, which Citus chooses. Everything then works
   * as on one server; docs/scaling.md has what does not. `"tables"` spreads the trainings over all nodes, each with its chunks on one: for
   * an index that is larger than a node. It has no text search, and its searches are slower; docs/scaling.md has the rest. On an existing
   * schema `migrate` moves its rows. A schema that is distributed stays so without the option. Default: the tables stay where `migrate` runs.
   */
  citus?: "schema" | "tables" | undefined;
  /** The schema to install pgvector in, if it is not installed yet. Default `public`. */
  extensionSchema?: string | undefined;
  /**
   * Called with each fallback of this call, such as a step that is postponed or done again. Errors that it throws are ignored.
   * Default: fallbacks are only published on the channel `langchain-training-index:notice`.
   */
  onNotice?: ((notice: Notice) => void) | undefined;
}

/** Names of the options of `migrate`. */
export const MIGRATE_OPTIONS = namesOfProperties<MigrateOptions>({
  schema: true,
  dimensions: true,
  idType: true,
  trainings: true,
  vectorIndex: true,
  textSearch: true,
  hnsw: true,
  citus: true,
  extensionSchema: true,
  onNotice: true,
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

/** Checked options with all defaults filled in. */
export interface MigrationPlan {
  schema: string;
  names: Names;
  dimensions: number;
  idType: IdType;
  trainings: ResolvedHostTable | undefined;
  vectorIndex: VectorIndexType;
  /** Takes the place of HNSW for an index of type `vector`. */
  method: VectorIndexMethod | undefined;
  textSearch: TextSearchLanguage | undefined;
  hnsw: { m: number; efConstruction: number };
  extensionSchema: string;
}

/** What the vector index of a profile is built from. */
export type VectorIndexPlan = Pick<MigrationPlan, "schema" | "names" | "dimensions" | "hnsw" | "method">;

/** The names of a host's table, plain and quoted for SQL. */
export interface ResolvedHostTable {
  schema: string;
  table: string;
  column: string;
  quotedTable: string;
  quotedColumn: string;
}

/** Options that the database already determines. */
export interface FoundOptions {
  extensionSchema?: string | undefined;
  /** The type of the host's column. */
  hostIdType?: IdType | undefined;
  /** The active profile. Default: the first one. */
  profileId?: number | undefined;
}

/**
 * Checks the options and fills in the defaults.
 *
 * @throws {@link InvalidArgumentError} naming the option at fault
 */
export function planMigration(options: MigrateOptions, found: FoundOptions = {}): MigrationPlan {
  const schema = options.schema ?? DEFAULT_SCHEMA;
  const extensionSchema = found.extensionSchema ?? options.extensionSchema ?? "public";
  const dimensions = options.dimensions ?? DEFAULT_DIMENSIONS;
  const method = requestedMethod(options);
  const vectorIndex = indexTypeOf(options.vectorIndex) ?? "vector";
  if (!vectorIndexTypes.includes(vectorIndex)) {
    throw new InvalidArgumentError("vectorIndex", `must be one of ${vectorIndexTypes.join(", ")}`);
  }
  // The limits of another extension are its own: it says so when the index is created.
  if (method) checkRange("dimensions", dimensions, 1, MAX_DIMENSIONS.bit);
  else checkDimensions(dimensions, vectorIndex);
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
    names: namesOf({ schema, extensionSchema, profileId: found.profileId ?? FIRST_PROFILE_ID }),
    dimensions,
    idType,
    trainings: options.trainings && resolveHostTable(options.trainings),
    vectorIndex,
    method,
    textSearch: textSearch === false ? undefined : textSearch,
    hnsw,
    extensionSchema,
  };
}

/** The index of another extension that is asked for. @throws {@link InvalidArgumentError} */
export function requestedMethod({ vectorIndex }: MigrateOptions): VectorIndexMethod | undefined {
  return isObject(vectorIndex) ? checkIndexMethod(vectorIndex, "migrate") : undefined;
}

/** The type of a requested vector index: one of another extension holds the full vectors, and has the name of that type. */
export function indexTypeOf(given: MigrateOptions["vectorIndex"]): VectorIndexType | undefined {
  return isObject(given) ? "vector" : given;
}

/** The names of a host's table. @throws {@link InvalidArgumentError} */
export function resolveHostTable({ schema = "public", table, column = "id" }: HostTable): ResolvedHostTable {
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
    `must be an integer from 1 to ${MAX_DIMENSIONS[type]}; with vectorIndex: ${JSON.stringify(wider)} up to ` +
      `${MAX_DIMENSIONS[wider]}`,
  );
}

/** The first index type that can hold vectors with this many dimensions. */
export function widerType(dimensions: number): VectorIndexType | undefined {
  return Number.isInteger(dimensions) ? vectorIndexTypes.find((type) => dimensions <= MAX_DIMENSIONS[type]) : undefined;
}

function checkRange(option: string, value: number, lowest: number, highest: number): void {
  if (!Number.isInteger(value) || value < lowest || value > highest) {
    throw new InvalidArgumentError(option, `must be an integer from ${lowest} to ${highest}`);
  }
}
