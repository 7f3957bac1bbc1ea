/**
 * The cause of an error, as a constant that code can branch on.
 *
 * | code | class | meaning |
 * |---|---|---|
 * | `INVALID_ARGUMENT` | {@link InvalidArgumentError} | the call itself is wrong |
 * | `SCHEMA_MISSING` | {@link SchemaError} | `migrate` has not run in this schema |
 * | `SCHEMA_OUTDATED` | {@link SchemaError} | the schema is older than this library: run `migrate` |
 * | `SCHEMA_NEWER` | {@link SchemaError} | the schema is newer than this library: upgrade the library |
 * | `SCHEMA_CONFLICT` | {@link SchemaError} | the schema exists, but was migrated with other options |
 * | `SCHEMA_DAMAGED` | {@link SchemaError} | a part of the schema is missing: the message says which, and how to repair it |
 * | `UNSUPPORTED_SETTING` | {@link SchemaError} | the index cannot work under a setting of the server, database or role |
 * | `EXTENSION_MISSING` | {@link SchemaError} | pgvector is not installed, or Citus where `migrate` is to use it |
 * | `EXTENSION_OUTDATED` | {@link SchemaError} | pgvector is older than 0.8.0 |
 * | `INSUFFICIENT_PRIVILEGE` | {@link SchemaError} | the database role lacks a privilege |
 * | `PROFILE_MISMATCH` | {@link SchemaError} | the index holds vectors of another embedding model |
 * | `PROFILE_RETIRED` | {@link SchemaError} | the index was switched to another embedding model; a process that has it can retry |
 * | `SWITCH_REFUSED` | {@link SchemaError} | a switch of the model cannot begin, or its result was not accepted |
 * | `SEQUENCE_BEHIND` | {@link SchemaError} | the ticket sequence is behind the stored rows: run the statement in the message |
 * | `EMBEDDING_FAILED` | {@link EmbeddingError} | the embedder threw |
 * | `EMBEDDING_INVALID` | {@link EmbeddingError} | the embedder returned vectors that cannot be stored |
 * | `TEXT_TOO_LONG` | {@link EmbeddingError} | a text is longer than the model accepts |
 * | `MODEL_MISSING` | {@link EmbeddingError} | the server does not have the model |
 * | `DATABASE_FAILED` | {@link DatabaseError} | Postgres rejected a statement |
 * | `CONNECTION_FAILED` | {@link DatabaseError} | the connection to Postgres could not be made, or broke |
 * | `CONFLICT` | {@link DatabaseError} | a concurrent change interfered; a retry can succeed |
 * | `TIMEOUT` | {@link DatabaseError}, {@link EmbeddingError} | a wait exceeded its limit, or the call its `timeoutMs` |
 * | `DIRECTORY_IN_USE` | {@link DatabaseError} | another process has the folder of the embedded database open |
 * | `ABORTED` | {@link AbortError} | the caller's `AbortSignal` fired |
 */
export type ErrorCode =
  | "INVALID_ARGUMENT"
  | "SCHEMA_MISSING"
  | "SCHEMA_OUTDATED"
  | "SCHEMA_NEWER"
  | "SCHEMA_CONFLICT"
  | "SCHEMA_DAMAGED"
  | "UNSUPPORTED_SETTING"
  | "EXTENSION_MISSING"
  | "EXTENSION_OUTDATED"
  | "INSUFFICIENT_PRIVILEGE"
  | "PROFILE_MISMATCH"
  | "PROFILE_RETIRED"
  | "SWITCH_REFUSED"
  | "SEQUENCE_BEHIND"
  | "EMBEDDING_FAILED"
  | "EMBEDDING_INVALID"
  | "TEXT_TOO_LONG"
  | "MODEL_MISSING"
  | "RERANK_FAILED"
  | "DATABASE_FAILED"
  | "CONNECTION_FAILED"
  | "CONFLICT"
  | "TIMEOUT"
  | "DIRECTORY_IN_USE"
  | "ABORTED";

/** The details of every error of this library, besides its message. */
export interface ErrorDetails {
  code: ErrorCode;
  /** Whether a retry of the same call can succeed. */
  retryable: boolean;
  /** The original error, unchanged. It may contain texts or secrets that this library's messages leave out. */
  cause?: unknown;
}

/** Marks errors across all loaded copies of this library; `instanceof` recognises those of one copy only. */
const MARK = Symbol.for("langchain-training-index.error");

/**
 * The base class of all errors that this library throws.
 *
 * A message names the option or object at fault and the remedy. It never contains a training's text, a vector or a connection string.
 * Each error class has a static method `is`. Use it rather than `instanceof`: a program that loads this library both by
 * `import` and by `require`, itself or through a package, has every class twice.
 *
 * @example
 * ```ts
 * if (TrainingIndexError.is(error) && error.retryable) console.warn("try again later:", error.code, error.message);
 * ```
 */
export class TrainingIndexError extends Error {
  override readonly name: string = "TrainingIndexError";
  readonly code: ErrorCode;
  readonly retryable: boolean;

  static {
    Object.defineProperty(this.prototype, MARK, { value: true });
  }

  /** Whether a value is an error of this library, from any loaded copy of it. */
  static is(error: unknown): error is TrainingIndexError {
    return isMarked(error);
  }

  constructor(message: string, details: ErrorDetails) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = details.code;
    this.retryable = details.retryable;
  }
}

function isMarked(error: unknown, name?: string): boolean {
  if (typeof error !== "object" || error === null || !(MARK in error)) return false;
  return name === undefined || (error as Partial<Error>).name === name;
}

/**
 * An argument or option is invalid. `option` names it. A retry cannot succeed.
 * @example
 * ```ts
 * if (InvalidArgumentError.is(error)) console.error("Fix", error.option, error.message);
 * ```
 */
export class InvalidArgumentError extends TrainingIndexError {
  override readonly name = "InvalidArgumentError";

  /** Whether a value is an error of this class, from any loaded copy of this library. */
  static override is(error: unknown): error is InvalidArgumentError {
    return isMarked(error, "InvalidArgumentError");
  }

  /** The argument at fault, as the caller wrote it: `k`, `filter.grupo`, `training.id`. */
  readonly option: string;

  constructor(option: string, problem: string, cause?: unknown) {
    super(`${option} ${problem}`, { code: "INVALID_ARGUMENT", retryable: false, cause });
    this.option = option;
  }
}

/**
 * The database is not ready for the call: a migration, an extension, a privilege or the model is missing. The message says what to run.
 * @example
 * ```ts
 * if (SchemaError.is(error) && error.code === "SCHEMA_OUTDATED") await migrate(pool);
 * ```
 */
export class SchemaError extends TrainingIndexError {
  override readonly name = "SchemaError";

  /** Whether a value is an error of this class, from any loaded copy of this library. */
  static override is(error: unknown): error is SchemaError {
    return isMarked(error, "SchemaError");
  }

  constructor(code: ErrorCode, message: string, cause?: unknown) {
    super(message, { code, retryable: code === "PROFILE_RETIRED", cause });
  }
}

/** The codes of an {@link EmbeddingError}. */
export type EmbeddingErrorCode =
  "EMBEDDING_FAILED" | "EMBEDDING_INVALID" | "TEXT_TOO_LONG" | "MODEL_MISSING" | "TIMEOUT";

/**
 * The embedder failed, or did not return one usable vector for each text.
 * @example
 * ```ts
 * if (EmbeddingError.is(error) && error.code === "MODEL_MISSING") console.error(error.message);
 * ```
 */
export class EmbeddingError extends TrainingIndexError {
  override readonly name = "EmbeddingError";

  /** Whether a value is an error of this class, from any loaded copy of this library. */
  static override is(error: unknown): error is EmbeddingError {
    return isMarked(error, "EmbeddingError");
  }

  declare readonly code: EmbeddingErrorCode;

  constructor(code: EmbeddingErrorCode, message: string, retryable: boolean, cause?: unknown) {
    super(message, { code, retryable, cause });
  }
}

/**
 * Postgres rejected a statement, could not be reached, or took too long.
 * @example
 * ```ts
 * if (DatabaseError.is(error)) console.error(error.code, error.sqlState, error.retryable);
 * ```
 */
export class DatabaseError extends TrainingIndexError {
  override readonly name = "DatabaseError";

  /** Whether a value is an error of this class, from any loaded copy of this library. */
  static override is(error: unknown): error is DatabaseError {
    return isMarked(error, "DatabaseError");
  }

  /** The SQLSTATE of Postgres; `undefined` if the error did not come from Postgres, such as a lost connection. */
  readonly sqlState: string | undefined;

  constructor(message: string, details: ErrorDetails & { sqlState?: string | undefined }) {
    super(message, details);
    this.sqlState = details.sqlState;
  }
}

/**
 * The caller's `AbortSignal` fired. `cause` is the signal's reason. The call stored nothing, unless the connection was lost
 * while Postgres was committing.
 * @example
 * ```ts
 * if (AbortError.is(error)) console.log("cancelled:", error.cause);
 * ```
 */
export class AbortError extends TrainingIndexError {
  override readonly name = "AbortError";

  /** Whether a value is an error of this class, from any loaded copy of this library. */
  static override is(error: unknown): error is AbortError {
    return isMarked(error, "AbortError");
  }

  constructor(reason: unknown) {
    super("The operation was aborted", { code: "ABORTED", retryable: false, cause: reason });
  }
}

/** The reason of a signal that fires because the `timeoutMs` of a call has passed. */
export class TimeLimitPassed {
  readonly timeoutMs: number;

  constructor(timeoutMs: number) {
    this.timeoutMs = timeoutMs;
  }
}

/** The error of a call that a signal ended. @param activity - what the call was doing: `waiting for a client of the pool` */
export function endedBy({ reason }: { reason?: unknown }, activity?: string): TrainingIndexError {
  if (!(reason instanceof TimeLimitPassed)) return new AbortError(reason);
  const during = activity === undefined ? "" : ` while ${activity}`;
  return new DatabaseError(`The call took longer than its timeoutMs, ${reason.timeoutMs} ms${during}`, {
    code: "TIMEOUT",
    retryable: true,
  });
}

/** Throws if the signal has fired: {@link AbortError}, or a `TIMEOUT` if the call's time limit fired it. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw endedBy(signal);
}

/** The callbacks of each signal, and the single listener that calls them. */
const subscriptions = new WeakMap<AbortSignal, { callbacks: Set<() => void>; listener: () => void }>();

/**
 * Calls back once when the signal fires. Each signal gets a single listener for all callbacks, removed with the last one:
 * a host may share one signal among all its calls, and Node warns about many listeners.
 *
 * @returns a function that removes the callback
 */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  let entry = subscriptions.get(signal);
  if (!entry) {
    const callbacks = new Set<() => void>();
    const listener = (): void => {
      subscriptions.delete(signal);
      for (const call of callbacks) call();
    };
    entry = { callbacks, listener };
    subscriptions.set(signal, entry);
    signal.addEventListener("abort", listener, { once: true });
  }
  const { callbacks, listener } = entry;
  const own = (): void => {
    callback();
  };
  callbacks.add(own);
  return () => {
    callbacks.delete(own);
    if (callbacks.size > 0 || subscriptions.get(signal)?.callbacks !== callbacks) return;
    subscriptions.delete(signal);
    signal.removeEventListener("abort", listener);
  };
}

/**
 * Settles with the work, or rejects as soon as the signal fires, see {@link throwIfAborted}. Work that has started is not
 * interrupted. If the signal has already fired, the work is not started.
 */
export async function orAbort<T>(work: () => Promise<T>, signal?: AbortSignal, activity?: string): Promise<T> {
  throwIfAborted(signal);
  if (!signal) return work();
  let removeCallback: (() => void) | undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    removeCallback = onAbort(signal, () => {
      reject(endedBy(signal, activity));
    });
  });
  aborted.catch(() => undefined); // unhandled otherwise, if the work fires the signal and then throws synchronously
  try {
    return await Promise.race([work(), aborted]);
  } finally {
    removeCallback?.();
  }
}
