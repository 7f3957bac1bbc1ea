/**
 * What went wrong, as a constant that code can branch on.
 *
 * | code | class | meaning |
 * |---|---|---|
 * | `INVALID_ARGUMENT` | {@link InvalidArgumentError} | the call itself is wrong |
 * | `SCHEMA_MISSING` | {@link SchemaError} | `migrate` has not run in this schema |
 * | `SCHEMA_OUTDATED` | {@link SchemaError} | the schema is older than this library: run `migrate` |
 * | `SCHEMA_NEWER` | {@link SchemaError} | the schema is newer than this library: upgrade the library |
 * | `SCHEMA_CONFLICT` | {@link SchemaError} | the schema stands, but was made with other options |
 * | `SCHEMA_DAMAGED` | {@link SchemaError} | a part of the schema is gone: the message says which, and how to repair it |
 * | `UNSUPPORTED_SETTING` | {@link SchemaError} | a setting of the server, database or role that the index cannot work under |
 * | `EXTENSION_MISSING` | {@link SchemaError} | pgvector is not installed |
 * | `EXTENSION_OUTDATED` | {@link SchemaError} | pgvector is older than 0.8.0 |
 * | `INSUFFICIENT_PRIVILEGE` | {@link SchemaError} | the role lacks a right |
 * | `PROFILE_MISMATCH` | {@link SchemaError} | the index holds vectors of another embedding model |
 * | `SEQUENCE_BEHIND` | {@link SchemaError} | the ticket sequence is behind the stored rows: run the statement in the message |
 * | `EMBEDDING_FAILED` | {@link EmbeddingError} | the embedder threw |
 * | `EMBEDDING_INVALID` | {@link EmbeddingError} | the embedder returned vectors that cannot be stored |
 * | `TEXT_TOO_LONG` | {@link EmbeddingError} | a text is longer than the model reads |
 * | `MODEL_MISSING` | {@link EmbeddingError} | the server does not have the model |
 * | `DATABASE_FAILED` | {@link DatabaseError} | Postgres rejected a statement |
 * | `CONNECTION_FAILED` | {@link DatabaseError} | the connection to Postgres could not be made, or broke |
 * | `CONFLICT` | {@link DatabaseError} | a concurrent change got in between; the same call again can succeed |
 * | `TIMEOUT` | {@link DatabaseError}, {@link EmbeddingError} | a wait took longer than it may, or the call longer than its `timeoutMs` |
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
  | "SEQUENCE_BEHIND"
  | "EMBEDDING_FAILED"
  | "EMBEDDING_INVALID"
  | "TEXT_TOO_LONG"
  | "MODEL_MISSING"
  | "DATABASE_FAILED"
  | "CONNECTION_FAILED"
  | "CONFLICT"
  | "TIMEOUT"
  | "DIRECTORY_IN_USE"
  | "ABORTED";

/** What every error of this library carries besides its message. */
export interface ErrorDetails {
  code: ErrorCode;
  /** Whether the same call can succeed later without a change by the caller. */
  retryable: boolean;
  /** The error underneath, as its thrower made it. It may hold what our messages leave out. */
  cause?: unknown;
}

/** Marks the errors of every copy of this library; `instanceof` knows those of one copy only. */
const MARK = Symbol.for("langchain-training-index.error");

/**
 * The class of all errors that this library throws.
 *
 * A message names the option or object at fault and the remedy. It never holds a training's text,
 * a vector or a connection string.
 *
 * Each error class has a static method `is`. Use it rather than `instanceof`: a program that loads this library both by
 * `import` and by `require`, itself or through a package, has every class twice.
 */
export class TrainingIndexError extends Error {
  override readonly name: string = "TrainingIndexError";
  readonly code: ErrorCode;
  readonly retryable: boolean;

  static {
    Object.defineProperty(this.prototype, MARK, { value: true });
  }

  /** Whether a value is an error of this library, whichever copy of it threw it. */
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

/** An argument or option is not usable. `option` names it. Never worth a retry. */
export class InvalidArgumentError extends TrainingIndexError {
  override readonly name = "InvalidArgumentError";

  /** Whether a value is an error of this class, whichever copy of this library threw it. */
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

/** The database is not prepared for this call: a migration, an extension, a right or the recorded model. */
export class SchemaError extends TrainingIndexError {
  override readonly name = "SchemaError";

  /** Whether a value is an error of this class, whichever copy of this library threw it. */
  static override is(error: unknown): error is SchemaError {
    return isMarked(error, "SchemaError");
  }

  constructor(code: ErrorCode, message: string, cause?: unknown) {
    super(message, { code, retryable: false, cause });
  }
}

/** The codes of an {@link EmbeddingError}. */
export type EmbeddingErrorCode =
  "EMBEDDING_FAILED" | "EMBEDDING_INVALID" | "TEXT_TOO_LONG" | "MODEL_MISSING" | "TIMEOUT";

/** The embedder failed, or returned something that is not one usable vector for each text. */
export class EmbeddingError extends TrainingIndexError {
  override readonly name = "EmbeddingError";

  /** Whether a value is an error of this class, whichever copy of this library threw it. */
  static override is(error: unknown): error is EmbeddingError {
    return isMarked(error, "EmbeddingError");
  }

  declare readonly code: EmbeddingErrorCode;

  constructor(code: EmbeddingErrorCode, message: string, retryable: boolean, cause?: unknown) {
    super(message, { code, retryable, cause });
  }
}

/** Postgres rejected a statement, or could not be reached. */
export class DatabaseError extends TrainingIndexError {
  override readonly name = "DatabaseError";

  /** Whether a value is an error of this class, whichever copy of this library threw it. */
  static override is(error: unknown): error is DatabaseError {
    return isMarked(error, "DatabaseError");
  }

  /** The SQLSTATE of Postgres; `undefined` when the connection itself failed. */
  readonly sqlState: string | undefined;

  constructor(message: string, details: ErrorDetails & { sqlState?: string | undefined }) {
    super(message, details);
    this.sqlState = details.sqlState;
  }
}

/**
 * The caller's `AbortSignal` fired. `cause` is the signal's reason. Nothing of the call was stored, unless the connection
 * was lost while Postgres was committing.
 */
export class AbortError extends TrainingIndexError {
  override readonly name = "AbortError";

  /** Whether a value is an error of this class, whichever copy of this library threw it. */
  static override is(error: unknown): error is AbortError {
    return isMarked(error, "AbortError");
  }

  constructor(reason: unknown) {
    super("The operation was aborted", { code: "ABORTED", retryable: false, cause: reason });
  }
}

/** The reason of a signal that fires because the `timeoutMs` of a call are over. */
export class TimeLimitPassed {
  readonly timeoutMs: number;

  constructor(timeoutMs: number) {
    this.timeoutMs = timeoutMs;
  }
}

/** The error of a call that a signal has ended. @param activity - what the call was at: `waiting for a client of the pool` */
export function endedBy({ reason }: { reason?: unknown }, activity?: string): TrainingIndexError {
  if (!(reason instanceof TimeLimitPassed)) return new AbortError(reason);
  const at = activity === undefined ? "" : ` while ${activity}`;
  return new DatabaseError(`The call took longer than its timeoutMs, ${reason.timeoutMs} ms${at}`, {
    code: "TIMEOUT",
    retryable: true,
  });
}

/** Throws {@link AbortError} when the signal has fired; a `TIMEOUT` when the time of the call is over. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw endedBy(signal);
}

/** Those who wait for a signal, and the one listener that it has for all of them. */
const waiting = new WeakMap<AbortSignal, { callbacks: Set<() => void>; listener: () => void }>();

/**
 * Calls back once when the signal fires. However many wait, a signal has one listener, which goes with the last of them:
 * a host may share one signal among all its calls.
 *
 * @returns a function that takes the callback back
 */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  let entry = waiting.get(signal);
  if (!entry) {
    const callbacks = new Set<() => void>();
    const listener = (): void => {
      waiting.delete(signal);
      for (const call of callbacks) call();
    };
    entry = { callbacks, listener };
    waiting.set(signal, entry);
    signal.addEventListener("abort", listener, { once: true });
  }
  const { callbacks, listener } = entry;
  const own = (): void => {
    callback();
  };
  callbacks.add(own);
  return () => {
    callbacks.delete(own);
    if (callbacks.size > 0 || waiting.get(signal)?.callbacks !== callbacks) return;
    waiting.delete(signal);
    signal.removeEventListener("abort", listener);
  };
}

/**
 * Settles as the work does, or rejects as soon as the signal fires, see {@link throwIfAborted}. Work that has been
 * started goes on: an embedder has no way to be told. After the signal none is started.
 */
export async function orAbort<T>(work: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  throwIfAborted(signal);
  if (!signal) return work();
  let forget: (() => void) | undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    forget = onAbort(signal, () => {
      reject(endedBy(signal));
    });
  });
  aborted.catch(() => undefined); // work that fires the signal and throws leaves nobody to listen
  try {
    return await Promise.race([work(), aborted]);
  } finally {
    forget?.();
  }
}
