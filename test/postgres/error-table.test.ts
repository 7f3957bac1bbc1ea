import pg from "pg";
import { describe, expect, it } from "vitest";
import { isNameNotKept, isSchemaChange, translateError } from "../../src/postgres/error-table.js";

/** As `pg` makes it of what the server says. */
const ofServer = (code: string, fields: object = {}): Error =>
  Object.assign(new Error("mensagem traduzida"), { severity: "ERROR", code, ...fields });
/** As Node makes it of what the network says. */
const ofNode = (code: string, error = new Error("segredo.exemplo:5432")): Error =>
  Object.assign(error, { code });

describe("errors of the network and of pg", () => {
  it.each<[Error, boolean, RegExp]>([
    [ofNode("ECONNREFUSED"), true, /is Postgres running/],
    [ofNode("ENOTFOUND"), true, /host name/],
    [ofNode("EAI_AGAIN"), true, /host name/],
    [ofNode("ETIMEDOUT"), true, /ETIMEDOUT/],
    [ofNode("ECONNRESET"), true, /ECONNRESET/],
    [ofNode("ECONNABORTED"), true, /ECONNABORTED/],
    [ofNode("EPIPE"), true, /EPIPE/],
    [ofNode("EHOSTUNREACH"), true, /EHOSTUNREACH/],
    [ofNode("ENETUNREACH"), true, /ENETUNREACH/],
    [ofNode("ENOENT"), true, /socket/],
    [ofNode("EMFILE"), true, /EMFILE/],
    [ofNode("ERR_STREAM_DESTROYED"), true, /ERR_STREAM_DESTROYED/],
    [ofNode("EACCES"), false, /socket/],
    [ofNode("ERR_SOCKET_BAD_PORT", new RangeError("port")), false, /65535/],
    [ofNode("ERR_INVALID_ARG_TYPE", new TypeError("host")), false, /ERR_INVALID_ARG_TYPE/],
    [ofNode("ERR_INVALID_URL", new TypeError("url")), false, /ERR_INVALID_URL/],
    [ofNode("ERR_SSL_WRONG_VERSION_NUMBER"), false, /ERR_SSL/],
    [ofNode("ERR_TLS_CERT_ALTNAME_INVALID"), false, /certificate/],
    [ofNode("SELF_SIGNED_CERT_IN_CHAIN"), false, /certificate/],
    [ofNode("DEPTH_ZERO_SELF_SIGNED_CERT"), false, /certificate/],
    [ofNode("UNABLE_TO_VERIFY_LEAF_SIGNATURE"), false, /certificate/],
    [ofNode("CERT_HAS_EXPIRED"), false, /certificate/],
    [new Error("The server does not support SSL connections"), false, /leave out ssl/],
    [new Error("There was an error establishing an SSL connection"), false, /SSL/],
    [
      new Error("SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string"),
      false,
      /no password is set/,
    ],
    [new Error("Cannot use a pool after calling end on the pool"), false, /pool has been ended/],
    [new Error("Client was closed and is not queryable"), false, /client has been ended/],
    [new Error("Client has encountered a connection error and is not queryable"), true, /broke/],
    [new Error("timeout exceeded when trying to connect"), true, /connectionTimeoutMillis/],
    [new Error("Connection terminated"), true, /broke/],
    [new Error("Connection terminated unexpectedly"), true, /broke/],
    [new Error("Connection terminated due to connection timeout"), true, /broke/],
    [new TypeError("x is not a function"), false, /TypeError/],
  ])("%s can pass: %s", (cause, retryable, message) => {
    const error = translateError(cause);
    expect(error).toMatchObject({ name: "DatabaseError", code: "CONNECTION_FAILED", retryable, cause });
    expect(error.message).toMatch(message);
    expect(error.message).not.toContain("segredo");
  });

  it.each<[string, pg.PoolConfig, boolean]>([
    ["an invalid port", { host: "localhost", port: 70_000 }, false],
    ["nobody who listens", { host: "localhost", port: 1 }, true],
  ])("decides of %s by what pg really throws", async (_name, config, retryable) => {
    const pool = new pg.Pool(config);
    const ask = async (): Promise<unknown> => pool.query("SELECT 1"); // it can throw at the call
    const cause: unknown = await ask().catch((error: unknown) => error);
    expect(translateError(cause)).toMatchObject({ code: "CONNECTION_FAILED", retryable });
    void pool.end(); // a client that was never connected may keep it from ending
    const ended: unknown = await ask().catch((error: unknown) => error);
    expect(translateError(ended)).toMatchObject({ code: "CONNECTION_FAILED", retryable: false });
  });
});

describe("errors of the server", () => {
  it("tells a policy from a missing right, whatever the server's language", () => {
    const policy = translateError(ofServer("42501", { routine: "ExecWithCheckOptions", table: "training" }));
    expect(policy).toMatchObject({ name: "DatabaseError", code: "DATABASE_FAILED", retryable: false });
    expect(policy.message).toMatch(/row-level security policy of table training/);
    const right = translateError(ofServer("42501", { routine: "aclcheck_error", table: "training" }));
    expect(right).toMatchObject({ name: "SchemaError", code: "INSUFFICIENT_PRIVILEGE" });
  });

  it("takes two sessions that change one entry of a catalog for a conflict", () => {
    expect(translateError(ofServer("XX000", { routine: "simple_heap_update" }))).toMatchObject({
      code: "CONFLICT",
      retryable: true,
    });
  });

  it.each<[Error, boolean]>([
    [ofServer("0A000", { routine: "RevalidateCachedQuery" }), true],
    [ofServer("0A000", { routine: "transformSelectStmt" }), false],
    [Object.assign(ofServer("XX000"), { message: "cache lookup failed for type 16404" }), true],
    [Object.assign(ofServer("XX000"), { message: "invalid memory alloc request size" }), false],
    [ofServer("42P01"), true],
    [ofServer("42704"), true],
    [ofServer("42883"), true],
    [translateError(ofServer("42P01")), true],
    [ofServer("23505"), false],
    [ofServer("26000"), false],
    [new Error("Connection terminated"), false],
  ])("knows a changed schema by its errors (%#)", (error, isChange) => {
    expect(isSchemaChange(error)).toBe(isChange);
  });

  it("knows a name that a connection has lost", () => {
    expect(["26000", "42P05", "42P01"].map((code) => isNameNotKept(ofServer(code)))).toEqual([
      true,
      true,
      false,
    ]);
  });
});
