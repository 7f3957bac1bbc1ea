import { InvalidArgumentError, throwIfAborted } from "../errors.js";
import {
  boundedPool,
  checkResult,
  endStatement,
  settledWithin,
  startQuery,
  statementLimit,
  statementTimedOut,
  timedOut,
  type BoundedPool,
  type Limits,
} from "./bounded-database.js";
import { canCancel, ENDING_MS } from "./cancel-request.js";
import { sqlStateOf, translateError } from "./error-table.js";
import type { DatabasePool, Queryable, QueryResult } from "../calls/host-database.js";

/** no_active_sql_transaction */
const NO_TRANSACTION = "25P01";
/** The same, and invalid_savepoint_specification: it was of a transaction that has ended. */
const TRANSACTION_ENDED = new Set([NO_TRANSACTION, "3B001"]);

/** The last work of the library on each client. */
const lastWork = new WeakMap<object, Promise<void>>();
let savepoints = 0;

/**
 * A client of the host's, for one call. Work of several calls is done one after the other, each behind a savepoint of its
 * own: when it fails, the host's transaction stands as it was before.
 */
export class HostClient implements Queryable {
  readonly #client: Queryable;
  readonly #limits: Limits;

  constructor(client: Queryable, limits: Limits) {
    this.#client = client;
    this.#limits = limits;
  }

  /** One statement that is part of a write. */
  query(text: string, values?: unknown[]): Promise<QueryResult> {
    return this.write((session) => session.query(text, values));
  }

  /**
   * Does work that the host's transaction keeps.
   *
   * @throws {@link InvalidArgumentError} for a client that is in no transaction, or whose transaction the host ends meanwhile
   */
  write<T>(work: (session: Queryable) => Promise<T>): Promise<T> {
    return this.#inTurn(async (session) => {
      if (!(await session.begin())) throw outsideTransaction();
      return session.undoOnFailure(async () => {
        const result = await work(session);
        await session.keep();
        return result;
      });
    });
  }

  /** Does work that only reads, and sets settings: in a transaction these are put back to what they were. */
  read<T>(work: (session: Queryable) => Promise<T>): Promise<T> {
    return this.#inTurn(async (session) => {
      if (!(await session.begin())) return work(session);
      return session.undoOnFailure(async () => {
        const result = await work(session);
        await session.undo();
        return result;
      });
    });
  }

  async #inTurn<T>(work: (session: HostSession) => Promise<T>): Promise<T> {
    const { signal } = this.#limits;
    throwIfAborted(signal);
    const earlier = lastWork.get(this.#client) ?? Promise.resolve();
    const session = new HostSession(this.#client, this.#limits);
    let finish: () => void = noop;
    const finished = new Promise<void>((resolve) => (finish = resolve));
    lastWork.set(
      this.#client,
      earlier.then(() => finished),
    );
    try {
      const limitMs = statementLimit(this.#limits);
      if (!(await settledWithin(earlier, limitMs, signal)))
        throw timedOut(
          signal,
          limitMs,
          "earlier calls on the same client",
          "give each its time, or allow more with timeoutMs",
        );
      return await work(session);
    } finally {
      void session.settled.then(finish);
    }
  }
}

/** A client of the host's, bounded by what bounds the call. */
export function hostClient(client: Queryable, limits: Limits = {}): HostClient {
  return client instanceof HostClient ? client : new HostClient(client, limits);
}

/** What the statements of a call run on: the host's client, else the pool. */
export function databaseOf(
  pool: BoundedPool,
  { client, signal }: { client?: Queryable | undefined; signal?: AbortSignal | undefined },
): Queryable {
  return client ? hostClient(client, { signal }) : pool.within({ signal });
}

/** A pool, or a client, for what only reads. */
export function boundedDatabase(database: DatabasePool | Queryable): Queryable {
  if ("connect" in database && !("processID" in database)) return boundedPool(database);
  const client = hostClient(database);
  return { query: (text, values) => client.read((session) => session.query(text, values)) };
}

/** What runs on a host's client while it is the library's turn. */
class HostSession implements Queryable {
  /** Settles when nothing of the call runs on the client any more. */
  settled: Promise<void> = Promise.resolve();
  readonly #client: Queryable;
  readonly #limits: Limits;
  #savepoint: string | undefined;
  /** Whether a statement that was given up may still run. */
  #isBusy = false;

  constructor(client: Queryable, limits: Limits) {
    this.#client = client;
    this.#limits = limits;
  }

  async query(text: string, values?: unknown[]): Promise<QueryResult> {
    const { signal } = this.#limits;
    throwIfAborted(signal);
    if (this.#savepoint !== undefined && statusOf(this.#client) === "I") throw transactionEnded();
    const limitMs = statementLimit(this.#limits);
    const isOurs = !isBusy(this.#client);
    const running = startQuery(this.#client, text, values);
    const settled = await settledWithin(running, limitMs, signal);
    if (settled) return checkResult(settled.value, "client");
    const ending = statementTimedOut(signal, limitMs);
    this.#waitFor(running);
    // A statement of the host's that ours waits for is not ours to cancel.
    if (isOurs && canCancel(this.#client)) await endStatement(this.#client, running);
    throw ending;
  }

  /** Sets a savepoint. @returns whether there is a transaction to set it in */
  async begin(): Promise<boolean> {
    if (statusOf(this.#client) === "I") return false;
    savepoints = (savepoints % Number.MAX_SAFE_INTEGER) + 1;
    const name = `training_index_${savepoints}`;
    try {
      await this.query(`SAVEPOINT ${name}`);
    } catch (error) {
      if (sqlStateOf(error) === NO_TRANSACTION) return false;
      throw translateError(error);
    }
    this.#savepoint = name;
    return true;
  }

  /** Makes what was done part of the host's transaction. */
  async keep(): Promise<void> {
    const name = this.#takeSavepoint();
    try {
      await this.query(`RELEASE SAVEPOINT ${name}`);
    } catch (error) {
      if (TRANSACTION_ENDED.has(sqlStateOf(error) ?? "")) throw transactionEnded(error);
      this.#savepoint = name; // to be undone
      throw translateError(error);
    }
  }

  /** Takes back what was done since {@link begin}, settings included. */
  async undo(): Promise<void> {
    const name = this.#takeSavepoint();
    const goBack = (): Promise<unknown> =>
      startQuery(this.#client, `ROLLBACK TO SAVEPOINT ${name}; RELEASE SAVEPOINT ${name}`);
    if (this.#isBusy) {
      this.#waitFor(this.settled.then(goBack));
      return;
    }
    const undoing = goBack();
    try {
      if (await settledWithin(undoing, ENDING_MS)) return;
    } catch (error) {
      if (TRANSACTION_ENDED.has(sqlStateOf(error) ?? "")) throw transactionEnded(error);
      throw translateError(error);
    }
    this.#waitFor(undoing); // the connection is silent
  }

  /** Does work; what was done is taken back when it fails. */
  async undoOnFailure<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      // When this fails too, the connection is gone or the transaction has ended: the first error says more.
      if (this.#savepoint !== undefined) await this.undo().catch(noop);
      throw error;
    }
  }

  #takeSavepoint(): string {
    const name = this.#savepoint ?? "training_index";
    this.#savepoint = undefined;
    return name;
  }

  #waitFor(running: Promise<unknown>): void {
    this.#isBusy = true;
    const settled = running.then(noop, noop);
    this.settled = settled;
    void settled.then(() => {
      if (this.settled === settled) this.#isBusy = false;
    });
  }
}

/** Whether a statement runs on a client of `pg`. */
function isBusy(client: Queryable): boolean {
  return (client as { readyForQuery?: unknown }).readyForQuery === false;
}

/** The state of the session as newer versions of `pg` tell it, `I` outside of a transaction; `undefined` where it may change. */
function statusOf(client: Queryable): unknown {
  if (isBusy(client)) return undefined;
  const { getTransactionStatus } = client as { getTransactionStatus?: () => unknown };
  return typeof getTransactionStatus === "function" ? getTransactionStatus.call(client) : undefined;
}

function outsideTransaction(): InvalidArgumentError {
  return new InvalidArgumentError(
    "client",
    "must be in a transaction, with which what is written stands or falls: BEGIN first, or leave client out",
  );
}

function transactionEnded(cause?: unknown): InvalidArgumentError {
  return new InvalidArgumentError(
    "client",
    "has left its transaction while the call ran, so nothing of the call counts as done: await the call before COMMIT or ROLLBACK",
    cause,
  );
}

function noop(): void {
  // Nobody is left to be told.
}
