import { createHash } from "node:crypto";
import { query, sqlStateOf, translateError, type Queryable } from "./database.js";

/** invalid_sql_statement_name, duplicate_prepared_statement: the connection is not the one it was. */
const NOT_KEPT = new Set(["26000", "42P05"]);

/**
 * How many statements get a name. Connections keep each of them for good, and there are as many as filters have shapes,
 * which may be as many as a host's users think of.
 */
const MOST_NAMES = 500;

/** The part of `pg.Pool` that takes a statement with a name. */
interface NamingPool {
  query(statement: { name: string; text: string; values: unknown[] }): ReturnType<Queryable["query"]>;
}

/**
 * Runs statements under a name, so that Postgres parses and plans them once a connection: about a fifth of the time of
 * a search. A pooler in transaction mode may not keep them (PgBouncer before 1.21, or with `max_prepared_statements =
 * 0`): then the statement runs again without a name, and from there on all do.
 *
 * For statements that are a transaction of their own: in the host's the first failure would end it. A name that is not
 * kept is found out before anything is run, so one that writes can run again, too.
 *
 * @see https://node-postgres.com/features/queries#prepared-statements
 */
export class NamedStatements {
  readonly #database: Queryable;
  #areKept: boolean;
  /** By text. */
  readonly #names = new Map<string, string>();

  /** @param database - a client takes no names here: a name that is not kept would end the host's transaction */
  constructor(database: Queryable) {
    this.#database = database;
    this.#areKept = takesNames(database);
  }

  /** Whether a statement may be run under a name at all. */
  get areKept(): boolean {
    return this.#areKept;
  }

  /** The plan that Postgres makes for a statement and its values; nothing is run. */
  async explain(text: string, values: unknown[]): Promise<string> {
    const rows = await query<Record<"QUERY PLAN", string>>(
      this.#database,
      `EXPLAIN (COSTS OFF, VERBOSE OFF) ${text}`,
      values,
    );
    return rows.map((row) => row["QUERY PLAN"]).join("\n");
  }

  /**
   * @param keepsPlan - whether the plan may be kept, whatever the values
   * @throws {@link DatabaseError} | {@link SchemaError}
   */
  async query<Row>(text: string, values: unknown[], { keepsPlan }: { keepsPlan: boolean }): Promise<Row[]> {
    const name = keepsPlan && this.#areKept ? this.#nameOf(text) : undefined;
    if (name !== undefined) {
      try {
        const pool = this.#database as unknown as NamingPool;
        return (await pool.query({ name, text, values })).rows as Row[];
      } catch (error) {
        if (!NOT_KEPT.has(sqlStateOf(error) ?? "")) throw translateError(error);
        this.#areKept = false;
      }
    }
    return query<Row>(this.#database, text, values);
  }

  #nameOf(text: string): string | undefined {
    const known = this.#names.get(text);
    if (known !== undefined || this.#names.size >= MOST_NAMES) return known;
    const name = nameOf(text);
    this.#names.set(text, name);
    return name;
  }
}

/** Only `pg.Pool` itself: what a host puts in its place takes a text. */
function takesNames(pool: Queryable): boolean {
  return typeof (pool as { totalCount?: unknown }).totalCount === "number";
}

/** Of the text, so that a connection that others have used cannot have another statement under the name. */
function nameOf(text: string): string {
  return `training_index_${createHash("sha1").update(text).digest("hex")}`;
}
