import { DatabaseError, endedBy, InvalidArgumentError, onAbort, throwIfAborted } from "../errors.js";
import { timeLimitOf } from "../calls/time-limit.js";
import { canCancel, cancelStatement, ENDING_MS } from "./cancel-request.js";
import { translateError } from "./error-table.js";
import type { DatabaseClient, DatabasePool, Queryable, QueryResult } from "../calls/host-database.js";

/** How long anything may take where the caller does not say, in milliseconds. With a `timeoutMs` that alone counts. */
export const DEFAULT_LIMITS_MS = { pool: 30_000, statement: 60_000 };

/** What ends the statements of a call, and its wait for a client. */
export interface Limits {
  signal?: AbortSignal | undefined;
  /** How long a statement may take, its wait for locks included. `Infinity` for builds of indexes and migrations. */
  statementMs?: number | undefined;
}

/** A statement with a name is parsed and planned once a connection. */
export interface NamedStatement {
  name: string;
  text: string;
  values: unknown[];
}

/**
 * The host's pool, with bounded waits. Each statement takes a client and gives it back. The statement of a call that is
 * given up is cancelled on the server, and its client closed: nothing that ends it late can meet a later statement.
 */
export class BoundedPool implements DatabasePool {
  readonly host: DatabasePool;
  readonly #limits: Limits;

  constructor(host: DatabasePool, limits: Limits) {
    this.host = host;
    this.#limits = limits;
  }

  /** The same pool for one call. */
  within(limits: Limits): BoundedPool {
    return new BoundedPool(this.host, { ...this.#limits, ...limits });
  }

  /** @throws {@link DatabaseError} | {@link AbortError} */
  async connect(): Promise<BoundedClient> {
    const { signal } = this.#limits;
    throwIfAborted(signal);
    const connecting = startConnecting(this.host);
    const limitMs = timeLimitOf(signal) === undefined ? DEFAULT_LIMITS_MS.pool : Infinity;
    let arrived: { value: DatabaseClient } | undefined;
    try {
      arrived = await settledWithin(connecting, limitMs, signal);
    } catch (error) {
      throw translateError(error);
    }
    if (arrived) return new BoundedClient(checkPoolClient(arrived.value), this.#limits);
    connecting.then((client) => {
      client.release();
    }, noop);
    const wait = `a client of the pool${describeUse(this.host)}`;
    throw timedOut(
      signal,
      limitMs,
      wait,
      "inside a transaction pass its client, { client }; else give the pool more (max)",
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
}

/** A client of the host's pool while the library has it. */
export class BoundedClient implements DatabaseClient {
  readonly #client: DatabaseClient;
  readonly #limits: Limits;
  /** Why the client cannot be used any more. */
  #broken: Error | undefined;
  // A client that is checked out has no listener of the pool's: a lost connection would end the process.
  readonly #onError = (error: Error): void => {
    this.#broken ??= error;
  };

  constructor(client: DatabaseClient, limits: Limits) {
    this.#client = client;
    this.#limits = limits;
    client.on("error", this.#onError);
  }

  async query(statement: string | NamedStatement, values?: unknown[]): Promise<QueryResult> {
    if (this.#broken) throw this.#broken;
    const { signal } = this.#limits;
    throwIfAborted(signal);
    const limitMs = statementLimit(this.#limits);
    const running = startQuery(this.#client, statement, values);
    let settled: { value: QueryResult } | undefined;
    try {
      settled = await settledWithin(running, limitMs, signal);
    } catch (error) {
      // Of a session that was terminated the statement hears first, and the connection a moment later.
      const failure = translateError(error);
      if (failure.code === "CONNECTION_FAILED") this.#broken ??= failure;
      throw failure;
    }
    if (settled) return checkResult(settled.value, "pool");
    const ending = statementTimedOut(signal, limitMs);
    this.#broken = ending;
    // One that ended well all the same has done its work: a write must not be reported as given up.
    const late = canCancel(this.#client) ? await endStatement(this.#client, running) : undefined;
    if (late) return checkResult(late.value, "pool");
    running.catch(noop);
    throw ending;
  }

  /** The process that the connection says it is to; behind a pooler not the one that answers. */
  get processId(): unknown {
    return (this.#client as { processID?: unknown }).processID;
  }

  /** Ends a transaction that failed, also for the signal; quickly or not at all. */
  async rollback(): Promise<void> {
    if (this.#broken) throw this.#broken;
    const rollingBack = startQuery(this.#client, "ROLLBACK");
    if (await settledWithin(rollingBack, ENDING_MS)) return;
    rollingBack.catch(noop);
    throw new DatabaseError("Postgres did not answer", { code: "TIMEOUT", retryable: true });
  }

  /** Gives the client back to the pool, which closes it when it is broken. */
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

/** The pool with bounds; a pool that has some gets these in addition. */
export function boundedPool(pool: DatabasePool, limits: Limits = {}): BoundedPool {
  return pool instanceof BoundedPool ? pool.within(limits) : new BoundedPool(pool, limits);
}

/** How long a statement may take where its call has no `timeoutMs`. */
export function statementLimit({ signal, statementMs }: Limits): number {
  return statementMs ?? (timeLimitOf(signal) === undefined ? DEFAULT_LIMITS_MS.statement : Infinity);
}

/** Runs a statement; what throws at the call rejects like what throws later. */
export async function startQuery(
  database: Queryable,
  statement: string | NamedStatement,
  values?: unknown[],
): Promise<QueryResult> {
  // `pg` takes a named statement in the place of the text.
  return database.query(statement as string, values);
}

/**
 * Waits for work until the time is over or the signal fires.
 *
 * @returns `undefined` when the work has not settled by then; it goes on
 * @throws what the work throws
 */
export function settledWithin<T>(
  work: Promise<T>,
  limitMs: number,
  signal?: AbortSignal,
): Promise<{ value: T } | undefined> {
  return new Promise((resolve, reject) => {
    const stopWaiting = (): void => {
      clearTimeout(timer);
      forget?.();
    };
    const giveUp = (): void => {
      stopWaiting();
      resolve(undefined);
    };
    const timer = Number.isFinite(limitMs) ? setTimeout(giveUp, limitMs) : undefined;
    const forget = signal && onAbort(signal, giveUp);
    work.finally(stopWaiting).then((value) => {
      resolve({ value });
    }, reject);
  });
}

/** Cancels a statement. @returns its result, when it ended well before that came about */
export async function endStatement<T>(
  client: object,
  running: Promise<T>,
): Promise<{ value: T } | undefined> {
  await cancelStatement(client, running);
  return settledWithin(running, 0).catch(() => undefined);
}

/** The error of a statement that was given up. */
export function statementTimedOut(signal: AbortSignal | undefined, limitMs: number): Error {
  const wait = "a statement of Postgres, which waits for a lock or has much to do";
  return timedOut(
    signal,
    limitMs,
    wait,
    "see pg_stat_activity and pg_blocking_pids, or allow more with timeoutMs",
  );
}

/** The error of a wait that was given up: for the signal, where that has fired, else for its own limit. */
export function timedOut(
  signal: AbortSignal | undefined,
  limitMs: number,
  wait: string,
  remedy: string,
): Error {
  if (signal?.aborted) return endedBy(signal, `waiting for ${wait}: ${remedy}`);
  return new DatabaseError(`Waited ${limitMs / 1000} s for ${wait}: ${remedy}`, {
    code: "TIMEOUT",
    retryable: true,
  });
}

/** @throws {@link InvalidArgumentError} for a result that is none of `pg`'s */
export function checkResult(result: QueryResult, option: "pool" | "client"): QueryResult {
  if (Array.isArray((result as Partial<QueryResult> | undefined)?.rows)) return result;
  const given = Array.isArray(result) ? "the rows alone, as TypeORM's do" : "something else";
  throw new InvalidArgumentError(
    option,
    `must be one of pg, whose query() returns { rows, rowCount }; this one returned ${given}`,
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
    "must be a pg.Pool, whose connect() gives a client with query and release",
  );
}

/** Says how many clients are in use, where the pool tells. */
function describeUse(pool: DatabasePool): string {
  const { totalCount, idleCount, options } = pool as {
    totalCount?: unknown;
    idleCount?: unknown;
    options?: { max?: unknown };
  };
  if (typeof totalCount !== "number" || idleCount !== 0) return "";
  if (typeof options?.max === "number" && totalCount < options.max)
    return ", to which no connection could be made";
  return totalCount === 1
    ? ", whose only client is in use"
    : `, all ${totalCount} clients of which are in use`;
}

function noop(): void {
  // The caller has gone.
}
