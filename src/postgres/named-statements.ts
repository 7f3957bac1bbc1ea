import { createHash } from "node:crypto";
import type { Notify } from "../calls/notices.js";
import { BoundedPool, type Limits, type NamedStatement } from "./bounded-database.js";
import { query, type Queryable } from "./database.js";
import { isNameNotKept, isSchemaChange, translateError } from "./error-table.js";

/**
 * How many statements get a name. Connections keep each of them for good, and there are as many as filters have shapes,
 * which may be as many as a host's users think of.
 */
const MOST_NAMES = 500;

/** The part of {@link BoundedPool} that takes a statement with a name. */
interface NamingPool {
  query(statement: NamedStatement): ReturnType<Queryable["query"]>;
}

/** The names of the statements of one pool. */
interface Names {
  areKept: boolean;
  /** By text. */
  readonly byText: Map<string, string>;
  /** Part of each name: connections keep a statement that a change of the schema has made unusable. */
  generation: number;
  readonly notify: Notify | undefined;
}

/**
 * Runs statements under a name, so that Postgres parses and plans them once a connection: about a fifth of the time of
 * a search. A pooler in transaction mode may not keep them (PgBouncer before 1.21, or with `max_prepared_statements =
 * 0`): then the statement runs again without a name, and from there on all do. One that fails because the schema has
 * changed since it was prepared runs again without a name, too, and from there on all have new ones.
 *
 * For statements that are a transaction of their own: in the host's the first failure would end it. Such a failure takes
 * back all that the statement did, so one that writes can run again, too.
 *
 * @see https://node-postgres.com/features/queries#prepared-statements
 */
export class NamedStatements {
  readonly #database: Queryable;
  readonly #names: Names;

  /** @param database - a client takes no names here: a name that is not kept would end the host's transaction */
  constructor(database: Queryable, notify?: Notify, names?: Names) {
    this.#database = database;
    this.#names = names ?? { areKept: takesNames(database), byText: new Map(), generation: 0, notify };
  }

  /** The same statements for one call. */
  within(limits: Pick<Limits, "signal">): NamedStatements {
    if (limits.signal === undefined || !(this.#database instanceof BoundedPool)) return this;
    return this.on(this.#database.within(limits));
  }

  /** The same statements on the pool within the limits of a call, or on a client, which takes no names. */
  on(database: Queryable): NamedStatements {
    return new NamedStatements(database, undefined, takesNames(database) ? this.#names : undefined);
  }

  /** Whether a statement may be run under a name at all. */
  get areKept(): boolean {
    return this.#names.areKept;
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
    const { generation } = this.#names;
    const name = keepsPlan && this.#names.areKept ? this.#nameOf(text) : undefined;
    if (name !== undefined) {
      try {
        const statement = { name: `${name}_${generation}`, text, values };
        return (await (this.#database as unknown as NamingPool).query(statement)).rows as Row[];
      } catch (error) {
        if (isNameNotKept(error)) this.#giveUp(error);
        else if (!isSchemaChange(error)) throw translateError(error);
        // Of several that fail together only the first has to be noted.
        else if (this.#names.generation === generation) this.#names.generation += 1;
      }
    }
    return query<Row>(this.#database, text, values);
  }

  #giveUp(cause: unknown): void {
    if (!this.#names.areKept) return;
    this.#names.areKept = false;
    this.#names.notify?.({
      code: "UNNAMED_STATEMENT",
      message:
        "A connection has lost its prepared statements, so they are not used any more: searches are planned anew each time. " +
        "Behind PgBouncer set max_prepared_statements (1.21 or later)",
      cause,
    });
  }

  #nameOf(text: string): string | undefined {
    const { byText } = this.#names;
    const known = byText.get(text);
    if (known !== undefined || byText.size >= MOST_NAMES) return known;
    const name = nameOf(text);
    byText.set(text, name);
    return name;
  }
}

/** Only `pg.Pool` itself: what a host puts in its place takes a text. */
function takesNames(database: Queryable): boolean {
  return (
    database instanceof BoundedPool &&
    typeof (database.host as { totalCount?: unknown }).totalCount === "number"
  );
}

/** Of the text, so that a connection that others have used cannot have another statement under the name. */
function nameOf(text: string): string {
  return `training_index_${createHash("sha1").update(text).digest("hex")}`;
}
