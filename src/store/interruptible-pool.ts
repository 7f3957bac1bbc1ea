import { AbortError, throwIfAborted } from "../errors.js";
import type { DatabaseClient, DatabasePool } from "./database.js";

/**
 * The pool, with clients that are closed when the signal fires, in the middle of a statement if need be.
 *
 * To cancel a statement with `pg_cancel_backend` takes a second client, which a pool of one does not have, and a
 * request to cancel takes the address and the key of the session, which a pool does not tell. To close the connection
 * takes neither. PgBouncer then closes the one behind it, and a server that looks after its connection (see
 * `LOOK_AFTER_CONNECTION` of `index-build.ts`) ends the statement: also when this process is killed.
 */
export function interruptiblePool(pool: DatabasePool, signal: AbortSignal): DatabasePool {
  const connect = async (): Promise<DatabaseClient> => {
    throwIfAborted(signal);
    const client = await pool.connect();
    let broken: Error | undefined;
    let isReleased = false;
    const onError = (error: Error): void => {
      broken = error;
    };
    const release = (error?: Error | boolean): void => {
      if (isReleased) return;
      isReleased = true;
      signal.removeEventListener("abort", onAbort);
      client.release(error ?? broken);
      if (error === undefined && broken === undefined) client.removeListener("error", onError);
    };
    const onAbort = (): void => {
      release(new AbortError(signal.reason));
    };
    client.on("error", onError);
    if (signal.aborted) {
      release(); // it is whole
      throw new AbortError(signal.reason);
    }
    signal.addEventListener("abort", onAbort, { once: true });
    return {
      query: (text, values) => client.query(text, values),
      release,
      on: (event, listener) => client.on(event, listener),
      removeListener: (event, listener) => client.removeListener(event, listener),
    };
  };
  return {
    connect,
    query: async (text, values) => {
      const client = await connect();
      try {
        return await client.query(text, values);
      } finally {
        client.release();
      }
    },
  };
}
