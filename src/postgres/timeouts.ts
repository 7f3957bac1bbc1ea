import { DatabaseError } from "../errors.js";
import { boundedPool } from "./bounded-database.js";
import { query, sqlStateOf, type DatabasePool, type Queryable } from "./database.js";

/** Settings of a role, database or server that end long work. `transaction_timeout` exists since Postgres 17. */
const TIMEOUTS = "'statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout'";

/** query_canceled, lock_not_available, transaction_timeout */
const TIMEOUT_STATES = new Set(["57014", "55P03", "25P04"]);

/**
 * Turns off all timeouts for the current transaction of `client`: a migration that exceeds one would exceed it at every
 * attempt. The settings end with the transaction.
 */
export async function liftTimeouts(client: Queryable): Promise<void> {
  await query(client, "set-parameters", "SET LOCAL statement_timeout = 0"); // first, so that it cannot end the next statement
  await query(
    client,
    "set-parameters",
    `SELECT pg_catalog.set_config(s.name, '0', true) FROM pg_catalog.unnest(ARRAY[${TIMEOUTS}]) AS s (name)
    WHERE pg_catalog.current_setting(s.name, true) IS NOT NULL`,
  );
}

/**
 * Runs a statement that cannot be in a transaction, with timeouts turned off if the connection is direct. Behind a pooler
 * (recognised by a process id that differs from the connection's) they stay on: the next client of the server connection
 * could inherit the changed settings.
 *
 * @throws {@link DatabaseError} that names the timeouts of the role and the statements that turn them off, if one of them
 * ends the statement behind a pooler
 */
export async function withoutTimeouts<T>(pool: DatabasePool, work: (client: Queryable) => Promise<T>): Promise<T> {
  const bounded = boundedPool(pool);
  const client = await bounded.connect();
  let broken: Error | undefined;
  try {
    const { processId, timeouts } = await readTimeouts(client);
    const isDirect = client.processId === processId;
    const lifted = isDirect ? timeouts : [];
    if (lifted.length < timeouts.length) {
      const message = `A long statement runs under ${describeTimeouts(timeouts)}, which cannot be lifted behind a pooler`;
      bounded.notify({ code: "TIMEOUTS_KEPT", message });
    }
    await setTimeouts(client, lifted, () => "0");
    try {
      return await work(client);
    } catch (error) {
      throw isDirect ? error : namingTimeouts(error, timeouts);
    } finally {
      await setTimeouts(client, lifted, ({ value }) => value).catch((error: unknown) => {
        broken ??= error instanceof Error ? error : new Error(String(error));
      });
    }
  } finally {
    client.release(broken);
  }
}

/** A timeout that is not 0, with its value in milliseconds. */
interface Timeout {
  name: string;
  value: string;
}

async function readTimeouts(client: Queryable): Promise<{ processId: number; timeouts: Timeout[] }> {
  const rows = await query<{ process_id: string; name: string | null; value: string | null }>(
    client,
    "set-parameters",
    `SELECT pg_catalog.pg_backend_pid()::text AS process_id, s.name, s.setting AS value FROM (SELECT) AS one
    LEFT JOIN pg_catalog.pg_settings s ON s.name IN (${TIMEOUTS}) AND s.setting <> '0'`,
  );
  const timeouts = rows.flatMap(({ name, value }) => (name === null || value === null ? [] : { name, value }));
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
    "set-parameters",
    `SELECT pg_catalog.set_config(s.name, s.value, false)
    FROM unnest($1::text[], $2::text[]) AS s (name, value)`,
    [timeouts.map(({ name }) => name), timeouts.map(valueOf)],
  );
}

function describeTimeouts(timeouts: readonly Timeout[]): string {
  return timeouts.map(({ name, value }) => `${name} (${value} ms)`).join(", ");
}

function namingTimeouts(error: unknown, timeouts: readonly Timeout[]): unknown {
  const sqlState = sqlStateOf(error);
  if (timeouts.length === 0 || !TIMEOUT_STATES.has(sqlState ?? "")) return error;
  return new DatabaseError(
    `Postgres ended a long statement (SQLSTATE ${sqlState}): this role has ${describeTimeouts(timeouts)}, which cannot be changed for a ` +
      "single statement behind a pooler. Use a pool that connects to the server directly, or turn the timeouts off: " +
      timeouts.map(({ name }) => `ALTER ROLE ... SET ${name} = 0`).join(", "),
    { code: "DATABASE_FAILED", retryable: false, sqlState, cause: error },
  );
}
