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
import { traceStatement } from "./statement-trace.js";
import { clientOf, type DatabasePool, type Queryable, type QueryResult } from "../calls/host-database.js";
import type { TransactionClient } from "../calls/orm-transactions.js";

/** no_active_sql_transaction */
const NO_TRANSACTION = "25P01";
/** no_active_sql_transaction and invalid_savepoint_specification: the savepoint's transaction has ended */
const TRANSACTION_ENDED = new Set([NO_TRANSACTION, "3B001"]);

/** Resolves when the library's latest work on a client has ended. */
const lastWork = new WeakMap<object, Promise<void>>();
let savepoints = 0;

/**
 * The host's client, used by one call. Calls that share a client run one after the other, each behind its own savepoint:
 * if a call fails, its changes are rolled back and the host's transaction can continue.
 */
export class HostClient implements Queryable {
  readonly #given: TransactionClient;
  readonly #limits: Limits;

  constructor(given: TransactionClient, limits: Limits) {
    this.#given = given;
    this.#limits = limits;
  }

  /** Runs a single statement as a {@link write}. */
  query(text: string, values?: unknown[]): Promise<QueryResult> {
    return this.write((session) => session.query(text, values));
  }

  /**
   * Does work that becomes part of the host's transaction.
   *
   * @throws {@link InvalidArgumentError} for a client that is not in a transaction, or if the host ends the transaction
   * while the work runs
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

  /** Does work that only reads and may change settings. In a transaction the savepoint's rollback restores the settings. */
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
    const found = clientOf(this.#given);
    const client = found instanceof Promise ? await found : found;
    const earlier = lastWork.get(client) ?? Promise.resolve();
    const session = new HostSession(client, this.#limits);
    let finish: () => void = noop;
    const finished = new Promise<void>((resolve) => (finish = resolve));
    lastWork.set(
      client,
      earlier.then(() => finished),
    );
    try {
      const limitMs = statementLimit(this.#limits);
      if (!(await settledWithin(earlier, limitMs, signal)))
        throw timedOut(
          signal,
          limitMs,
          "earlier calls on the same client",
          "await each call before the next, or allow more time with timeoutMs",
        );
      return await work(session);
    } finally {
      void session.settled.then(finish);
    }
  }
}

/** The host's client, with the limits of a call. */
export function hostClient(client: TransactionClient, limits: Limits = {}): HostClient {
  return client instanceof HostClient ? client : new HostClient(client, limits);
}

/** The database that a call's statements run on: the host's client, if given, otherwise the pool. */
export function databaseOf(
  pool: BoundedPool,
  { client, signal }: { client?: TransactionClient | undefined; signal?: AbortSignal | undefined },
): Queryable {
  return client ? hostClient(client, { signal }) : pool.within({ signal });
}

/** A pool or a client, with bounded waits, for statements that only read. */
export function boundedDatabase(database: DatabasePool | Queryable): Queryable {
  if ("connect" in database && !("processID" in database)) return boundedPool(database);
  const client = hostClient(database);
  return { query: (text, values) => client.read((session) => session.query(text, values)) };
}

/** One call's exclusive use of a host's client. */
class HostSession implements Queryable {
  /** Resolves when no statement of the call runs on the client any more. */
  settled: Promise<void> = Promise.resolve();
  readonly #client: Queryable;
  readonly #limits: Limits;
  #savepoint: string | undefined;
  /** Whether an abandoned statement may still be running. */
  #isBusy = false;

  constructor(client: Queryable, limits: Limits) {
    this.#client = client;
    this.#limits = limits;
  }

  query(text: string, values?: unknown[]): Promise<QueryResult> {
    return traceStatement(text, () => this.#query(text, values));
  }

  async #query(text: string, values: unknown[] | undefined): Promise<QueryResult> {
    const { signal } = this.#limits;
    throwIfAborted(signal);
    if (this.#savepoint !== undefined && statusOf(this.#client) === "I") throw transactionEnded();
    const limitMs = statementLimit(this.#limits);
    const runsNow = !isBusy(this.#client);
    const running = startQuery(this.#client, text, values);
    const settled = await settledWithin(running, limitMs, signal);
    if (settled) return checkResult(settled.value, "client");
    const timeout = statementTimedOut(signal, limitMs);
    this.#waitFor(running);
    // If the client was busy, our statement is queued behind one of the host's, which must not be cancelled.
    if (runsNow && canCancel(this.#client)) await endStatement(this.#client, running);
    throw timeout;
  }

  /** Sets a savepoint. @returns `false` if the client is not in a transaction */
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

  /** Releases the savepoint: the changes become part of the host's transaction. */
  async keep(): Promise<void> {
    const name = this.#takeSavepoint();
    try {
      await this.query(`RELEASE SAVEPOINT ${name}`);
    } catch (error) {
      if (TRANSACTION_ENDED.has(sqlStateOf(error) ?? "")) throw transactionEnded(error);
      this.#savepoint = name; // `undoOnFailure` rolls back to it
      throw translateError(error);
    }
  }

  /** Rolls back all changes since {@link begin}, settings included. */
  async undo(): Promise<void> {
    const name = this.#takeSavepoint();
    const text = `ROLLBACK TO SAVEPOINT ${name}; RELEASE SAVEPOINT ${name}`;
    const rollBack = (): Promise<unknown> => traceStatement(text, () => startQuery(this.#client, text));
    if (this.#isBusy) {
      // Sent now, to be run next: the host's next statement must not come before it, or it would be rolled back too.
      this.#waitFor(rollBack());
      return;
    }
    const rollingBack = rollBack();
    try {
      if (await settledWithin(rollingBack, ENDING_MS)) return;
    } catch (error) {
      if (TRANSACTION_ENDED.has(sqlStateOf(error) ?? "")) throw transactionEnded(error);
      throw translateError(error);
    }
    this.#waitFor(rollingBack); // the server does not answer
  }

  /** Does work, and rolls back its changes if it fails. */
  async undoOnFailure<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      // If the rollback fails too, the connection is lost or the transaction has ended: the first error says more.
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

/** Whether a `pg` client is running a statement. */
function isBusy(client: Queryable): boolean {
  return (client as { readyForQuery?: unknown }).readyForQuery === false;
}

/**
 * The transaction status that newer versions of `pg` report, `I` outside a transaction. `undefined` for older versions,
 * and while a statement runs that may change it.
 */
function statusOf(client: Queryable): unknown {
  if (isBusy(client)) return undefined;
  const { getTransactionStatus } = client as { getTransactionStatus?: () => unknown };
  return typeof getTransactionStatus === "function" ? getTransactionStatus.call(client) : undefined;
}

function outsideTransaction(): InvalidArgumentError {
  return new InvalidArgumentError(
    "client",
    "must be in a transaction, which commits or rolls back what this call writes: run BEGIN first, or omit client",
  );
}

function transactionEnded(cause?: unknown): InvalidArgumentError {
  return new InvalidArgumentError(
    "client",
    "must stay in its transaction until the call ends; it did not, so treat the call as failed: await the call before COMMIT or ROLLBACK",
    cause,
  );
}

function noop(): void {
  // The outcome of the call has already been decided.
}
