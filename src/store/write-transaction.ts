import { inSavepoint, inTransaction, sqlStateOf, type DatabasePool, type Queryable } from "./database.js";

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
  body: (client: Queryable) => Promise<T>,
): Promise<T> {
  return client ? inSavepoint(client, body) : again(() => inTransaction(pool, body));
}

/** The same for a single statement, which needs no transaction of its own. */
export async function writeStatement<T>(
  pool: DatabasePool,
  client: Queryable | undefined,
  body: (database: Queryable) => Promise<T>,
): Promise<T> {
  return client ? inSavepoint(client, body) : again(() => body(pool));
}

async function again<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (!wantsAnotherAttempt(error) || attempt === MAX_ATTEMPTS) throw error;
    }
  }
}

/** Whether Postgres gave up a transaction for the sake of others. */
export function wantsAnotherAttempt(error: unknown): boolean {
  return RETRY_STATES.has(sqlStateOf(error) ?? "");
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
