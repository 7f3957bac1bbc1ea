import type { Notify } from "../calls/notices.js";
import { inSavepoint, inTransaction, sqlStateOf, type DatabasePool, type Queryable } from "../postgres/database.js";

/** foreign_key_violation: the host's row does not exist, so its training cannot be stored. */
const FOREIGN_KEY_VIOLATION = "23503";
/** serialization_failure, deadlock_detected: the transaction can be retried. */
const RETRY_STATES = new Set(["40001", "40P01"]);
const MAX_ATTEMPTS = 5;

/**
 * Runs a write in the host's transaction, behind a savepoint, if its client is given. Otherwise runs it in its own
 * transaction, and retries it after serialization failures and deadlocks, so `body` must be repeatable.
 */
export async function write<T>(
  pool: DatabasePool,
  client: Queryable | undefined,
  notify: Notify,
  body: (client: Queryable) => Promise<T>,
): Promise<T> {
  return client ? inSavepoint(client, body) : withRetries(notify, () => inTransaction(pool, body));
}

/** Like {@link write} for a single statement, which needs no explicit transaction. */
export async function writeStatement<T>(
  pool: DatabasePool,
  client: Queryable | undefined,
  notify: Notify,
  body: (database: Queryable) => Promise<T>,
): Promise<T> {
  return client ? inSavepoint(client, body) : withRetries(notify, () => body(pool));
}

async function withRetries<T>(notify: Notify, work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (attempt === MAX_ATTEMPTS) throw error;
      throwUnlessRetryable(error, notify);
    }
  }
}

/**
 * Reports to the host that a write is retried after a serialization failure or a deadlock.
 *
 * @throws any other error, as it is
 */
export function throwUnlessRetryable(error: unknown, notify: Notify): void {
  const sqlState = sqlStateOf(error) ?? "";
  if (!RETRY_STATES.has(sqlState)) throw error;
  notify({
    code: "RETRY",
    message: `Postgres rolled back a write that conflicted with another one (SQLSTATE ${sqlState}). It is retried`,
    cause: error,
  });
}

/**
 * Writes several trainings together. If the host's row of one does not exist, each training is written by itself, and
 * the outcome of that one is `gone`.
 */
export async function writeEach<Item, Outcome>(
  items: readonly Item[],
  writeAll: (items: readonly Item[]) => Promise<Outcome[]>,
  { gone, notify }: { gone: Outcome; notify: Notify },
): Promise<Outcome[]> {
  if (items.length === 0) return [];
  try {
    return await writeAll(items);
  } catch (error) {
    if (sqlStateOf(error) !== FOREIGN_KEY_VIOLATION) throw error;
    if (items.length === 1) return [gone];
    notify({
      code: "RETRY",
      message: "The host's row of a training does not exist, so the trainings of a batch are written one by one",
      cause: error,
    });
    const outcomes: Outcome[] = [];
    for (const item of items) outcomes.push((await writeEach([item], writeAll, { gone, notify }))[0] ?? gone);
    return outcomes;
  }
}
