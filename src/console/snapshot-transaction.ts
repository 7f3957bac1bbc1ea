import type { DatabaseClient, DatabasePool } from "../calls/host-database.js";
import { AbortError, orAbort } from "../errors.js";
import { translateError } from "../postgres/database.js";
import { traceStatement } from "../postgres/statement-trace.js";

/**
 * Runs work in a transaction of its own at REPEATABLE READ: all of it sees the state of its first statement, and Postgres refuses to
 * write a row that has changed since. The library joins it by its client, as it joins a transaction of a host.
 *
 * @throws {@link DatabaseError} `CONFLICT` for a row that has changed
 */
export async function inSnapshotTransaction<T>(
  pool: DatabasePool,
  signal: AbortSignal,
  work: (client: DatabaseClient) => Promise<T>,
): Promise<T> {
  const client = await connect(pool, signal);
  let broken: Error | undefined;
  // Without a listener a lost connection ends the process.
  const onError = (error: Error): void => {
    broken ??= error;
  };
  client.on("error", onError);
  try {
    await run(client, "BEGIN ISOLATION LEVEL REPEATABLE READ");
    const result = await work(client);
    await run(client, "COMMIT");
    return result;
  } catch (error) {
    broken ??= await rollBack(client);
    throw error;
  } finally {
    client.removeListener("error", onError);
    client.release(broken);
  }
}

async function connect(pool: DatabasePool, signal: AbortSignal): Promise<DatabaseClient> {
  const connecting = pool.connect();
  try {
    return await orAbort(() => connecting, signal);
  } catch (error) {
    // A client that comes too late goes back.
    void connecting.then(
      (client) => {
        client.release();
      },
      () => undefined,
    );
    throw AbortError.is(error) ? error : translateError(error);
  }
}

async function run(client: DatabaseClient, statement: string): Promise<void> {
  try {
    await traceStatement(statement, () => client.query(statement));
  } catch (error) {
    throw translateError(error);
  }
}

/** @returns why the pool has to close the client, if it has to */
async function rollBack(client: DatabaseClient): Promise<Error | undefined> {
  try {
    await traceStatement("ROLLBACK", () => client.query("ROLLBACK"));
    return undefined;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}
