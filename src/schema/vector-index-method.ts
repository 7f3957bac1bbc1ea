import { checkInteger, checkNames, isObject, namesOfProperties } from "../calls/checks.js";
import { InvalidArgumentError } from "../errors.js";
import { quoteIdentifier, quoteLiteral } from "../postgres/identifiers.js";

/** What the statement of a vector index is written with. All names are quoted. */
export interface VectorIndexNames {
  /** The column with the vectors, of pgvector's type `vector`. */
  column: string;
  /** Components of each vector. */
  dimensions: number;
  /** The schema in which pgvector is installed. */
  extensionSchema: string;
}

/**
 * A vector index of another extension than pgvector, on the full vectors in the table. Searches order by pgvector's cosine distance, so the
 * extension has to support `ORDER BY embedding <=> $1` on columns of type `vector`. Give the same to `migrate` and to `initialize`.
 */
export interface VectorIndexMethod {
  /** The name of its access method, as in `pg_am`: `diskann`. */
  method: string;
  /**
   * Returns the rest of the statement behind `CREATE INDEX name ON table`: `USING diskann (embedding vector_cosine_ops)`. Must return the same
   * for the same names.
   */
  create: (names: VectorIndexNames) => string;
  /**
   * Settings of each search, by name, in force for its statement only. The value `$efSearch` stands for the `efSearch` of the search. Default:
   * none.
   */
  settings?: Readonly<Record<string, string>> | undefined;
}

const METHOD = namesOfProperties<VectorIndexMethod>({ method: true, create: true, settings: true });
/** The value of a setting that is the `efSearch` of the search. */
const EF_SEARCH = "$efSearch";
/** A custom setting: the extension's prefix, and the name. */
const SETTING = /^[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*$/i;

/** @throws {@link InvalidArgumentError} */
export function checkIndexMethod(given: unknown, owner: string): VectorIndexMethod {
  checkNames(given, METHOD, owner, "vectorIndex");
  const { method, create, settings = {} } = given as Partial<VectorIndexMethod>;
  if (typeof method !== "string" || !/^[a-z_][a-z0-9_]*$/.test(method)) {
    throw new InvalidArgumentError("vectorIndex.method", 'must be the name of an access method, such as "diskann"');
  }
  if (typeof create !== "function") throw new InvalidArgumentError("vectorIndex.create", "must be a function");
  if (!isObject(settings)) throw new InvalidArgumentError("vectorIndex.settings", "must be an object");
  for (const [name, value] of Object.entries(settings)) {
    if (!SETTING.test(name) || typeof value !== "string") {
      throw new InvalidArgumentError(
        "vectorIndex.settings",
        `must be settings of an extension with texts as values, such as { "vchordrq.probes": "10" }`,
      );
    }
  }
  return { method, create, settings };
}

/** @throws {@link InvalidArgumentError} if the method's function returns something else than it should */
export function usingClause({ method, create }: VectorIndexMethod, names: VectorIndexNames): string {
  const text: unknown = create(names);
  if (typeof text === "string" && new RegExp(`^\\s*USING\\s+"?${method}"?\\s*\\(`, "i").test(text)) return text;
  throw new InvalidArgumentError("vectorIndex.create", `must return a text that begins with USING ${method} (`);
}

/** SQL that sets the settings of a search for its statement. `$2` is its `efSearch`, as text. */
export function setSettings(settings: Readonly<Record<string, string>> = {}): string {
  return settingsOf(settings)
    .map(([name, value]) => ` || set_config(${name}, ${value}, true)`)
    .join("");
}

/** SQL of the names and values of the settings of a search. */
export function settingsOf(settings: Readonly<Record<string, string>> = {}): [name: string, value: string][] {
  return Object.entries(settings).map(([name, value]) => [
    quoteLiteral(name),
    value === EF_SEARCH ? "$2" : quoteLiteral(value),
  ]);
}

/** Options of {@link diskannIndex}. */
export interface DiskannOptions {
  /** The schema in which pgvectorscale is installed. Default: that of pgvector. */
  schema?: string | undefined;
  /** Neighbors of each node, 10 to 1,000. Default: that of the extension, 50. */
  numNeighbors?: number | undefined;
  /** Candidates that a search compares again by their full vectors, 0 to 1,000. Default: that of the extension, 50. */
  queryRescore?: number | undefined;
}

/**
 * The index of pgvectorscale, `diskann`: a graph that need not fit into memory. `efSearch` is its `query_search_list_size`. Install it first:
 * `CREATE EXTENSION vectorscale`.
 *
 * @throws `InvalidArgumentError`
 * @see https://github.com/timescale/pgvectorscale
 */
export function diskannIndex({ schema, numNeighbors, queryRescore }: DiskannOptions = {}): VectorIndexMethod {
  const quoted = schema === undefined ? undefined : quoteIdentifier(schema, "schema");
  const parameters =
    numNeighbors === undefined ? "" : ` WITH (num_neighbors = ${checkInteger("numNeighbors", numNeighbors, 10, 1000)})`;
  const rescore =
    queryRescore === undefined
      ? {}
      : { "diskann.query_rescore": checkInteger("queryRescore", queryRescore, 0, 1000).toString() };
  return {
    method: "diskann",
    create: ({ column, extensionSchema }) =>
      `USING diskann (${column} ${quoted ?? extensionSchema}.vector_cosine_ops)${parameters}`,
    settings: { "diskann.query_search_list_size": EF_SEARCH, ...rescore },
  };
}

/** Options of {@link vchordrqIndex}. */
export interface VchordrqOptions {
  /** The schema in which VectorChord is installed. Default: that of pgvector. */
  schema?: string | undefined;
  /** Into how many lists the vectors are divided, 1 to 1,000,000. Default: not divided, for up to about a million chunks. */
  lists?: number | undefined;
  /** How many of the lists a search reads, 1 to `lists`. Default with `lists`: a tenth of them. */
  probes?: number | undefined;
  /** Weighs recall against speed, 0 to 4. Default: that of the extension, 1.9. */
  epsilon?: number | undefined;
}

/**
 * The index of VectorChord, `vchordrq`. `efSearch` does not affect it: `probes` and `epsilon` do. Install it first: `shared_preload_libraries =
 * 'vchord'`, and `CREATE EXTENSION vchord`.
 *
 * @throws `InvalidArgumentError`
 * @see https://docs.vectorchord.ai/vectorchord/usage/indexing.html
 */
export function vchordrqIndex({ schema, lists, probes, epsilon }: VchordrqOptions = {}): VectorIndexMethod {
  const quoted = schema === undefined ? undefined : quoteIdentifier(schema, "schema");
  if (lists !== undefined) checkInteger("lists", lists, 1, 1_000_000);
  if (probes !== undefined && lists === undefined) throw new InvalidArgumentError("probes", "needs lists");
  const read = lists === undefined ? "" : checkInteger("probes", probes ?? Math.ceil(lists / 10), 1, lists).toString();
  if (epsilon !== undefined && !(epsilon >= 0 && epsilon <= 4)) {
    throw new InvalidArgumentError("epsilon", "must be a number from 0 to 4");
  }
  // The vectors of texts are compared by their angle, so lists are made of normalized ones.
  const options =
    lists === undefined
      ? ""
      : ` WITH (options = $$[build.internal]\nlists = [${lists}]\nspherical_centroids = true\n$$)`;
  return {
    method: "vchordrq",
    create: ({ column, extensionSchema }) =>
      `USING vchordrq (${column} ${quoted ?? extensionSchema}.vector_cosine_ops)${options}`,
    settings: {
      "vchordrq.probes": read,
      ...(epsilon === undefined ? {} : { "vchordrq.epsilon": epsilon.toString() }),
    },
  };
}
