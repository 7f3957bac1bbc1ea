import { DatabaseError } from "../errors.js";
import { boundedPool } from "./bounded-database.js";
import { query, sqlStateOf, type DatabasePool, type Queryable } from "./database.js";

/** Settings of a role, a database or a server that end what takes long; `transaction_timeout` came with Postgres 17. */
const TIMEOUTS =
  "'statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout'";

/** query_canceled, lock_not_available, transaction_timeout */
const TIMEOUT_STATES = new Set(["57014", "55P03", "25P04"]);

/**
 * Lets the transaction that `client` is in take as long as it takes: a migration that is ended half way would be ended half
 * way each time. Gone with the transaction.
 */
export async function liftTimeouts(client: Queryable): Promise<void> {
  await query(client, "SET LOCAL statement_timeout = 0"); // the quickest one first: it holds for the next
  await query(
    client,
    `SELECT pg_catalog.set_config(name, '0', true) FROM pg_catalog.pg_settings WHERE name IN (${TIMEOUTS})`,
  );
}

/**
 * Runs a statement that cannot be in a transaction, and lets it take as long as it takes, where nothing of that can stay in
 * a session that others get. A connection that goes straight to the server is ours while it is checked out; behind a
 * pooler, which shows in the process that the server names, what is set could be the next client's.
 *
 * @throws {@link DatabaseError} that names the setting which ended the statement, and what to run
 */
export async function withoutTimeouts<T>(
  pool: DatabasePool,
  work: (client: Queryable) => Promise<T>,
): Promise<T> {
  const client = await boundedPool(pool).connect();
  let broken: Error | undefined;
  try {
    const { processId, timeouts } = await readTimeouts(client);
    const isOurs = client.processId === processId;
    const lifted = isOurs ? timeouts : [];
    await setTimeouts(client, lifted, () => "0");
    try {
      return await work(client);
    } catch (error) {
      throw isOurs ? error : namingTimeouts(error, timeouts);
    } finally {
      await setTimeouts(client, lifted, ({ value }) => value).catch((error: unknown) => {
        broken ??= error instanceof Error ? error : new Error(String(error));
      });
    }
  } finally {
    client.release(broken);
  }
}

/** A timeout that is on, in milliseconds. */
interface Timeout {
  name: string;
  value: string;
}

async function readTimeouts(client: Queryable): Promise<{ processId: number; timeouts: Timeout[] }> {
  const rows = await query<{ process_id: string; name: string | null; value: string | null }>(
    client,
    `SELECT pg_catalog.pg_backend_pid()::text AS process_id, s.name, s.setting AS value FROM (SELECT) AS one
    LEFT JOIN pg_catalog.pg_settings s ON s.name IN (${TIMEOUTS}) AND s.setting <> '0'`,
  );
  const timeouts = rows.flatMap(({ name, value }) =>
    name === null || value === null ? [] : { name, value },
  );
  return { processId: Number(rows[0]?.process_id), timeouts };
}

async function setTimeouts(
  client: Queryable,
  timeouts: readonly Timeout[],
  valueOf: (timeout: Timeout) => string,
): Promise<void> {
  if (timeouts.length === 0) return;
  await query(
    client,
    `SELECT pg_catalog.set_config(s.name, s.value, false)
    FROM unnest($1::text[], $2::text[]) AS s (name, value)`,
    [timeouts.map(({ name }) => name), timeouts.map(valueOf)],
  );
}

function namingTimeouts(error: unknown, timeouts: readonly Timeout[]): unknown {
  const sqlState = sqlStateOf(error);
  if (timeouts.length === 0 || !TIMEOUT_STATES.has(sqlState ?? "")) return error;
  const settings = timeouts.map(({ name, value }) => `${name} (${value} ms)`).join(", ");
  return new DatabaseError(
    `Postgres ended a statement that takes long (SQLSTATE ${sqlState}): this role has ${settings}, and behind a pooler that ` +
      "cannot be set for one statement. Run this through a pool that goes straight to the server, or as a role without: " +
      timeouts.map(({ name }) => `ALTER ROLE ... SET ${name} = 0`).join(", "),
    { code: "DATABASE_FAILED", retryable: false, sqlState, cause: error },
  );
}
