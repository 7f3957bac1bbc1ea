import pg from "pg";
import { describe, expect, it } from "vitest";
import { isNameNotKept, isSchemaChange, translateError } from "../../src/postgres/error-table.js";

/** A server error, as `pg` throws it. */
const serverError = (code: string, fields: object = {}): Error =>
  Object.assign(new Error("mensagem traduzida"), { severity: "ERROR", code, ...fields });
/** A network error, as Node throws it. */
const nodeError = (code: string, error = new Error("segredo.exemplo:5432")): Error => Object.assign(error, { code });

describe("errors of the network and of pg", () => {
  it.each<[Error, boolean, RegExp]>([
    [nodeError("ECONNREFUSED"), true, /is Postgres running/],
    [nodeError("ENOTFOUND"), true, /host name/],
    [nodeError("EAI_AGAIN"), true, /host name/],
    [nodeError("ETIMEDOUT"), true, /ETIMEDOUT/],
    [nodeError("ECONNRESET"), true, /ECONNRESET/],
    [nodeError("ECONNABORTED"), true, /ECONNABORTED/],
    [nodeError("EPIPE"), true, /EPIPE/],
    [nodeError("EHOSTUNREACH"), true, /EHOSTUNREACH/],
    [nodeError("ENETUNREACH"), true, /ENETUNREACH/],
    [nodeError("ENOENT"), true, /socket/],
    [nodeError("EMFILE"), true, /EMFILE/],
    [nodeError("ERR_STREAM_DESTROYED"), true, /ERR_STREAM_DESTROYED/],
    [nodeError("EACCES"), false, /socket/],
    [nodeError("ERR_SOCKET_BAD_PORT", new RangeError("port")), false, /65535/],
    [nodeError("ERR_INVALID_ARG_TYPE", new TypeError("host")), false, /ERR_INVALID_ARG_TYPE/],
    [nodeError("ERR_INVALID_URL", new TypeError("url")), false, /ERR_INVALID_URL/],
    [nodeError("ERR_SSL_WRONG_VERSION_NUMBER"), false, /ERR_SSL/],
    [nodeError("ERR_TLS_CERT_ALTNAME_INVALID"), false, /certificate/],
    [nodeError("SELF_SIGNED_CERT_IN_CHAIN"), false, /certificate/],
    [nodeError("DEPTH_ZERO_SELF_SIGNED_CERT"), false, /certificate/],
    [nodeError("UNABLE_TO_VERIFY_LEAF_SIGNATURE"), false, /certificate/],
    [nodeError("CERT_HAS_EXPIRED"), false, /certificate/],
    [new Error("The server does not support SSL connections"), false, /leave out ssl/],
    [new Error("There was an error establishing an SSL connection"), false, /SSL/],
    [new Error("SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string"), false, /no password is set/],
    [new Error("Cannot use a pool after calling end on the pool"), false, /pool has been ended/],
    [new Error("Client was closed and is not queryable"), false, /client has been ended/],
    [new Error("Client has encountered a connection error and is not queryable"), true, /broke/],
    [new Error("timeout exceeded when trying to connect"), true, /connectionTimeoutMillis/],
    [new Error("Connection terminated"), true, /broke/],
    [new Error("Connection terminated unexpectedly"), true, /broke/],
    [new Error("Connection terminated due to connection timeout"), true, /broke/],
    [new TypeError("x is not a function"), false, /TypeError/],
  ])("%s is retryable: %s", (cause, retryable, message) => {
    const error = translateError(cause);
    expect(error).toMatchObject({ name: "DatabaseError", code: "CONNECTION_FAILED", retryable, cause });
    expect(error.message).toMatch(message);
    expect(error.message).not.toContain("segredo");
  });

  it.each<[string, pg.PoolConfig, boolean]>([
    ["an invalid port", { host: "localhost", port: 70_000 }, false],
    ["a port without a listener", { host: "localhost", port: 1 }, true],
  ])("classifies what pg really throws for %s", async (_name, config, retryable) => {
    const pool = new pg.Pool(config);
    const ask = async (): Promise<unknown> => pool.query("SELECT 1"); // pg may throw synchronously
    const cause: unknown = await ask().catch((error: unknown) => error);
    expect(translateError(cause)).toMatchObject({ code: "CONNECTION_FAILED", retryable });
    void pool.end(); // not awaited: a client that never connected may keep it from ending
    const ended: unknown = await ask().catch((error: unknown) => error);
    expect(translateError(ended)).toMatchObject({ code: "CONNECTION_FAILED", retryable: false });
  });
});

describe("errors of the server", () => {
  it("distinguish a row-level security policy from a missing privilege, whatever the server's language", () => {
    const policy = translateError(serverError("42501", { routine: "ExecWithCheckOptions", table: "training" }));
    expect(policy).toMatchObject({ name: "DatabaseError", code: "DATABASE_FAILED", retryable: false });
    expect(policy.message).toMatch(/row-level security policy of table training/);
    const right = translateError(serverError("42501", { routine: "aclcheck_error", table: "training" }));
    expect(right).toMatchObject({ name: "SchemaError", code: "INSUFFICIENT_PRIVILEGE" });
  });

  it("report two sessions that change one catalog entry as a conflict", () => {
    expect(translateError(serverError("XX000", { routine: "simple_heap_update" }))).toMatchObject({
      code: "CONFLICT",
      retryable: true,
    });
  });

  it.each<[Error, boolean]>([
    [serverError("0A000", { routine: "RevalidateCachedQuery" }), true],
    [serverError("0A000", { routine: "transformSelectStmt" }), false],
    [Object.assign(serverError("XX000"), { message: "cache lookup failed for type 16404" }), true],
    [Object.assign(serverError("XX000"), { message: "invalid memory alloc request size" }), false],
    [serverError("42P01"), true],
    [serverError("42704"), true],
    [serverError("42883"), true],
    [translateError(serverError("42P01")), true],
    [serverError("23505"), false],
    [serverError("26000"), false],
    [new Error("Connection terminated"), false],
  ])("reveal a changed schema (%#)", (error, isChange) => {
    expect(isSchemaChange(error)).toBe(isChange);
  });

  it("reveal a prepared statement that the connection has lost", () => {
    expect(["26000", "42P05", "42P01"].map((code) => isNameNotKept(serverError(code)))).toEqual([true, true, false]);
  });
});
