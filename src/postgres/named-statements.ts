import { createHash } from "node:crypto";
import type { Notify } from "../calls/notices.js";
import { BoundedPool, type Limits, type NamedStatement } from "./bounded-database.js";
import { inTransaction, query, type Queryable } from "./database.js";
import { isNameNotKept, isSchemaChange, translateError } from "./error-table.js";
import { withName, type StatementName } from "./statement-names.js";

/**
 * The highest number of named statements; after a schema change the count starts again. A connection keeps each one until it
 * closes, and each shape of a filter makes a new statement: a host's users may think of any number of them.
 */
const MAX_NAMES = 50;

/** The part of {@link BoundedPool} that accepts a named statement. */
interface NamingPool {
  query(statement: NamedStatement): ReturnType<Queryable["query"]>;
}

/** A statement as it is sent, with the first part of the name under which it is prepared. */
interface PreparedText {
  name: string;
  text: string;
}

/** How a statement runs, see {@link NamedStatements.query}. */
export interface StatementOptions {
  keepsPlan: boolean;
  compiles?: boolean;
}

/** The names of the statements of one pool. */
interface Names {
  /** `false` if connections do not keep named statements: then none is named. */
  areKept: boolean;
  readonly byText: Map<string, PreparedText>;
  /** Whether the host has been told that there are no more names. */
  isFull: boolean;
  /** Part of each name. It is raised after a schema change, since connections keep statements that have become unusable. */
  generation: number;
  readonly notify: Notify | undefined;
}

/**
 * Runs statements under a name, so that Postgres parses and plans them once per connection: that is about a fifth of the
 * time of a search. A pooler in transaction mode may not keep them (PgBouncer before 1.21, or with
 * `max_prepared_statements = 0`): then the statement runs again without a name, and so do all later ones. A statement that
 * fails because the schema has changed since it was prepared also runs again without a name; later ones get new names.
 *
 * Only for statements that are a transaction of their own: in the host's transaction the first failure would abort it.
 * A failure rolls back all that the statement did, so a statement that writes can run again, too.
 *
 * @see https://node-postgres.com/features/queries#prepared-statements
 */
export class NamedStatements {
  readonly #database: Queryable;
  readonly #names: Names;

  /** @param database - a client gets no names: a name that a pooler does not keep would abort the host's transaction */
  constructor(database: Queryable, notify?: Notify, names?: Names) {
    this.#database = database;
    this.#names = names ?? { areKept: takesNames(database), byText: new Map(), isFull: false, generation: 0, notify };
  }

  /** The same statements, with the limits of one call. */
  within(limits: Pick<Limits, "signal">): NamedStatements {
    if (limits.signal === undefined || !(this.#database instanceof BoundedPool)) return this;
    return this.on(this.#database.within(limits));
  }

  /** The same statements on another database: the pool with the limits of a call, or a client, which gets no names. */
  on(database: Queryable): NamedStatements {
    return new NamedStatements(database, undefined, takesNames(database) ? this.#names : undefined);
  }

  /** Whether statements can still be named. */
  get areKept(): boolean {
    return this.#names.areKept;
  }

  /**
   * The same statements and names in a transaction on a client of the pool. A name that a pooler does not keep fails the transaction, and is
   * not used again: only for reads that can be repeated.
   */
  inTransaction(client: Queryable): NamedStatements {
    return new NamedStatements(client, undefined, this.#names);
  }

  /** The plan that Postgres makes for a statement and its values, with its costs. Does not run the statement. */
  async explain(text: string, values: unknown[]): Promise<string> {
    const rows = await query<Record<"QUERY PLAN", string>>(
      this.#database,
      "plan-search",
      `EXPLAIN (COSTS ON, VERBOSE OFF) ${text}`,
      values,
    );
    return rows.map((row) => row["QUERY PLAN"]).join("\n");
  }

  /**
   * Runs a statement.
   *
   * @param name - says what the statement does
   * @param keepsPlan - whether a plan kept for later calls suits all values; only then is the statement prepared
   * @param compiles - `false`: Postgres must not compile the statement, however expensive it looks
   * @throws {@link DatabaseError} | {@link SchemaError}
   */
  async query<Row>(
    name: StatementName,
    text: string,
    values: unknown[],
    { keepsPlan, compiles = true }: StatementOptions,
  ): Promise<Row[]> {
    if (!compiles) return this.#uncompiled<Row>(name, text, values);
    const { generation } = this.#names;
    const prepared = keepsPlan && this.#names.areKept ? this.#prepared(name, text) : undefined;
    if (prepared !== undefined) {
      try {
        const statement = { name: `${prepared.name}_${generation}`, text: prepared.text, values };
        return (await (this.#database as unknown as NamingPool).query(statement)).rows as Row[];
      } catch (error) {
        if (isNameNotKept(error)) this.#stopNaming(error);
        else if (!isSchemaChange(error)) throw translateError(error);
        // Several statements may fail for the same change: only the first raises the generation.
        else if (this.#names.generation === generation) {
          this.#names.generation += 1;
          this.#names.byText.clear();
          this.#names.isFull = false;
        }
        if (!isNameNotKept(error)) this.#notifyRetry(error);
      }
    }
    return query<Row>(this.#database, name, text, values);
  }

  /** Runs a statement while compiling is switched off: only for this transaction, so that the session stays as the host configured it. */
  async #uncompiled<Row>(name: StatementName, text: string, values: unknown[]): Promise<Row[]> {
    const run = async (database: Queryable): Promise<Row[]> => {
      await query(database, "set-parameters", "SET LOCAL jit = off");
      return query<Row>(database, name, text, values);
    };
    return this.#database instanceof BoundedPool ? inTransaction(this.#database, run) : run(this.#database);
  }

  #stopNaming(cause: unknown): void {
    if (!this.#names.areKept) return;
    this.#names.areKept = false;
    this.#names.notify?.({
      code: "UNNAMED_STATEMENT",
      message:
        "A connection has lost its prepared statements, so this pool no longer uses them: Postgres plans every search " +
        "again. Behind PgBouncer 1.21 or later, set max_prepared_statements",
      cause,
    });
  }

  #notifyRetry(cause: unknown): void {
    this.#names.notify?.({
      code: "RETRY",
      message: "The schema of the index has changed, so a prepared statement was run again without its name",
      cause,
    });
  }

  #notifyFull(): void {
    if (this.#names.isFull) return;
    this.#names.isFull = true;
    this.#names.notify?.({
      code: "UNNAMED_STATEMENT",
      message:
        `This pool has ${MAX_NAMES} prepared statements, the most that it may have, so Postgres plans further ones every ` +
        "time: each shape of a filter makes another statement",
    });
  }

  #prepared(name: StatementName, text: string): PreparedText | undefined {
    const { byText } = this.#names;
    const known = byText.get(text);
    if (known !== undefined) return known;
    if (byText.size >= MAX_NAMES) {
      this.#notifyFull();
      return undefined;
    }
    const prepared = { name: nameOf(text), text: withName(name, text) };
    byText.set(text, prepared);
    return prepared;
  }
}

/** Whether a database accepts named statements. Only a real `pg.Pool` does: a host's wrapper may accept a text only. */
function takesNames(database: Queryable): boolean {
  return database instanceof BoundedPool && typeof (database.host as { totalCount?: unknown }).totalCount === "number";
}

/** A hash of the text: another user of the connection cannot have prepared another statement under the same name. */
function nameOf(text: string): string {
  return `training_index_${createHash("sha1").update(text).digest("hex")}`;
}
