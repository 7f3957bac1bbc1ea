import type { Notify } from "../calls/notices.js";
import {
  inSavepoint,
  inTransaction,
  sqlStateOf,
  type DatabasePool,
  type Queryable,
} from "../postgres/database.js";

/** foreign_key_violation: the host's row is gone, and the training with it. */
const FOREIGN_KEY_VIOLATION = "23503";
/** serialization_failure, deadlock_detected: Postgres asks for another attempt. */
const RETRY_STATES = new Set(["40001", "40P01"]);
const MAX_ATTEMPTS = 5;

/**
 * Runs a write in the host's transaction, behind a savepoint, when its client is given; else in a transaction of
 * its own, again where Postgres asks for it. What cannot be repeated must be done before: `body` may run twice.
 */
export async function write<T>(
  pool: DatabasePool,
  client: Queryable | undefined,
  notify: Notify,
  body: (client: Queryable) => Promise<T>,
): Promise<T> {
  return client ? inSavepoint(client, body) : again(notify, () => inTransaction(pool, body));
}

/** The same for a single statement, which needs no transaction of its own. */
export async function writeStatement<T>(
  pool: DatabasePool,
  client: Queryable | undefined,
  notify: Notify,
  body: (database: Queryable) => Promise<T>,
): Promise<T> {
  return client ? inSavepoint(client, body) : again(notify, () => body(pool));
}

async function again<T>(notify: Notify, work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (attempt === MAX_ATTEMPTS) throw error;
      throwUnlessRetried(error, notify);
    }
  }
}

/**
 * Tells the host that a write is tried again, where Postgres gave up its transaction for the sake of others.
 *
 * @throws the error, where it is another
 */
export function throwUnlessRetried(error: unknown, notify: Notify): void {
  const sqlState = sqlStateOf(error) ?? "";
  if (!RETRY_STATES.has(sqlState)) throw error;
  notify({
    code: "RETRY",
    message: `Postgres gave up a write for the sake of others (SQLSTATE ${sqlState}). It is tried again`,
    cause: error,
  });
}

/**
 * Writes several trainings at once. Where the host's row of one is gone, only that one is `gone`: then each is
 * written by itself.
 */
export async function writeEach<Item, Outcome>(
  items: readonly Item[],
  writeAll: (items: readonly Item[]) => Promise<Outcome[]>,
  gone: Outcome,
): Promise<Outcome[]> {
  if (items.length === 0) return [];
  try {
    return await writeAll(items);
  } catch (error) {
    if (sqlStateOf(error) !== FOREIGN_KEY_VIOLATION) throw error;
    if (items.length === 1) return [gone];
    const outcomes: Outcome[] = [];
    for (const item of items) outcomes.push((await writeEach([item], writeAll, gone))[0] ?? gone);
    return outcomes;
  }
}
