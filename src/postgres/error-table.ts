import { DatabaseError, SchemaError, TrainingIndexError, type ErrorCode } from "../errors.js";

/** What an error of Postgres or of the connection means for the caller. */
interface Verdict {
  code: ErrorCode;
  retryable: boolean;
  /** What to do about it, or where it comes from. */
  hint?: string;
}

const FAILED: Verdict = { code: "DATABASE_FAILED", retryable: false };
const PASSING: Verdict = { code: "DATABASE_FAILED", retryable: true };
const LOST: Verdict = { code: "CONNECTION_FAILED", retryable: true };
const REFUSED: Verdict = { code: "CONNECTION_FAILED", retryable: false };
const CONFLICT: Verdict = { code: "CONFLICT", retryable: true };
const MISSING: Verdict = { code: "SCHEMA_MISSING", retryable: false };

/** What pgvector says when its index has a vector that cannot be compared: ours have been checked before they were stored. */
export const DATA_EXCEPTION = "22000";
const INSUFFICIENT_PRIVILEGE = "42501";

/**
 * By SQLSTATE, or by its class (the first two characters); what is not here is {@link FAILED}.
 *
 * @see https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
const SQLSTATES: Readonly<Record<string, Verdict>> = {
  "08": LOST,
  "08P01": LOST, // PgBouncer says so for whatever is wrong with it
  [DATA_EXCEPTION]: {
    ...FAILED,
    hint: "the vector index may be damaged, as VACUUM of pgvector before 0.8.4 can leave it; REINDEX it",
  },
  "25006": {
    ...FAILED,
    hint: "this server takes no writes, it is a standby or default_transaction_read_only is on",
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
  "53": PASSING, // disk, memory
  "53300": LOST, // too many connections
  "55006": PASSING, // object in use
  "55P03": { ...PASSING, hint: "a lock was not to be had within lock_timeout" },
  "57": PASSING,
  "57014": { ...PASSING, hint: "it was cancelled, for example by statement_timeout" },
  "57P01": LOST, // shutdown, terminated
  "57P02": LOST, // crash of another session
  "57P03": LOST, // starting up
  "57P04": { ...REFUSED, hint: "the database was dropped" },
  "57P05": { ...LOST, hint: "idle_session_timeout ended the session" },
  "58": PASSING, // input and output
  "58P01": { ...FAILED, hint: "a file of the server is missing, such as the library of an extension" },
  "72": PASSING, // snapshot too old
};

/** By the `code` of an error of Node. */
const NODE_CODES: Readonly<Record<string, Verdict>> = {
  EACCES: { ...REFUSED, hint: "this process may not open the server's socket" },
  EPERM: { ...REFUSED, hint: "this process may not open the server's socket" },
  ECONNREFUSED: { ...LOST, hint: "nothing listens at the address; is Postgres running?" },
  ENOENT: { ...LOST, hint: "the server's socket is not there; is Postgres running?" },
  ENOTFOUND: { ...LOST, hint: "the name of the host is unknown" },
  EAI_AGAIN: { ...LOST, hint: "the name of the host could not be looked up" },
  ERR_SOCKET_BAD_PORT: { ...REFUSED, hint: "the port must be from 0 to 65535" },
  ERR_SOCKET_CLOSED: LOST,
  ERR_SOCKET_CONNECTION_TIMEOUT: LOST,
  ERR_STREAM_DESTROYED: LOST,
  ERR_STREAM_WRITE_AFTER_END: LOST,
};
/** Of the other codes, those of arguments, TLS and certificates: the same attempt meets them again. */
const FINAL_NODE_CODES = /^(ERR_|CERT_|CRL_|DEPTH_ZERO_|HOSTNAME_|INVALID_|SELF_SIGNED_|UNABLE_TO_|EPROTO$)/;
const CERTIFICATE = /CERT|CRL_|SELF_SIGNED|UNABLE_TO_|HOSTNAME_/;

/** Errors that `pg` and its pool make themselves have no code. Their texts are not translated. */
const MESSAGES: readonly (readonly [pattern: RegExp, verdict: Verdict])[] = [
  [
    /does not support SSL connections/,
    { ...REFUSED, hint: "the server does not support SSL; leave out ssl, or write sslmode=disable" },
  ],
  [/establishing an SSL connection/, { ...REFUSED, hint: "the server did not agree to SSL" }],
  [/^SASL: .*password must be|^Password must be a string/i, { ...REFUSED, hint: "no password is set" }],
  [/^SASL:/, { ...REFUSED, hint: "the server and this client could not agree on the password" }],
  [/after calling end on the pool/, { ...REFUSED, hint: "the pool has been ended" }],
  [/Client was closed and is not queryable/, { ...REFUSED, hint: "the client has been ended" }],
  [
    /Client has already been connected/,
    { ...REFUSED, hint: "a pg.Client was given where a pg.Pool is needed" },
  ],
  [
    /timeout exceeded when trying to connect/,
    { ...LOST, hint: "connectionTimeoutMillis of the pool passed" },
  ],
  [/^Query read timeout/, { code: "TIMEOUT", retryable: true, hint: "query_timeout of the pool passed" }],
];

const SQLSTATE = /^[0-9A-Z]{5}$/;

/** An error of `pg`, as far as it is looked at. */
interface GivenError {
  code: unknown;
  message: unknown;
  routine: unknown;
  table: unknown;
  constraint: unknown;
}

function fieldsOf(error: unknown): Partial<GivenError> {
  return typeof error === "object" && error !== null ? error : {};
}

/** The SQLSTATE of an error of `pg`; `undefined` for anything else. */
export function sqlStateOf(error: unknown): string | undefined {
  if (error instanceof DatabaseError) return error.sqlState;
  const { code } = fieldsOf(error);
  // Node's own codes (`EPIPE`) have the form of a SQLSTATE; only the server's errors carry a severity.
  const isOfServer = typeof error === "object" && error !== null && "severity" in error;
  return isOfServer && typeof code === "string" && SQLSTATE.test(code) ? code : undefined;
}

/**
 * Whether a statement failed because something that it names has been changed, dropped or made anew since it was
 * prepared, or since its names were looked up: an extension, a table, a column. The knowledge of them is stale then.
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

/** Whether a connection does not have the name of a prepared statement, or has it for another one: a pooler gave another. */
export function isNameNotKept(error: unknown): boolean {
  const sqlState = sqlStateOf(error);
  return sqlState === "26000" || sqlState === "42P05"; // invalid_sql_statement_name, duplicate_prepared_statement
}

/**
 * Makes a typed error of what `pg` threw. The SQLSTATE decides, never the server's text: its messages are translated, and
 * can hold values.
 */
export function translateError(error: unknown): TrainingIndexError {
  if (error instanceof TrainingIndexError) return error;
  const sqlState = sqlStateOf(error);
  if (sqlState === undefined) return translateConnectionError(error);
  if (sqlState === INSUFFICIENT_PRIVILEGE) return translateRefusal(error);
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

function verdictOf(sqlState: string, error: unknown): Verdict {
  // "tuple concurrently updated": two sessions changed one entry of a catalog
  if (sqlState === "XX000" && /^simple_heap_(update|delete)$/.test(String(fieldsOf(error).routine)))
    return CONFLICT;
  return SQLSTATES[sqlState] ?? SQLSTATES[sqlState.slice(0, 2)] ?? FAILED;
}

function translateConnectionError(error: unknown): DatabaseError {
  const { code, message } = fieldsOf(error);
  const verdict =
    typeof code === "string" ? verdictOfNodeCode(code) : verdictOfMessage(error, String(message));
  const named = typeof code === "string" && /^[A-Z0-9_]+$/.test(code) ? ` (${code})` : "";
  return new DatabaseError(
    withHint(`The connection to Postgres could not be made, or broke${named}`, verdict),
    {
      code: verdict.code,
      retryable: verdict.retryable,
      cause: error,
    },
  );
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
  const isMistake = error instanceof TypeError || error instanceof RangeError || error instanceof SyntaxError;
  return isMistake
    ? { ...REFUSED, hint: `the pool or client threw a ${error.name}; is it one of pg?` }
    : LOST;
}

function withHint(message: string, { hint }: Verdict): string {
  return hint === undefined ? message : `${message}: ${hint}`;
}

/** Row-level security has the SQLSTATE of a missing right, though the role has all its rights. */
function translateRefusal(error: unknown): TrainingIndexError {
  const { table, routine, message } = fieldsOf(error);
  const isPolicy =
    typeof routine === "string"
      ? routine === "ExecWithCheckOptions" || routine === "check_enable_rls"
      : String(message).includes("row-level security");
  const named = typeof table === "string" ? `table ${table}` : undefined;
  if (isPolicy) {
    return new DatabaseError(
      `A row-level security policy of ${named ?? "a table of the index"} does not admit the row (SQLSTATE 42501): ` +
        "change the policy, or what it compares (a setting, the metadata)",
      { code: "DATABASE_FAILED", retryable: false, sqlState: INSUFFICIENT_PRIVILEGE, cause: error },
    );
  }
  return new SchemaError(
    "INSUFFICIENT_PRIVILEGE",
    `The database role lacks a right on ${named ?? "an object of the index"} (SQLSTATE 42501): grant it, or connect as the role that ran migrate`,
    error,
  );
}
