import { DatabaseError, SchemaError, TrainingIndexError, type ErrorCode } from "../errors.js";

/** What runs one statement: a `pg.Pool`, `pg.PoolClient` or `pg.Client`. */
export interface Queryable {
  query(text: string, values?: unknown[]): Promise<{ rows: unknown[]; rowCount: number | null }>;
}

/** The part of `pg.PoolClient` that the library uses. */
export interface DatabaseClient extends Queryable {
  release(error?: Error | boolean): void;
  on(event: "error", listener: (error: Error) => void): unknown;
  removeListener(event: "error", listener: (error: Error) => void): unknown;
}

/** The part of `pg.Pool` that the library uses. It is never ended here. */
export interface DatabasePool extends Queryable {
  connect(): Promise<DatabaseClient>;
}

/** A number in a row: a host can have `pg` parse numbers into something else, which `Number()` understands. */
export type HostNumber = number | string;

/** Runs one statement and returns its rows. @throws {@link DatabaseError} | {@link SchemaError} */
export async function query<Row = Record<string, unknown>>(
  database: Queryable,
  text: string,
  values?: unknown[],
): Promise<Row[]> {
  try {
    const result = await database.query(text, values);
    return result.rows as Row[];
  } catch (error) {
    throw translateError(error);
  }
}

/**
 * Runs `body` in a transaction of its own, on one client of the pool.
 * READ COMMITTED is asked for by name: the write path relies on each statement seeing what was
 * committed before it, also where the host's default is another level.
 */
export async function inTransaction<T>(
  pool: DatabasePool,
  body: (client: Queryable) => Promise<T>,
): Promise<T> {
  const client = await connect(pool);
  let broken: Error | undefined;
  // A client that is checked out has no listener of the pool's: a lost connection would end the process.
  const onError = (error: Error): void => {
    broken = error;
  };
  client.on("error", onError);
  try {
    await query(client, "BEGIN ISOLATION LEVEL READ COMMITTED");
    const result = await body(client);
    await query(client, "COMMIT");
    return result;
  } catch (error) {
    // A failing ROLLBACK must not hide the first error; the client is then not fit to be used again.
    await client.query("ROLLBACK").catch((rollbackError: unknown) => {
      broken ??= rollbackError instanceof Error ? rollbackError : new Error(String(rollbackError));
    });
    throw error;
  } finally {
    client.removeListener("error", onError);
    client.release(broken);
  }
}

/**
 * Runs `body` inside the transaction that `client` is in, behind a savepoint: when `body` fails, the
 * host's transaction stands as it was before. Postgres itself refuses when no transaction is open.
 */
export async function inSavepoint<T>(client: Queryable, body: (client: Queryable) => Promise<T>): Promise<T> {
  await query(client, "SAVEPOINT training_index");
  try {
    const result = await body(client);
    await query(client, "RELEASE SAVEPOINT training_index");
    return result;
  } catch (error) {
    await client
      .query("ROLLBACK TO SAVEPOINT training_index; RELEASE SAVEPOINT training_index")
      .catch(() => undefined); // the connection is gone, and the transaction with it
    throw error;
  }
}

async function connect(pool: DatabasePool): Promise<DatabaseClient> {
  try {
    return await pool.connect();
  } catch (error) {
    throw translateError(error);
  }
}

interface PostgresError {
  code: string;
  table?: string;
  constraint?: string;
}

/** @see https://www.postgresql.org/docs/current/errcodes-appendix.html */
const SQLSTATE = /^[0-9A-Z]{5}$/;
/** Classes whose cause lies in the moment: transaction rollback, resources, operator intervention, I/O. */
const TRANSIENT_CLASSES = new Set(["08", "40", "53", "57", "58"]);
/** What pgvector says when its index has a vector that cannot be compared: ours have been checked before they were stored. */
export const DATA_EXCEPTION = "22000";
/** lock_not_available, object_in_use */
const TRANSIENT_STATES = new Set(["55P03", "55006"]);
/** invalid_authorization_specification, invalid_password, invalid_catalog_name (no such database) */
const REFUSED_CONNECTION_STATES = new Set(["28000", "28P01", "3D000"]);
/** undefined_table, undefined_column, undefined_function, undefined_object, invalid_schema_name */
const MISSING_OBJECT_STATES = new Set(["42P01", "42703", "42883", "42704", "3F000"]);

/** The SQLSTATE of an error of `pg`; `undefined` for anything else. */
export function sqlStateOf(error: unknown): string | undefined {
  if (DatabaseError.is(error)) return error.sqlState;
  const code = (error as PostgresError | undefined)?.code;
  return typeof code === "string" && SQLSTATE.test(code) && isPostgresError(error) ? code : undefined;
}

/** Node's own codes (`EPIPE`) have the form of a SQLSTATE; only the server's errors carry a severity. */
function isPostgresError(error: unknown): boolean {
  return typeof error === "object" && error !== null && "severity" in error;
}

/**
 * Makes a typed error of what `pg` threw. The SQLSTATE decides, never the text: messages of Postgres
 * are translated, and can hold values.
 */
export function translateError(error: unknown): TrainingIndexError {
  if (TrainingIndexError.is(error)) return error;
  const sqlState = sqlStateOf(error);
  if (sqlState === undefined) {
    return new DatabaseError("The connection to Postgres could not be made, or broke", {
      code: "CONNECTION_FAILED",
      retryable: true,
      cause: error,
    });
  }
  if (sqlState === "42501") {
    return new SchemaError("INSUFFICIENT_PRIVILEGE", insufficientPrivilegeMessage(error), error);
  }
  if (MISSING_OBJECT_STATES.has(sqlState)) {
    return new SchemaError(
      "SCHEMA_MISSING",
      `A table, function or type of the index is missing (SQLSTATE ${sqlState}): run migrate(pool, { schema })`,
      error,
    );
  }
  if (REFUSED_CONNECTION_STATES.has(sqlState)) {
    return new DatabaseError(`Postgres refused the connection (SQLSTATE ${sqlState})`, {
      code: "CONNECTION_FAILED",
      retryable: false,
      sqlState,
      cause: error,
    });
  }
  if (sqlState === DATA_EXCEPTION) {
    return new DatabaseError(
      `Postgres rejected a statement (SQLSTATE ${sqlState}): the vector index may be damaged, as VACUUM of pgvector before 0.8.4 can leave it; REINDEX it`,
      { code: "DATABASE_FAILED", retryable: false, sqlState, cause: error },
    );
  }
  const { constraint } = error as PostgresError;
  const named = constraint === undefined ? "" : `, constraint ${constraint}`;
  return new DatabaseError(`Postgres rejected a statement (SQLSTATE ${sqlState}${named})`, {
    code: codeOf(sqlState),
    retryable: TRANSIENT_CLASSES.has(sqlState.slice(0, 2)) || TRANSIENT_STATES.has(sqlState),
    sqlState,
    cause: error,
  });
}

function codeOf(sqlState: string): ErrorCode {
  // connection, shutdown, too_many_connections
  if (sqlState.startsWith("08") || sqlState.startsWith("57P") || sqlState === "53300")
    return "CONNECTION_FAILED";
  return sqlState.startsWith("40") ? "CONFLICT" : "DATABASE_FAILED"; // serialization failure, deadlock
}

function insufficientPrivilegeMessage(error: unknown): string {
  const { table } = error as PostgresError;
  const object = table === undefined ? "an object of the index" : `table ${table}`;
  return `The database role lacks a right on ${object} (SQLSTATE 42501): grant it, or connect as the role that ran migrate`;
}
