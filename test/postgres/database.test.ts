import { describe, expect, it } from "vitest";
import { AbortError, DatabaseError, SchemaError } from "../../src/errors.js";
import {
  inSavepoint,
  inTransaction,
  query,
  sqlStateOf,
  translateError,
  type DatabaseClient,
  type DatabasePool,
} from "../../src/postgres/database.js";

/** An error of the server, as `pg` throws it. */
const postgresError = (code: string, fields: object = {}): Error =>
  Object.assign(new Error("mensagem do servidor com um valor secreto"), {
    severity: "ERROR",
    code,
    ...fields,
  });

/** A client that records its statements, and rejects those in `failures`. */
class RecordingClient implements DatabaseClient {
  readonly statements: string[] = [];
  readonly values: unknown[] = [];
  readonly releases: unknown[] = [];
  readonly listeners = new Set<(error: Error) => void>();
  readonly failures: Map<string, Error>;

  constructor(failures: Record<string, Error> = {}) {
    this.failures = new Map(Object.entries(failures));
  }

  query(text: string, values?: unknown[]): Promise<{ rows: unknown[]; rowCount: number | null }> {
    const statement = text.replaceAll(/(training_index)_\d+/g, "$1_#"); // savepoints are numbered
    this.statements.push(statement);
    this.values.push(values);
    const failure = this.failures.get(statement);
    if (failure !== undefined) return Promise.reject(failure);
    return Promise.resolve({ rows: [{ text }], rowCount: 1 });
  }

  release(error?: Error | boolean): void {
    this.releases.push(error);
    expect(this.listeners.size).toBe(0);
  }

  on(_event: "error", listener: (error: Error) => void): void {
    this.listeners.add(listener);
  }

  removeListener(_event: "error", listener: (error: Error) => void): void {
    this.listeners.delete(listener);
  }

  breakDown(error: Error): void {
    for (const listener of this.listeners) listener(error);
  }
}

function poolOf(client: RecordingClient): DatabasePool {
  return {
    connect: () => Promise.resolve(client),
    query: () => Promise.reject(new Error("goes through the client")),
  };
}

const SELECT = "SELECT /* langchain-training-index:swap */ 1";
const BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED";

describe("query", () => {
  it("returns the rows, and passes on the values and the name", async () => {
    const client = new RecordingClient();
    await expect(query(client, "swap", "SELECT $1", [7])).resolves.toEqual([
      { text: "SELECT /* langchain-training-index:swap */ $1" },
    ]);
    expect(client.values).toEqual([[7]]);
  });

  it("throws a typed error", async () => {
    const failure = postgresError("23505");
    await expect(query(new RecordingClient({ [SELECT]: failure }), "swap", "SELECT 1")).rejects.toThrow(
      new DatabaseError("Postgres rejected a statement (SQLSTATE 23505)", {
        code: "DATABASE_FAILED",
        retryable: false,
        sqlState: "23505",
        cause: failure,
      }),
    );
  });
});

describe("inTransaction", () => {
  it("commits the body's work, and releases the client", async () => {
    const client = new RecordingClient();
    const outcome = await inTransaction(poolOf(client), async (database) => {
      expect(client.listeners.size).toBe(1);
      await query(database, "swap", "SELECT 1");
      return "feito";
    });
    expect(outcome).toBe("feito");
    expect(client.statements).toEqual([BEGIN, SELECT, "COMMIT"]);
    expect(client.releases).toEqual([undefined]);
  });

  it("rolls back, and rethrows the body's error unchanged", async () => {
    const client = new RecordingClient();
    const failure = new Error("do chamador");
    await expect(inTransaction(poolOf(client), () => Promise.reject(failure))).rejects.toBe(failure);
    expect(client.statements).toEqual([BEGIN, "ROLLBACK"]);
    expect(client.releases).toEqual([undefined]);
  });

  it("rolls back when COMMIT fails", async () => {
    const client = new RecordingClient({ COMMIT: postgresError("40001") });
    await expect(inTransaction(poolOf(client), () => Promise.resolve())).rejects.toMatchObject({
      name: "DatabaseError",
      code: "CONFLICT",
      retryable: true,
      sqlState: "40001",
    });
    expect(client.statements).toEqual([BEGIN, "COMMIT", "ROLLBACK"]);
    expect(client.releases).toEqual([undefined]);
  });

  it("does not run the body when BEGIN fails", async () => {
    const client = new RecordingClient({ [BEGIN]: postgresError("57P01") });
    const body = (): Promise<void> => Promise.reject(new Error("is not run"));
    await expect(inTransaction(poolOf(client), body)).rejects.toMatchObject({
      code: "CONNECTION_FAILED",
      sqlState: "57P01",
      retryable: true,
    });
    expect(client.statements).toEqual([BEGIN]); // no ROLLBACK: the session is gone
    expect(client.releases).toEqual([expect.any(DatabaseError)]);
  });

  it("throws the first error when ROLLBACK fails too, and discards the client", async () => {
    const rollbackFailure = new Error("conexão perdida");
    const client = new RecordingClient({ ROLLBACK: rollbackFailure });
    const failure = new Error("do chamador");
    await expect(inTransaction(poolOf(client), () => Promise.reject(failure))).rejects.toBe(failure);
    expect(client.releases).toEqual([rollbackFailure]);
  });

  it("discards the client with an Error even if ROLLBACK rejects with something else", async () => {
    const client = new RecordingClient({ ROLLBACK: "conexão perdida" as never });
    await expect(inTransaction(poolOf(client), () => Promise.reject(new Error("do chamador")))).rejects.toThrow(
      "do chamador",
    );
    expect(client.releases).toEqual([new Error("conexão perdida")]);
  });

  it("survives a lost connection, and discards the client with its first error", async () => {
    const client = new RecordingClient({ ROLLBACK: new Error("depois") });
    const lost = new Error("conexão perdida");
    const outcome = inTransaction(poolOf(client), () => {
      client.breakDown(lost);
      return Promise.reject(new Error("do chamador"));
    });
    await expect(outcome).rejects.toThrow("do chamador");
    expect(client.releases).toEqual([lost]);
    expect(client.listeners.size).toBe(0);
  });

  it("throws a typed error if it cannot connect", async () => {
    const refused = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
    const pool: DatabasePool = {
      connect: () => Promise.reject(refused),
      query: () => Promise.reject(refused),
    };
    await expect(inTransaction(pool, () => Promise.resolve())).rejects.toThrow(
      new DatabaseError(
        "The connection to Postgres could not be made, or broke (ECONNREFUSED): nothing listens at the address; is Postgres running?",
        {
          code: "CONNECTION_FAILED",
          retryable: true,
          sqlState: undefined,
          cause: refused,
        },
      ),
    );
  });
});

describe("inSavepoint", () => {
  const SAVEPOINT = "SAVEPOINT training_index_#";
  const RELEASE = "RELEASE SAVEPOINT training_index_#";
  const ROLLBACK = `ROLLBACK TO SAVEPOINT training_index_#; ${RELEASE}`;

  it("runs the body after a savepoint", async () => {
    const client = new RecordingClient();
    const outcome = await inSavepoint(client, async (database) => {
      await query(database, "swap", "SELECT 1");
      return "feito";
    });
    expect(outcome).toBe("feito");
    expect(client.statements).toEqual([SAVEPOINT, SELECT, RELEASE]);
    expect(client.releases).toEqual([]);
  });

  it("rolls back to the savepoint when the body fails, and rethrows its error", async () => {
    const client = new RecordingClient();
    const failure = new Error("do chamador");
    await expect(inSavepoint(client, () => Promise.reject(failure))).rejects.toBe(failure);
    expect(client.statements).toEqual([SAVEPOINT, ROLLBACK]);
  });

  it("rolls back to the savepoint when it cannot be released", async () => {
    const client = new RecordingClient({ [RELEASE]: postgresError("25P02") });
    await expect(inSavepoint(client, () => Promise.resolve())).rejects.toMatchObject({ sqlState: "25P02" });
    expect(client.statements).toEqual([SAVEPOINT, RELEASE, ROLLBACK]);
  });

  it("throws the first error when the rollback fails too", async () => {
    const client = new RecordingClient({ [ROLLBACK]: new Error("conexão perdida") });
    const failure = new Error("do chamador");
    await expect(inSavepoint(client, () => Promise.reject(failure))).rejects.toBe(failure);
  });

  it("does not run the body without an open transaction", async () => {
    const client = new RecordingClient({ [SAVEPOINT]: postgresError("25P01") });
    await expect(inSavepoint(client, () => Promise.reject(new Error("is not run")))).rejects.toThrow(
      /^client must be in a transaction.*run BEGIN first/,
    );
    expect(client.statements).toEqual([SAVEPOINT]);
  });
});

describe("sqlStateOf", () => {
  it("is the code of a server error", () => {
    expect(sqlStateOf(postgresError("40P01"))).toBe("40P01");
  });

  it("is that of a DatabaseError", () => {
    const details = { code: "DATABASE_FAILED", retryable: true } as const;
    expect(sqlStateOf(new DatabaseError("rejeitado", { ...details, sqlState: "23503" }))).toBe("23503");
    expect(sqlStateOf(new DatabaseError("rejeitado", details))).toBeUndefined();
  });

  it.each([
    undefined,
    null,
    "40001",
    40_001,
    {},
    new Error("40001"),
    Object.assign(new Error("broken pipe"), { code: "EPIPE" }),
    postgresError("ECONNRESET"),
    postgresError("4000"),
    postgresError("40p01"),
    postgresError("40001\n"),
    { code: 40_001, severity: "ERROR" },
    new SchemaError("SCHEMA_MISSING", "falta"),
  ])("is undefined for anything else (%#)", (error) => {
    expect(sqlStateOf(error)).toBeUndefined();
  });
});

describe("translateError", () => {
  it("returns this library's own errors unchanged", () => {
    const error = new AbortError("desistiu");
    expect(translateError(error)).toBe(error);
  });

  it.each([
    new Error("Connection terminated"),
    Object.assign(new Error("broken pipe"), { code: "EPIPE" }),
    "texto",
    undefined,
  ])("reports anything but a server error as a failed connection (%#)", (cause) => {
    const error = translateError(cause);
    expect(error).toBeInstanceOf(DatabaseError);
    expect(error).toMatchObject({
      message: expect.stringContaining("The connection to Postgres could not be made, or broke") as string,
      code: "CONNECTION_FAILED",
      retryable: true,
      sqlState: undefined,
    });
    expect(error.cause).toBe(cause);
  });

  it("names the table that the role lacks a privilege on", () => {
    const cause = postgresError("42501", { table: "training" });
    const error = translateError(cause);
    expect(error).toBeInstanceOf(SchemaError);
    expect(error).toMatchObject({
      code: "INSUFFICIENT_PRIVILEGE",
      retryable: false,
      message:
        "The database role lacks a privilege on table training (SQLSTATE 42501): grant it, or connect as the role that ran migrate",
    });
    expect(error.cause).toBe(cause);
  });

  it("reports a missing privilege even if the server names no table", () => {
    expect(translateError(postgresError("42501")).message).toBe(
      "The database role lacks a privilege on an object of the index (SQLSTATE 42501): grant it, or connect as the role that ran migrate",
    );
  });

  it.each(["42P01", "42703", "42883", "42704", "3F000"])("reports %s as a missing schema", (code) => {
    const cause = postgresError(code);
    const error = translateError(cause);
    expect(error).toBeInstanceOf(SchemaError);
    expect(error).toMatchObject({
      code: "SCHEMA_MISSING",
      retryable: false,
      message: `A table, function or type of the index is missing (SQLSTATE ${code}): run migrate(pool, { schema })`,
    });
    expect(error.cause).toBe(cause);
  });

  it.each([
    ["08000", "CONNECTION_FAILED", true],
    ["08003", "CONNECTION_FAILED", true],
    ["08006", "CONNECTION_FAILED", true],
    ["08P01", "CONNECTION_FAILED", true],
    ["57P01", "CONNECTION_FAILED", true],
    ["57P02", "CONNECTION_FAILED", true],
    ["57P03", "CONNECTION_FAILED", true],
    ["57P05", "CONNECTION_FAILED", true],
    ["40000", "CONFLICT", true],
    ["40001", "CONFLICT", true],
    ["40003", "CONFLICT", true],
    ["40P01", "CONFLICT", true],
    ["53300", "CONNECTION_FAILED", true],
    ["57000", "DATABASE_FAILED", true],
    ["57014", "DATABASE_FAILED", true],
    ["58030", "DATABASE_FAILED", true],
    ["55P03", "DATABASE_FAILED", true],
    ["55006", "DATABASE_FAILED", true],
    ["55000", "DATABASE_FAILED", false],
    ["0A000", "DATABASE_FAILED", false],
    ["22P02", "DATABASE_FAILED", false],
    ["23502", "DATABASE_FAILED", false],
    ["23505", "DATABASE_FAILED", false],
    ["25P02", "DATABASE_FAILED", false],
    ["25P03", "CONNECTION_FAILED", true],
    ["25P04", "CONNECTION_FAILED", true],
    ["57P04", "CONNECTION_FAILED", false],
    ["58P01", "DATABASE_FAILED", false],
    ["72000", "DATABASE_FAILED", true],
    ["42601", "DATABASE_FAILED", false],
    ["XX000", "DATABASE_FAILED", false],
  ])("reports %s as %s, retryable: %s", (sqlState, code, retryable) => {
    const cause = postgresError(sqlState);
    const error = translateError(cause);
    expect(error).toBeInstanceOf(DatabaseError);
    expect(error).toMatchObject({
      code,
      retryable,
      sqlState,
      message: expect.stringContaining(`(SQLSTATE ${sqlState})`) as string,
    });
    expect(error.cause).toBe(cause);
  });

  it.each(["28000", "28P01", "3D000"])("reports %s as a connection refused for good", (sqlState) => {
    const cause = postgresError(sqlState);
    const error = translateError(cause);
    expect(error).toMatchObject({ code: "CONNECTION_FAILED", retryable: false, sqlState, cause });
    expect(error.message).toBe(`Postgres refused the connection (SQLSTATE ${sqlState})`);
  });

  it("names the constraint, and never repeats the server's message", () => {
    const error = translateError(
      postgresError("23503", { constraint: "training_id_fkey", detail: "Key (id)=(segredo)" }),
    );
    expect(error.message).toBe("Postgres rejected a statement (SQLSTATE 23503, constraint training_id_fkey)");
  });
});
