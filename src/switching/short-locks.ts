import { setTimeout as sleep } from "node:timers/promises";
import { DatabaseError, throwIfAborted } from "../errors.js";
import type { Notify } from "../calls/notices.js";
import type { BoundedPool } from "../postgres/bounded-database.js";
import { inTransaction, query, sqlStateOf, type Queryable } from "../postgres/database.js";

/** How long a lock is waited for. Everybody who needs the locked table waits behind. */
const LOCK_TIMEOUT_MS = 400;
/** How often it is tried, with pauses in which the others work: somewhat more than a minute. */
const MAX_ATTEMPTS = 60;
const PAUSE_MS = 1000;

/** lock_not_available and deadlock_detected */
const BUSY = new Set(["55P03", "40P01"]);

/** Dependencies of {@link withShortLocks}. */
export interface LockParts {
  pool: BoundedPool;
  notify: Notify;
  signal: AbortSignal | undefined;
}

/**
 * Runs a transaction that locks tables, and gives up a lock that is not free soon: it is tried again after a pause, so that nobody waits for
 * long behind an open transaction of the host.
 *
 * @param body - what is done, with the number of the attempt
 * @throws {@link DatabaseError} `CONFLICT` if the tables are never free; nothing has changed then
 */
export async function withShortLocks<T>(
  { pool, notify, signal }: LockParts,
  what: string,
  body: (client: Queryable, attempt: number) => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    throwIfAborted(signal);
    try {
      return await inTransaction(pool.within({ signal }), async (client) => {
        await query(client, "set-parameters", "SELECT pg_catalog.set_config('lock_timeout', $1, true)", [
          LOCK_TIMEOUT_MS.toString(),
        ]);
        return body(client, attempt);
      });
    } catch (error) {
      if (!BUSY.has(sqlStateOf(error) ?? "")) throw error;
      if (attempt === MAX_ATTEMPTS) throw neverFree(what, error);
      if (attempt % 10 === 1) {
        const message = `The tables are locked by an open transaction, so ${what} is tried again`;
        notify({ code: "RETRY", message, cause: error });
      }
    }
    await sleep(PAUSE_MS, undefined, signal ? { signal } : {}).catch(() => {
      throwIfAborted(signal);
    });
  }
}

function neverFree(what: string, cause: unknown): DatabaseError {
  return new DatabaseError(
    `The tables of the index were locked all the time, by an open transaction or a VACUUM, so ${what} was not possible and nothing has ` +
      "changed: see pg_stat_activity and pg_blocking_pids, and call switchModel again",
    { code: "CONFLICT", retryable: true, cause },
  );
}
