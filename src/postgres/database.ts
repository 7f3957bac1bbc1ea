import { boundedPool, type BoundedClient } from "./bounded-database.js";
import { translateError } from "./error-table.js";
import { hostClient } from "./host-client.js";
import { withName, type StatementName } from "./statement-names.js";
import type { DatabasePool, Queryable } from "../calls/host-database.js";

export {
  DATA_EXCEPTION,
  isSchemaChange,
  profileRetired,
  PROFILE_RETIRED_STATE,
  sqlStateOf,
  translateError,
} from "./error-table.js";
export type { DatabaseClient, DatabasePool, Queryable } from "../calls/host-database.js";

/** A number in a row. A host's type parsers may turn numbers into strings, so read it with `Number()`. */
export type HostNumber = number | string;

/** Runs one statement under its name and returns its rows. @throws {@link DatabaseError} | {@link SchemaError} */
export async function query<Row = Record<string, unknown>>(
  database: Queryable,
  name: StatementName,
  text: string,
  values?: unknown[],
): Promise<Row[]> {
  try {
    const result = await database.query(withName(name, text), values);
    return result.rows as Row[];
  } catch (error) {
    throw translateError(error);
  }
}

/**
 * Runs `body` in a new transaction, on one client of the pool. The transaction is READ COMMITTED, whatever the host's
 * default: writes rely on each statement seeing what was committed before it.
 */
export async function inTransaction<T>(pool: DatabasePool, body: (client: Queryable) => Promise<T>): Promise<T> {
  const client = await boundedPool(pool).connect();
  let broken: Error | undefined;
  try {
    await client.query("BEGIN ISOLATION LEVEL READ COMMITTED");
    const result = await body(client);
    await client.query("COMMIT");
    return result;
  } catch (error) {
    broken = await rollBack(client);
    throw error;
  } finally {
    client.release(broken);
  }
}

/**
 * Reads in a transaction of its own, in which all statements see the same state of the database. It keeps a client of the pool until
 * the caller has read everything, or has left.
 */
export async function* inSnapshot<T>(
  pool: DatabasePool,
  body: (client: Queryable) => AsyncGenerator<T, void, undefined>,
): AsyncGenerator<T, void, undefined> {
  const client = await boundedPool(pool).connect();
  try {
    await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    yield* body(client);
  } finally {
    client.release(await rollBack(client));
  }
}

/**
 * Ends a transaction. A failing ROLLBACK must not hide an earlier error.
 *
 * @returns why the pool has to close the client, if it has to
 */
async function rollBack(client: BoundedClient): Promise<Error | undefined> {
  try {
    await client.rollback();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/**
 * Runs `body` in the current transaction of the host's `client`, behind a savepoint: if `body` fails, its changes are
 * rolled back and the host's transaction can continue.
 *
 * @throws {@link InvalidArgumentError} for a client that is not in a transaction
 */
export async function inSavepoint<T>(client: Queryable, body: (client: Queryable) => Promise<T>): Promise<T> {
  return hostClient(client).write(body);
}
