import { boundedPool } from "./bounded-database.js";
import { translateError } from "./error-table.js";
import { hostClient } from "./host-client.js";
import type { DatabasePool, Queryable } from "../calls/host-database.js";

export { DATA_EXCEPTION, isSchemaChange, sqlStateOf, translateError } from "./error-table.js";
export type { DatabaseClient, DatabasePool, Queryable } from "../calls/host-database.js";

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
  const client = await boundedPool(pool).connect();
  let broken: Error | undefined;
  try {
    await query(client, "BEGIN ISOLATION LEVEL READ COMMITTED");
    const result = await body(client);
    await query(client, "COMMIT");
    return result;
  } catch (error) {
    // A failing ROLLBACK must not hide the first error; the client is then not fit to be used again.
    await client.rollback().catch((rollbackError: unknown) => {
      broken = rollbackError instanceof Error ? rollbackError : new Error(String(rollbackError));
    });
    throw error;
  } finally {
    client.release(broken);
  }
}

/**
 * Runs `body` inside the transaction that the host's `client` is in, behind a savepoint: when `body` fails, the host's
 * transaction stands as it was before.
 *
 * @throws {@link InvalidArgumentError} for a client that is in no transaction
 */
export async function inSavepoint<T>(client: Queryable, body: (client: Queryable) => Promise<T>): Promise<T> {
  return hostClient(client).write(body);
}
