import { DatabaseError, endedBy, InvalidArgumentError, onAbort, throwIfAborted } from "../errors.js";
import { publishNotice, type Notify } from "../calls/notices.js";
import { timeLimitOf } from "../calls/time-limit.js";
import { cancelStatement, ENDING_MS } from "./cancel-request.js";
import { translateError } from "./error-table.js";
import { traceStatement } from "./statement-trace.js";
import type { DatabaseClient, DatabasePool, Queryable, QueryResult } from "../calls/host-database.js";

/** Default limits of waits, in milliseconds. They do not apply to a call with a `timeoutMs`. */
export const DEFAULT_LIMITS_MS = { pool: 30_000, statement: 60_000 };
/** After this time the host is notified that a call still waits for a client of the pool. */
const SLOW_POOL_MS = 1_000;

/** The limits of a call: they end its wait for a client, and its statements. */
export interface Limits {
  signal?: AbortSignal | undefined;
  /**
   * How long a statement may take, its wait for locks included. `Infinity` for index builds and migrations. Default:
   * see {@link DEFAULT_LIMITS_MS}.
   */
  statementMs?: number | undefined;
}

/** A statement that Postgres parses and plans once per connection. */
export interface NamedStatement {
  name: string;
  text: string;
  values: unknown[];
}

/**
 * The host's pool, with bounded waits. Each statement takes a client and returns it. When a call gives up on a statement,
 * the server is asked to cancel it and the client is closed, so that a late cancellation cannot hit another statement.
 */
export class BoundedPool implements DatabasePool {
  readonly host: DatabasePool;
  /** Reports fallbacks of the work that is done on the pool; here `SLOW_POOL`, at most once for each wait. */
  readonly notify: Notify;
  readonly #limits: Limits;

  constructor(host: DatabasePool, limits: Limits, notify: Notify) {
    this.host = host;
    this.notify = notify;
    this.#limits = limits;
  }

  /** The same pool with the limits of one call. */
  within(limits: Limits): BoundedPool {
    return new BoundedPool(this.host, { ...this.#limits, ...limits }, this.notify);
  }

  /** @throws {@link DatabaseError} | {@link AbortError} */
  async connect(): Promise<BoundedClient> {
    const { signal } = this.#limits;
    throwIfAborted(signal);
    const connecting = startConnecting(this.host);
    const limitMs = timeLimitOf(signal) === undefined ? DEFAULT_LIMITS_MS.pool : Infinity;
    let connected: { value: DatabaseClient } | undefined;
    try {
      connected = await settledWithin(connecting, SLOW_POOL_MS, signal);
      if (!connected && !signal?.aborted) {
        this.#notifySlowPool();
        connected = await settledWithin(connecting, limitMs - SLOW_POOL_MS, signal);
      }
    } catch (error) {
      throw translateError(error);
    }
    if (connected) return new BoundedClient(checkPoolClient(connected.value), this.#limits);
    connecting.then((client) => {
      client.release();
    }, noop);
    const wait = `a client of the pool${describeUse(this.host)}`;
    throw timedOut(
      signal,
      limitMs,
      wait,
      "in a transaction pass its client, { client }; otherwise raise the pool's max",
    );
  }

  async query(statement: string | NamedStatement, values?: unknown[]): Promise<QueryResult> {
    const client = await this.connect();
    try {
      return await client.query(statement, values);
    } finally {
      client.release();
    }
  }

  #notifySlowPool(): void {
    this.notify({
      code: "SLOW_POOL",
      message:
        `A call has waited ${SLOW_POOL_MS / 1000} s for a client of the pool${describeUse(this.host)}; still waiting. ` +
        "Raise the pool's max, or look for clients that are not released",
    });
  }
}

/** A client of the host's pool, from checkout to release. */
export class BoundedClient implements DatabaseClient {
  readonly #client: DatabaseClient;
  readonly #limits: Limits;
  /** Why the client can no longer be used. */
  #broken: Error | undefined;
  // The pool does not listen on a client that is checked out: without a listener a lost connection ends the process.
  readonly #onError = (error: Error): void => {
    this.#broken ??= error;
  };

  constructor(client: DatabaseClient, limits: Limits) {
    this.#client = client;
    this.#limits = limits;
    client.on("error", this.#onError);
  }

  query(statement: string | NamedStatement, values?: unknown[]): Promise<QueryResult> {
    return traceStatement(statement, () => this.#query(statement, values));
  }

  async #query(statement: string | NamedStatement, values: unknown[] | undefined): Promise<QueryResult> {
    if (this.#broken) throw this.#broken;
    const { signal } = this.#limits;
    throwIfAborted(signal);
    const limitMs = statementLimit(this.#limits);
    const running = startQuery(this.#client, statement, values);
    let settled: { value: QueryResult } | undefined;
    try {
      settled = await settledWithin(running, limitMs, signal);
    } catch (error) {
      // When a session is terminated, its statement fails a moment before the connection does.
      const failure = translateError(error);
      if (failure.code === "CONNECTION_FAILED") this.#broken ??= failure;
      throw failure;
    }
    if (settled) return checkResult(settled.value, "pool");
    const timeout = statementTimedOut(signal, limitMs);
    this.#broken = timeout;
    // A statement that succeeds all the same has done its work: a stored write must not be reported as failed.
    const late = await endStatement(this.#client, running);
    if (late) return checkResult(late.value, "pool");
    running.catch(noop);
    throw timeout;
  }

  /** The server process that the connection was opened to. Behind a pooler another process runs the statements. */
  get processId(): unknown {
    return (this.#client as { processID?: unknown }).processID;
  }

  /**
   * Rolls back a failed transaction, even if the signal has fired.
   *
   * @throws {@link DatabaseError} `TIMEOUT` if Postgres does not answer within {@link ENDING_MS}
   */
  async rollback(): Promise<void> {
    await traceStatement("ROLLBACK", () => this.#rollback());
  }

  async #rollback(): Promise<QueryResult> {
    if (this.#broken) throw this.#broken;
    const rollingBack = startQuery(this.#client, "ROLLBACK");
    const settled = await settledWithin(rollingBack, ENDING_MS);
    if (settled) return settled.value;
    rollingBack.catch(noop);
    const message = `Postgres did not answer ROLLBACK within ${ENDING_MS} ms`;
    throw new DatabaseError(message, { code: "TIMEOUT", retryable: true });
  }

  /** Returns the client to the pool, which closes it if it is broken. */
  release(error?: Error | boolean): void {
    this.#client.removeListener("error", this.#onError);
    this.#client.release(error ?? this.#broken);
  }

  on(event: "error", listener: (error: Error) => void): this {
    this.#client.on(event, listener);
    return this;
  }

  removeListener(event: "error", listener: (error: Error) => void): this {
    this.#client.removeListener(event, listener);
    return this;
  }
}

/**
 * The pool with limits. A pool that already has limits keeps those that `limits` does not set, and its `notify`.
 *
 * @param notify - default: notices are only published on their channel
 */
export function boundedPool(pool: DatabasePool, limits: Limits = {}, notify: Notify = publishNotice): BoundedPool {
  return pool instanceof BoundedPool ? pool.within(limits) : new BoundedPool(pool, limits, notify);
}

/** How long a statement may take, in milliseconds; `Infinity` if only the `timeoutMs` of its call applies. */
export function statementLimit({ signal, statementMs }: Limits): number {
  return statementMs ?? (timeLimitOf(signal) === undefined ? DEFAULT_LIMITS_MS.statement : Infinity);
}

/** Runs a statement. An error that `query` throws synchronously becomes a rejection. */
export async function startQuery(
  database: Queryable,
  statement: string | NamedStatement,
  values?: unknown[],
): Promise<QueryResult> {
  // `pg` accepts a named statement in place of the text.
  return database.query(statement as string, values);
}

/**
 * Waits for work until it settles, `limitMs` has passed or the signal fires.
 *
 * @returns `undefined` if the work has not settled by then; it keeps running
 * @throws the error of the work
 */
export function settledWithin<T>(
  work: Promise<T>,
  limitMs: number,
  signal?: AbortSignal,
): Promise<{ value: T } | undefined> {
  return new Promise((resolve, reject) => {
    const stopWaiting = (): void => {
      clearTimeout(timer);
      removeListener?.();
    };
    const giveUp = (): void => {
      stopWaiting();
      resolve(undefined);
    };
    const timer = Number.isFinite(limitMs) ? setTimeout(giveUp, limitMs) : undefined;
    const removeListener = signal && onAbort(signal, giveUp);
    work.then(stopWaiting, stopWaiting);
    work.then((value) => {
      resolve({ value });
    }, reject);
  });
}

/** Cancels a statement. @returns its result, if it succeeded before the cancellation took effect */
export async function endStatement<T>(client: object, running: Promise<T>): Promise<{ value: T } | undefined> {
  await cancelStatement(client, running);
  return settledWithin(running, 0).catch(() => undefined);
}

/** The error of a statement that took longer than its limit or was aborted. */
export function statementTimedOut(signal: AbortSignal | undefined, limitMs: number): Error {
  const wait = "a statement, which waits for a lock or has much work to do";
  return timedOut(signal, limitMs, wait, "see pg_stat_activity and pg_blocking_pids, or allow more with timeoutMs");
}

/** The error of a wait that was given up: that of the signal, if it has fired, otherwise one for the wait's own limit. */
export function timedOut(signal: AbortSignal | undefined, limitMs: number, wait: string, remedy: string): Error {
  if (signal?.aborted) return endedBy(signal, `waiting for ${wait}: ${remedy}`);
  return new DatabaseError(`Waited ${limitMs / 1000} s for ${wait}: ${remedy}`, {
    code: "TIMEOUT",
    retryable: true,
  });
}

/** @throws {@link InvalidArgumentError} for a result that is not a `pg.QueryResult` */
export function checkResult(result: QueryResult, option: "pool" | "client"): QueryResult {
  if (Array.isArray((result as Partial<QueryResult> | undefined)?.rows)) return result;
  const returned = Array.isArray(result) ? "an array of rows, as TypeORM's does" : "something else";
  throw new InvalidArgumentError(
    option,
    `must be a ${option} of pg, whose query() returns { rows, rowCount }; this one returned ${returned}`,
  );
}

async function startConnecting(pool: DatabasePool): Promise<DatabaseClient> {
  return pool.connect();
}

function checkPoolClient(client: unknown): DatabaseClient {
  const methods = ["query", "release", "on", "removeListener"];
  const given = (client ?? {}) as Record<string, unknown>;
  if (methods.every((name) => typeof given[name] === "function")) return client as DatabaseClient;
  throw new InvalidArgumentError(
    "pool",
    "must be a pg.Pool: connect() must return a client with query, release, on and removeListener",
  );
}

/** Describes how busy the pool is, for an error. Empty if clients are idle, or the pool does not count them. */
function describeUse(pool: DatabasePool): string {
  const { totalCount, idleCount, options } = pool as {
    totalCount?: unknown;
    idleCount?: unknown;
    options?: { max?: unknown };
  };
  if (typeof totalCount !== "number" || idleCount !== 0) return "";
  if (typeof options?.max === "number" && totalCount < options.max) return ", to which no connection could be made";
  return totalCount === 1 ? ", whose only client is in use" : `, all ${totalCount} clients of which are in use`;
}

function noop(): void {
  // The caller no longer waits; the error has no one to go to.
}
