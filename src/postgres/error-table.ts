import { DatabaseError, SchemaError, TrainingIndexError, type ErrorCode } from "../errors.js";

/** How an error of Postgres or of the connection is reported to the caller. */
interface Verdict {
  code: ErrorCode;
  retryable: boolean;
  /** The cause of the error, or its remedy. */
  hint?: string;
}

const FAILED: Verdict = { code: "DATABASE_FAILED", retryable: false };
const TRANSIENT: Verdict = { code: "DATABASE_FAILED", retryable: true };
const LOST: Verdict = { code: "CONNECTION_FAILED", retryable: true };
const REFUSED: Verdict = { code: "CONNECTION_FAILED", retryable: false };
const CONFLICT: Verdict = { code: "CONFLICT", retryable: true };
const MISSING: Verdict = { code: "SCHEMA_MISSING", retryable: false };

/**
 * The SQLSTATE with which pgvector reports that it cannot compare two vectors. Vectors are checked before they are
 * stored, so the vector index must be damaged.
 */
export const DATA_EXCEPTION = "22000";
const INSUFFICIENT_PRIVILEGE = "42501";
/** The SQLSTATE of the trigger that refuses writes to the tables of a retired profile; see `switching/`. */
export const PROFILE_RETIRED_STATE = "TIX01";

/**
 * By SQLSTATE, or by its class (the first two characters). All others are {@link FAILED}.
 *
 * @see https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
const SQLSTATES: Readonly<Record<string, Verdict>> = {
  "08": LOST,
  "08P01": LOST, // PgBouncer's code for all of its own errors
  [DATA_EXCEPTION]: {
    ...FAILED,
    hint: "the vector index may be damaged, which VACUUM can cause with pgvector before 0.8.4; REINDEX it",
  },
  "25006": {
    ...FAILED,
    hint: "this server does not accept writes: it is a standby, or default_transaction_read_only is on",
  },
  "25P02": { ...FAILED, hint: "an earlier statement of the transaction failed; ROLLBACK it" },
  "25P03": { ...LOST, hint: "idle_in_transaction_session_timeout ended the session" },
  "25P04": { ...LOST, hint: "transaction_timeout ended the session" },
  "28": REFUSED, // role or password
  "3D": REFUSED, // no such database
  "3F000": MISSING, // schema
  "40": CONFLICT, // serialization failure, deadlock
  "42P01": MISSING, // table
  "42703": MISSING, // column
  "42704": MISSING, // type
  "42883": MISSING, // function
  "53": TRANSIENT, // disk, memory
  "53300": LOST, // too many connections
  "55006": TRANSIENT, // object in use
  "55P03": { ...TRANSIENT, hint: "a lock could not be taken within lock_timeout" },
  "57": TRANSIENT,
  "57014": { ...TRANSIENT, hint: "it was cancelled, for example by statement_timeout" },
  "57P01": LOST, // shutdown, terminated
  "57P02": LOST, // crash of another session
  "57P03": LOST, // starting up
  "57P04": { ...REFUSED, hint: "the database was dropped" },
  "57P05": { ...LOST, hint: "idle_session_timeout ended the session" },
  "58": TRANSIENT, // input or output error
  "58P01": { ...FAILED, hint: "a file of the server is missing, such as the library of an extension" },
  "72": TRANSIENT, // snapshot too old
};

/** By the `code` of a Node error. */
const NODE_CODES: Readonly<Record<string, Verdict>> = {
  EACCES: { ...REFUSED, hint: "this process may not open the server's socket" },
  EPERM: { ...REFUSED, hint: "this process may not open the server's socket" },
  ECONNREFUSED: { ...LOST, hint: "nothing listens at the address; is Postgres running?" },
  ENOENT: { ...LOST, hint: "the server's socket does not exist; is Postgres running?" },
  ENOTFOUND: { ...LOST, hint: "the host name is unknown" },
  EAI_AGAIN: { ...LOST, hint: "the host name could not be looked up" },
  ERR_SOCKET_BAD_PORT: { ...REFUSED, hint: "the port must be from 0 to 65535" },
  ERR_SOCKET_CLOSED: LOST,
  ERR_SOCKET_CONNECTION_TIMEOUT: LOST,
  ERR_STREAM_DESTROYED: LOST,
  ERR_STREAM_WRITE_AFTER_END: LOST,
};
/** Other codes for wrong arguments, TLS and certificates: a retry would fail the same way. */
const FINAL_NODE_CODES = /^(ERR_|CERT_|CRL_|DEPTH_ZERO_|HOSTNAME_|INVALID_|SELF_SIGNED_|UNABLE_TO_|EPROTO$)/;
const CERTIFICATE = /CERT|CRL_|SELF_SIGNED|UNABLE_TO_|HOSTNAME_/;

/** Errors that `pg` and its pool throw themselves have no code, but their messages are always English. */
const MESSAGES: readonly (readonly [pattern: RegExp, verdict: Verdict])[] = [
  [
    /does not support SSL connections/,
    { ...REFUSED, hint: "the server does not support SSL; leave out ssl, or set sslmode=disable" },
  ],
  [/establishing an SSL connection/, { ...REFUSED, hint: "the server did not agree to SSL" }],
  [/^SASL: .*password must be|^Password must be a string/i, { ...REFUSED, hint: "no password is set" }],
  [/^SASL:/, { ...REFUSED, hint: "the server and this client could not agree on the password" }],
  [/after calling end on the pool/, { ...REFUSED, hint: "the pool has been ended" }],
  [/Client was closed and is not queryable/, { ...REFUSED, hint: "the client has been ended" }],
  [/Client has already been connected/, { ...REFUSED, hint: "a pg.Client was given where a pg.Pool is needed" }],
  [/timeout exceeded when trying to connect/, { ...LOST, hint: "the pool's connectionTimeoutMillis has passed" }],
  [/^Query read timeout/, { code: "TIMEOUT", retryable: true, hint: "the pool's query_timeout has passed" }],
];

const SQLSTATE = /^[0-9A-Z]{5}$/;

/** The fields of a `pg` error that this module reads. */
interface ErrorFields {
  code: unknown;
  message: unknown;
  routine: unknown;
  table: unknown;
  constraint: unknown;
}

function fieldsOf(error: unknown): Partial<ErrorFields> {
  return typeof error === "object" && error !== null ? error : {};
}

/** The SQLSTATE of a `pg` error or a {@link DatabaseError}; `undefined` for anything else. */
export function sqlStateOf(error: unknown): string | undefined {
  if (error instanceof DatabaseError) return error.sqlState;
  const { code } = fieldsOf(error);
  // Some Node codes (`EPIPE`) look like a SQLSTATE, but only errors from the server have a severity.
  const isServerError = typeof error === "object" && error !== null && "severity" in error;
  return isServerError && typeof code === "string" && SQLSTATE.test(code) ? code : undefined;
}

/**
 * Whether a statement failed because an object that it names (an extension, a table, a column) was changed, dropped or
 * re-created after the statement was prepared or written. What this process knows of the schema is then out of date.
 */
export function isSchemaChange(error: unknown): boolean {
  const cause = error instanceof TrainingIndexError && error.cause !== undefined ? error.cause : error;
  const sqlState = sqlStateOf(cause);
  if (sqlState === undefined) return false;
  const { routine, message } = fieldsOf(cause);
  // "cached plan must not change result type"
  if (sqlState === "0A000") return routine === "RevalidateCachedQuery";
  // Internal errors are not translated: "cache lookup failed for type 16404", "could not open relation with OID 16404"
  if (sqlState === "XX000") return /^(cache lookup failed|could not (open|find) )/.test(String(message));
  return SQLSTATES[sqlState] === MISSING || sqlState === "42804"; // datatype_mismatch
}

/**
 * Whether a connection lacks a prepared statement, or has another one under its name: a pooler has switched the server
 * connection.
 */
export function isNameNotKept(error: unknown): boolean {
  const sqlState = sqlStateOf(error);
  return sqlState === "26000" || sqlState === "42P05"; // invalid_sql_statement_name, duplicate_prepared_statement
}

/**
 * Converts an error that `pg` threw to a typed error. Decides by SQLSTATE, not by the server's message, which is localized
 * and can contain values.
 */
export function translateError(error: unknown): TrainingIndexError {
  if (error instanceof TrainingIndexError) return error;
  const sqlState = sqlStateOf(error);
  if (sqlState === undefined) return translateConnectionError(error);
  if (sqlState === INSUFFICIENT_PRIVILEGE) return translatePrivilegeError(error);
  if (sqlState === PROFILE_RETIRED_STATE) return profileRetired(error);
  const verdict = verdictOf(sqlState, error);
  if (verdict === MISSING) {
    return new SchemaError(
      "SCHEMA_MISSING",
      `A table, function or type of the index is missing (SQLSTATE ${sqlState}): run migrate(pool, { schema })`,
      error,
    );
  }
  const { constraint } = fieldsOf(error);
  const named = typeof constraint === "string" ? `, constraint ${constraint}` : "";
  const what = verdict === REFUSED ? "refused the connection" : "rejected a statement";
  return new DatabaseError(withHint(`Postgres ${what} (SQLSTATE ${sqlState}${named})`, verdict), {
    code: verdict.code,
    retryable: verdict.retryable,
    sqlState,
    cause: error,
  });
}

/** The error of a call that works with another embedding model than the one that is in use now. */
export function profileRetired(cause?: unknown, used = "another embedding model"): SchemaError {
  return new SchemaError(
    "PROFILE_RETIRED",
    `The index was switched to ${used}, so nothing was read or stored: repeat the call in a process that has it, ` +
      "TrainingIndex.initialize([oldModel, newModel], { pool })",
    cause,
  );
}

function verdictOf(sqlState: string, error: unknown): Verdict {
  // "tuple concurrently updated": two sessions changed the same catalog row
  if (sqlState === "XX000" && /^simple_heap_(update|delete)$/.test(String(fieldsOf(error).routine))) return CONFLICT;
  return SQLSTATES[sqlState] ?? SQLSTATES[sqlState.slice(0, 2)] ?? FAILED;
}

function translateConnectionError(error: unknown): DatabaseError {
  const { code, message } = fieldsOf(error);
  const verdict = typeof code === "string" ? verdictOfNodeCode(code) : verdictOfMessage(error, String(message));
  const named = typeof code === "string" && /^[A-Z0-9_]+$/.test(code) ? ` (${code})` : "";
  return new DatabaseError(withHint(`The connection to Postgres could not be made, or broke${named}`, verdict), {
    code: verdict.code,
    retryable: verdict.retryable,
    cause: error,
  });
}

function verdictOfNodeCode(code: string): Verdict {
  const known = NODE_CODES[code];
  if (known) return known;
  if (CERTIFICATE.test(code)) return { ...REFUSED, hint: "the server's certificate was not accepted" };
  return FINAL_NODE_CODES.test(code) ? REFUSED : LOST;
}

function verdictOfMessage(error: unknown, message: string): Verdict {
  const [, verdict] = MESSAGES.find(([pattern]) => pattern.test(message)) ?? [];
  if (verdict) return verdict;
  const isProgrammingError = error instanceof TypeError || error instanceof RangeError || error instanceof SyntaxError;
  return isProgrammingError
    ? { ...REFUSED, hint: `the pool or client threw a ${error.name}; is it a pool or client of pg?` }
    : LOST;
}

function withHint(message: string, { hint }: Verdict): string {
  return hint === undefined ? message : `${message}: ${hint}`;
}

/** Row-level security shares its SQLSTATE with missing privileges, but has another remedy. */
function translatePrivilegeError(error: unknown): TrainingIndexError {
  const { table, routine, message } = fieldsOf(error);
  const isPolicy =
    typeof routine === "string"
      ? routine === "ExecWithCheckOptions" || routine === "check_enable_rls"
      : String(message).includes("row-level security");
  const named = typeof table === "string" ? `table ${table}` : undefined;
  if (isPolicy) {
    return new DatabaseError(
      `A row-level security policy of ${named ?? "a table of the index"} rejects the row (SQLSTATE 42501): ` +
        "change the policy, or the setting or metadata that it compares",
      { code: "DATABASE_FAILED", retryable: false, sqlState: INSUFFICIENT_PRIVILEGE, cause: error },
    );
  }
  return new SchemaError(
    "INSUFFICIENT_PRIVILEGE",
    `The database role lacks a privilege on ${named ?? "an object of the index"} (SQLSTATE 42501): grant it, or connect as the role that ran migrate`,
    error,
  );
}
