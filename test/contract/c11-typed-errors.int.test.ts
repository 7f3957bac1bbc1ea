import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as library from "langchain-training-index";
import {
  AbortError,
  DatabaseError,
  EmbeddingError,
  InvalidArgumentError,
  SchemaError,
  TrainingIndex,
  TrainingIndexError,
  type ErrorCode,
} from "langchain-training-index";
import { embeddedPool } from "langchain-training-index/embedded";
import { migrate, migrationStatus } from "langchain-training-index/migrations";
import type { OllamaEmbeddingsOptions } from "langchain-training-index/ollama";
import pg from "pg";
import { expect, it, onTestFinished } from "vitest";
import { failureOf, freshDatabase, openAgain, chunksWithOffsets } from "../support/contract.js";
import { describeOnServer, requireServerUrl, uniqueName } from "../support/databases.js";
import { CountingEmbeddings, inHostTransaction, openTestIndex, type TestIndex } from "../support/index.js";
import { openOllama } from "../support/ollama.js";
import { otherModel } from "../support/other-model.js";
import type { OllamaServerOptions } from "../support/ollama-server.js";
import { expectTyped, SECRET, TRAINING } from "../support/typed-errors.js";

/** Makes writes fail in Postgres with this SQLSTATE and a message that contains the row. */
async function failWrites(
  { owner, schema }: TestIndex,
  sqlState: string,
  { times = 1_000, table = "chunk_1", message = "permission denied, connection refused: " } = {},
): Promise<{ attempts: () => Promise<number> }> {
  await owner.query(`CREATE SEQUENCE ${schema}.attempt;
    CREATE FUNCTION ${schema}.fail() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
      IF nextval('${schema}.attempt') <= ${times} THEN
        RAISE EXCEPTION '% %', ${pg.escapeLiteral(message)}, to_jsonb(NEW) USING ERRCODE = '${sqlState}';
      END IF;
      RETURN NEW;
    END $$;
    CREATE TRIGGER fail BEFORE INSERT OR UPDATE ON ${schema}.${table} FOR EACH ROW EXECUTE FUNCTION ${schema}.fail()`);
  return {
    attempts: async () => {
      const { rows } = await owner.query<{ count: number }>(
        `SELECT last_value::integer AS count FROM ${schema}.attempt WHERE is_called`,
      );
      return rows[0]?.count ?? 0;
    },
  };
}

interface Failure {
  class: new (...values: never[]) => TrainingIndexError;
  retryable: boolean;
  /** Whether the error has a cause. */
  cause: boolean;
  sqlState?: string;
  /** Needs its own database or roles. */
  isServerOnly?: boolean;
  provoke: (test: TestIndex) => Promise<unknown>;
}

/** A failure for each code. A code without one does not compile. */
const FAILURES: Record<ErrorCode, Failure> = {
  INVALID_ARGUMENT: {
    class: InvalidArgumentError,
    retryable: false,
    cause: true,
    provoke: ({ index }) => index.upsertTraining({ id: "a", documents: [`{"page_content": "${SECRET}`] }),
  },
  SCHEMA_MISSING: {
    class: SchemaError,
    retryable: false,
    cause: true,
    provoke: async ({ index, owner, schema }) => {
      await owner.query(`DROP SCHEMA ${schema} CASCADE`);
      return index.upsertTraining(TRAINING);
    },
  },
  SCHEMA_OUTDATED: {
    class: SchemaError,
    retryable: false,
    cause: false,
    provoke: async ({ owner, pool, schema }) => {
      await owner.query(`DELETE FROM ${schema}.migration WHERE version > 4`);
      return openAgain({ schema }, pool);
    },
  },
  SCHEMA_NEWER: {
    class: SchemaError,
    retryable: false,
    cause: false,
    provoke: async ({ owner, pool, schema }) => {
      await owner.query(`INSERT INTO ${schema}.migration (version, name, breaking) VALUES (99, 'later', true)`);
      return openAgain({ schema }, pool);
    },
  },
  SCHEMA_CONFLICT: {
    class: SchemaError,
    retryable: false,
    cause: false,
    provoke: ({ owner, schema }) => migrate(owner, { schema, idType: "uuid" }),
  },
  EXTENSION_MISSING: {
    class: SchemaError,
    retryable: false,
    cause: false,
    isServerOnly: true,
    provoke: async () => {
      const { pool } = await freshDatabase();
      return openAgain({ schema: "nothing" }, pool);
    },
  },
  EXTENSION_OUTDATED: {
    class: SchemaError,
    retryable: false,
    cause: false,
    isServerOnly: true,
    provoke: async () => {
      const { pool } = await freshDatabase();
      await migrate(pool);
      await pool.query("UPDATE pg_extension SET extversion = '0.7.4' WHERE extname = 'vector'");
      return openAgain({ schema: "training_index" }, pool);
    },
  },
  INSUFFICIENT_PRIVILEGE: {
    class: SchemaError,
    retryable: false,
    cause: true,
    isServerOnly: true,
    provoke: async ({ owner, schema }) => {
      const role = uniqueName("role");
      await owner.query(`CREATE ROLE ${role} LOGIN PASSWORD '${SECRET}'`);
      onTestFinished(async () => {
        await owner.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
      });
      const url = new URL(requireServerUrl());
      Object.assign(url, { username: role, password: SECRET });
      return openAgain({ schema }, endingPool({ connectionString: url.href }));
    },
  },
  SCHEMA_DAMAGED: {
    class: SchemaError,
    retryable: false,
    cause: false,
    provoke: async ({ owner, schema }) => {
      await owner.query(`ALTER TABLE ${schema}.training DROP COLUMN barrier`);
      return migrate(owner, { schema });
    },
  },
  UNSUPPORTED_SETTING: {
    class: SchemaError,
    retryable: false,
    cause: false,
    isServerOnly: true,
    provoke: ({ schema }) =>
      openAgain({ schema }, endingPool({ connectionString: requireServerUrl(), options: "-c array_nulls=off" })),
  },
  DIRECTORY_IN_USE: {
    class: DatabaseError,
    retryable: true,
    cause: false,
    provoke: async () => {
      const folder = await mkdtemp(join(tmpdir(), "training-index-"));
      const first = embeddedPool(folder);
      onTestFinished(async () => {
        await first.end();
        await rm(folder, { recursive: true });
      });
      return embeddedPool(folder);
    },
  },
  PROFILE_MISMATCH: {
    class: SchemaError,
    retryable: false,
    cause: false,
    provoke: async ({ index, pool, schema }) => {
      await index.upsertTraining(TRAINING);
      return TrainingIndex.initialize(new CountingEmbeddings(), {
        pool,
        schema,
        profile: { model: "outro" },
      });
    },
  },
  PROFILE_RETIRED: {
    class: SchemaError,
    retryable: true,
    cause: false,
    provoke: async ({ index, owner, schema, embeddings }) => {
      await index.upsertTraining(TRAINING);
      const switching = await TrainingIndex.initialize(embeddings, { pool: owner, schema });
      await switching.switchModel(otherModel(16));
      return index.similar("loja");
    },
  },
  SWITCH_REFUSED: {
    class: SchemaError,
    retryable: false,
    cause: false,
    provoke: async ({ index, owner, schema, embeddings }) => {
      await index.upsertTraining(TRAINING);
      const switching = await TrainingIndex.initialize(embeddings, { pool: owner, schema });
      return switching.switchModel(otherModel(16), { check: () => false });
    },
  },
  SEQUENCE_BEHIND: {
    class: SchemaError,
    retryable: false,
    cause: false,
    isServerOnly: true,
    provoke: async ({ index, owner, schema }) => {
      await index.upsertTraining(TRAINING);
      await owner.query(`ALTER SEQUENCE ${schema}.ticket RESTART`);
      const role = uniqueName("role");
      await owner.query(`CREATE ROLE ${role} LOGIN PASSWORD '${SECRET}'; GRANT USAGE ON SCHEMA ${schema} TO ${role};
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${schema} TO ${role};
        GRANT USAGE ON SEQUENCE ${schema}.ticket TO ${role}`);
      onTestFinished(async () => {
        await owner.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
      });
      const url = new URL(requireServerUrl());
      Object.assign(url, { username: role, password: SECRET });
      return openAgain({ schema }, endingPool({ connectionString: url.href }));
    },
  },
  EMBEDDING_FAILED: {
    class: EmbeddingError,
    retryable: true,
    cause: true,
    provoke: ({ index, embeddings }) => {
      embeddings.before = (texts) => {
        throw new Error(`http://127.0.0.1:11434 cannot embed ${texts.join()}`);
      };
      return index.upsertTraining(TRAINING);
    },
  },
  EMBEDDING_INVALID: {
    class: EmbeddingError,
    retryable: false,
    cause: false,
    provoke: ({ index, embeddings }) => {
      embeddings.embedDocuments = (texts) => Promise.resolve(texts.map(() => [0.123456, NaN]));
      return index.upsertTraining(TRAINING);
    },
  },
  TEXT_TOO_LONG: {
    class: EmbeddingError,
    retryable: false,
    cause: false,
    provoke: async (test) => {
      const index = await openOnOllama(test, { maxTokens: 10 });
      return index.upsertTraining({ id: "a", documents: [{ pageContent: TRAINING.content }], split: false });
    },
  },
  MODEL_MISSING: {
    class: EmbeddingError,
    retryable: false,
    cause: true,
    provoke: async (test) => (await openOnOllama(test, { models: [] })).upsertTraining(TRAINING),
  },
  RERANK_FAILED: {
    class: TrainingIndexError,
    retryable: true,
    cause: true,
    provoke: async ({ index }) => {
      await index.upsertTraining(TRAINING);
      return index.similar("loja", { rerank: () => Promise.reject(new Error(SECRET)) });
    },
  },
  DATABASE_FAILED: {
    class: DatabaseError,
    retryable: false,
    cause: true,
    sqlState: "23514",
    provoke: async ({ index, owner, schema }) => {
      await owner.query(`ALTER TABLE ${schema}.chunk_1 ADD CONSTRAINT decente CHECK (content !~ '${SECRET}')`);
      return index.upsertTraining(TRAINING);
    },
  },
  CONNECTION_FAILED: {
    class: DatabaseError,
    retryable: true,
    cause: true,
    provoke: () => migrationStatus(endingPool({ connectionString: `postgres://user:${SECRET}@127.0.0.1:1/none` })),
  },
  CONFLICT: {
    class: DatabaseError,
    retryable: true,
    cause: true,
    sqlState: "40001",
    provoke: async (test) => {
      await failWrites(test, "40001");
      return test.index.upsertTraining(TRAINING);
    },
  },
  TIMEOUT: {
    class: DatabaseError,
    retryable: true,
    cause: false,
    provoke: async ({ index, pool }) => {
      const clients = await Promise.all(Array.from({ length: pool.options.max }, () => pool.connect()));
      try {
        return await index.deleteTraining("a", { timeoutMs: 50 });
      } finally {
        for (const client of clients) client.release();
      }
    },
  },
  ABORTED: {
    class: AbortError,
    retryable: false,
    cause: true,
    provoke: ({ index }) => index.upsertTraining(TRAINING, { signal: AbortSignal.abort(new Error(SECRET)) }),
  },
};

/** `TIMEOUT` belongs to two classes; this is its failure as an `EmbeddingError`. */
const EMBEDDER_TIMEOUT: Failure = {
  class: EmbeddingError,
  retryable: true,
  cause: true,
  provoke: async (test) => {
    const index = await openOnOllama(test, { faults: [{ kind: "hang" }] }, { queryTimeoutMs: 200 });
    return index.similar(SECRET);
  },
};

/** An index on the schema of a test that embeds through a fake Ollama server, under the recorded model. */
async function openOnOllama(
  { pool, schema, embeddings: { profile } }: TestIndex,
  options: OllamaServerOptions,
  limits: OllamaEmbeddingsOptions = {},
): Promise<TrainingIndex> {
  const { dimensions } = profile;
  const { embeddings } = await openOllama({ dimensions, ...options }, { dimensions, ...limits });
  return TrainingIndex.initialize(embeddings, { pool, schema, profile });
}

function endingPool(config: pg.PoolConfig): pg.Pool {
  const pool = new pg.Pool(config);
  pool.on("error", () => undefined);
  onTestFinished(() => pool.end());
  return pool;
}

async function expectFailure(code: string, failure: Failure, test: TestIndex): Promise<void> {
  const error = await failureOf(failure.provoke(test));
  expect(error).toBeInstanceOf(failure.class);
  expectTyped(error, { code, retryable: failure.retryable });
  expect(error.cause !== undefined, "a cause").toBe(failure.cause);
  expect((error as Partial<DatabaseError>).sqlState).toBe(failure.sqlState);
  if (failure.sqlState !== undefined) expect(error.cause).toMatchObject({ code: failure.sqlState });
}

const entries: [string, Failure][] = [...Object.entries(FAILURES), ["TIMEOUT", EMBEDDER_TIMEOUT]];
const REFUSED = { code: "CONNECTION_FAILED", retryable: false };
const UNREACHED = { code: "CONNECTION_FAILED", retryable: true, sqlState: undefined };

// Guards: every failure goes through `translateError`, `Embedder` or an argument check.
describeOnServer("C11 Typed errors", (database) => {
  it("exports six error classes: one base class and five that extend it", () => {
    const classes = Object.values(library).filter(
      (value) => typeof value === "function" && value.prototype instanceof Error,
    );
    expect(classes).toHaveLength(6);
    const used = new Set<unknown>(entries.map(([, failure]) => failure.class));
    for (const one of classes) if (one !== TrainingIndexError) expect(used).toContain(one);
  });

  it.each(entries.filter(([, { isServerOnly }]) => !isServerOnly))("%s is thrown", async (code, failure) => {
    await expectFailure(code, failure, await openTestIndex(database));
  });

  it("a failed call leaves the old version, and a repeat succeeds once the cause is gone", async () => {
    const test = await openTestIndex(database);
    await test.index.upsertTraining({ id: "a", content: "a loja" });
    await failWrites(test, "53200", { times: 1 });
    const error = await failureOf(test.index.upsertTraining(TRAINING));
    expectTyped(error, { code: "DATABASE_FAILED", retryable: true, sqlState: "53200" });
    expect(await chunksWithOffsets(test)).toMatchObject([{ content: "a loja" }]);
    expect(await test.index.upsertTraining(TRAINING)).toMatchObject({ status: "indexed" });
  });
});

// Guards: `translateError` decides by SQLSTATE and never by the server's message.
describeOnServer("C11 Typed errors", (database) => {
  it.each<[string, ErrorCode, boolean]>([
    ["40001", "CONFLICT", true],
    ["40P01", "CONFLICT", true],
    ["40003", "CONFLICT", true],
    ["08006", "CONNECTION_FAILED", true],
    ["57P01", "CONNECTION_FAILED", true],
    ["57014", "DATABASE_FAILED", true],
    ["53100", "DATABASE_FAILED", true],
    ["53200", "DATABASE_FAILED", true],
    ["55P03", "DATABASE_FAILED", true],
    ["55006", "DATABASE_FAILED", true],
    ["58030", "DATABASE_FAILED", true],
    ["55000", "DATABASE_FAILED", false],
    ["22001", "DATABASE_FAILED", false],
    ["23514", "DATABASE_FAILED", false],
    ["XX000", "DATABASE_FAILED", false],
    ["P0001", "DATABASE_FAILED", false],
    ["42501", "INSUFFICIENT_PRIVILEGE", false],
    ["42P01", "SCHEMA_MISSING", false],
    ["42883", "SCHEMA_MISSING", false],
    ["3F000", "SCHEMA_MISSING", false],
  ])("SQLSTATE %s is %s, retryable: %s, whatever the message says", async (sqlState, code, retryable) => {
    const test = await openTestIndex(database);
    const message = code === "INSUFFICIENT_PRIVILEGE" ? "permissão negada: " : undefined;
    await failWrites(test, sqlState, message === undefined ? {} : { message });
    const error = await failureOf(test.index.upsertTraining(TRAINING));
    expectTyped(error, { code, retryable });
    expect(error).toBeInstanceOf(
      code === "INSUFFICIENT_PRIVILEGE" || code === "SCHEMA_MISSING" ? SchemaError : DatabaseError,
    );
    expect(error.message).toContain(sqlState);
    expect(error.cause).toMatchObject({ code: sqlState });
    if (error instanceof DatabaseError) expect(error.sqlState).toBe(sqlState);
    expect(await test.index.similar("loja")).toEqual([]);
  });

  // Guards: the retries of `write` and `writeStatement`: MAX_ATTEMPTS (5), after one try as a single statement.
  it.each(["40001", "40P01"])("tries six times on %s, then fails", async (sqlState) => {
    const test = await openTestIndex(database);
    const { attempts } = await failWrites(test, sqlState);
    const error = await failureOf(test.index.upsertTraining(TRAINING));
    expectTyped(error, { code: "CONFLICT", retryable: true, sqlState });
    expect(await attempts()).toBe(6);
    expect(test.embeddings.calls).toBe(1);
  });

  it.each(["40001", "40P01"])("succeeds after four times %s", async (sqlState) => {
    const test = await openTestIndex(database);
    const { attempts } = await failWrites(test, sqlState, { times: 4 });
    expect(await test.index.upsertTraining(TRAINING)).toMatchObject({ status: "indexed", chunks: 1 });
    expect(await attempts()).toBe(5);
    expect(await chunksWithOffsets(test)).toMatchObject([{ content: TRAINING.content }]);
  });

  it.each<[string, (index: TrainingIndex) => Promise<unknown>, object]>([
    ["a repeat", (index) => index.upsertTraining(TRAINING), { status: "unchanged" }],
    ["a delete", (index) => index.deleteTraining("a"), { status: "deleted", removed: 1 }],
  ])("retries %s too", async (_name, call, outcome) => {
    const test = await openTestIndex(database);
    await test.index.upsertTraining(TRAINING);
    const { attempts } = await failWrites(test, "40001", { times: 2, table: "training" });
    expect(await call(test.index)).toMatchObject(outcome);
    expect(await attempts()).toBeGreaterThan(2);
  });

  it.each(["23514", "53200", "57014"])("does not retry on %s", async (sqlState) => {
    const test = await openTestIndex(database);
    const { attempts } = await failWrites(test, sqlState);
    await failureOf(test.index.upsertTraining(TRAINING));
    expect(await attempts()).toBe(1);
  });

  it("does not retry in the host's transaction, which stays usable", async () => {
    const test = await openTestIndex(database);
    const prepared = await test.index.prepareTraining(TRAINING);
    const { attempts } = await failWrites(test, "40001");
    await inHostTransaction(test.pool, "COMMIT", async (client) => {
      const error = await failureOf(prepared.commit(client));
      expectTyped(error, { code: "CONFLICT", retryable: true, sqlState: "40001" });
      expect((await client.query("SELECT 1 AS one")).rows).toEqual([{ one: 1 }]);
    });
    expect(await attempts()).toBe(1);
  });

  it("refuses a client outside a transaction before it embeds anything", async () => {
    const { index, pool, embeddings } = await openTestIndex(database);
    const client = await pool.connect();
    const errors = [
      await failureOf(index.upsertTraining(TRAINING, { client })),
      await failureOf(index.deleteTraining("a", { client })),
      await failureOf(index.prune({ olderThanMs: 1, client })),
    ];
    client.release();
    for (const error of errors) {
      expectTyped(error, { code: "INVALID_ARGUMENT", retryable: false, option: "client" });
      expect(error.message).toContain("BEGIN first");
    }
    expect(embeddings.texts).toEqual([]);
  });

  it("a stale preparation in the host's transaction is a CONFLICT without an SQLSTATE", async () => {
    const test = await openTestIndex(database);
    await test.index.upsertTraining(TRAINING);
    const other = await test.index.prepareTraining({ ...TRAINING, content: "Outro texto." });
    const stale = await test.index.prepareTraining({ ...TRAINING, metadata: { ano: 2026 } }); // keeps the vector
    await other.commit();
    await inHostTransaction(test.pool, "COMMIT", async (client) => {
      const error = await failureOf(stale.commit(client));
      expectTyped(error, { name: "DatabaseError", code: "CONFLICT", retryable: true, sqlState: undefined });
    });
  });
});

describeOnServer("C11 Typed errors", (database) => {
  it.each(entries.filter(([, { isServerOnly }]) => isServerOnly))("%s is thrown", async (code, failure) => {
    await expectFailure(code, failure, await openTestIndex(database));
  });

  it.each<[string, object, (url: URL) => void]>([
    ["nothing listens", UNREACHED, (url) => Object.assign(url, { port: "1" })],
    ["the host name does not resolve", UNREACHED, (url) => Object.assign(url, { hostname: `${SECRET}.invalid` })],
    ["the role is unknown", REFUSED, (url) => Object.assign(url, { username: SECRET, password: SECRET })],
    ["the database does not exist", REFUSED, (url) => Object.assign(url, { pathname: `/${SECRET}` })],
  ])("if %s, the error is typed and does not contain the address", async (_name, expected, change) => {
    const url = new URL(requireServerUrl());
    change(url);
    const pool = endingPool({ connectionString: url.href });
    for (const call of [() => migrate(pool), () => openAgain({ schema: "x" }, pool), () => migrationStatus(pool)]) {
      const error = await failureOf(call());
      expectTyped(error, { name: "DatabaseError", ...expected });
      expect(error.cause).toBeInstanceOf(Error);
    }
  });
});
