import { TrainingIndex, type IndexStatus, type StatusWarningCode } from "langchain-training-index";
import { migrate } from "langchain-training-index/migrations";
import { expect, it, onTestFinished } from "vitest";
import { boundedPool } from "../../src/postgres/bounded-database.js";
import { NamedStatements } from "../../src/postgres/named-statements.js";
import { Models } from "../../src/models/models.js";
import { KnownSchema } from "../../src/schema/known-schema.js";
import { readStatus } from "../../src/inspecting/status.js";
import { collect, failureOf, openServerPool } from "../support/contract.js";
import { describeOnServerOrEmbedded, describeOnServer, isOnCluster } from "../support/databases.js";
import {
  DIMENSIONS,
  filledIndex,
  inHostTransaction,
  openTestIndex,
  smallTraining,
  until,
  type TestIndex,
} from "../support/index.js";
import { recordingPool } from "../support/recording-pool.js";
import { codesOf } from "../support/warnings.js";

function warningOf({ warnings }: IndexStatus, code: StatusWarningCode): string {
  return warnings.find((warning) => warning.code === code)?.message ?? "";
}

/** A call of every method that reads by id or about the index. */
function readsOf(index: TrainingIndex): (() => Promise<unknown>)[] {
  return [
    () => index.status(),
    () => index.get("a"),
    () => index.chunks("a"),
    () => index.count(),
    () => collect(index.list()),
  ];
}

/** Enough chunks that searches use the vector index. */
async function upsertMany({ index }: TestIndex): Promise<void> {
  await index.upsertTrainings(
    Array.from({ length: 2000 }, (_, n) => ({
      id: `t${n}`,
      content: `A loja ${n} fica na rua ${n * 7}. ${"Prazo de entrega. ".repeat(20)}`,
      metadata: { grupo: n % 500 === 0 ? "raro" : "comum" },
    })),
  );
}

describeOnServerOrEmbedded("The status of an index", (database) => {
  it("of a new and of a small index is complete and without warnings", async () => {
    const { index, schema } = await openTestIndex(database, {}, { textSearch: "portuguese" });
    const empty = await index.status();
    expect(empty).toMatchObject({
      schema: { name: schema, version: 6, latest: 6 },
      model: { dimensions: DIMENSIONS, recorded: false },
      counts: { trainings: 0, chunks: 0, tombstones: 0, exact: true },
      vectorIndex: { type: "vector", exists: true, valid: true, ready: true, build: undefined, use: "tableIsSmall" },
      textSearch: "portuguese",
      server: { isStandby: false },
    });
    expect(codesOf(empty)).toEqual([]);
    for (const id of ["a", "b", "c"]) await index.upsertTraining({ ...smallTraining(id), metadata: { id } });
    await index.deleteTraining("c");
    const status = await index.status();
    expect(status).toMatchObject({
      model: { name: "hashing-1", recorded: true },
      counts: { trainings: 2, chunks: 2, tombstones: 1, exact: true },
    });
    expect(status.server.postgres).toMatch(/^\d+/);
    expect(status.server.pgvector).toMatch(/^0\.8/);
    expect(status.tables.map(({ name }) => name)).toEqual([
      "chunk_1",
      "indexed_1",
      "migration",
      "profile",
      "training",
      "word",
    ]);
    const sum = status.tables.reduce((bytes, table) => bytes + table.bytes + table.indexBytes, 0);
    expect(status.sizes.total).toBe(sum);
    expect(status.vectorIndex.bytes).toBeGreaterThan(0);
    expect(codesOf(status)).toEqual([]);
    expect(JSON.stringify(status)).not.toContain("undefined");
  });

  it("counts what the filter of the index matches", async () => {
    const { index } = await openTestIndex(database);
    for (const id of ["a", "b", "c"]) await index.upsertTraining({ ...smallTraining(id), metadata: { id } });
    await index.deleteTraining("c");
    const countsBy = async (id: string): Promise<object | undefined> =>
      (await index.withFilter({ id }).status()).counts;
    expect(await countsBy("a")).toEqual({ trainings: 1, chunks: 1, tombstones: 0, exact: true });
    expect(await countsBy("c")).toEqual({ trainings: 0, chunks: 0, tombstones: 1, exact: true });
    const open = index.withFilter({ id: { gt: "a" } });
    expect((await open.status()).counts).toEqual({ trainings: 1, chunks: 1, tombstones: 1, exact: true });
    expect((await open.status({ counts: false })).counts).toBeUndefined();
  });
});

describeOnServer("The status of an index", (database) => {
  it("takes one statement", async () => {
    const { embeddings, schema, pool: own } = await openTestIndex(database);
    const { pool, statements } = recordingPool(own);
    const index = await TrainingIndex.initialize(embeddings, { pool, schema });
    statements.length = 0;
    await index.status();
    expect(statements).toHaveLength(1);
  });

  it("warns of a schema of another version, and names the remedy", async () => {
    const { index, owner, schema } = await openTestIndex(database);
    await owner.query(`INSERT INTO ${schema}.migration (version, name, breaking) VALUES (99, 'x', true)`);
    const newer = await index.status();
    expect(newer.schema).toMatchObject({ version: 99, latest: 6 });
    expect(warningOf(newer, "SCHEMA_NEWER")).toContain("upgrade langchain-training-index");
    await owner.query(`DELETE FROM ${schema}.migration WHERE version > 4`);
    const older = await index.status();
    expect(codesOf(older)).toEqual(["SCHEMA_OUTDATED"]);
    expect(warningOf(older, "SCHEMA_OUTDATED")).toContain(`run migrate(pool, { schema: "${schema}" })`);
  });

  it("fails with a typed error if the schema or a right is gone, the pool has ended, or the arguments are wrong", async () => {
    const { index, owner, schema, embeddings } = await openTestIndex(database);
    for (const [option, options] of [
      ["counts", { counts: "no" }],
      ["count", { count: false }],
      ["timeoutMs", { timeoutMs: -1 }],
      ["client", { client: {} }],
    ] as const) {
      expect(await failureOf(index.status(options as never))).toMatchObject({ code: "INVALID_ARGUMENT", option });
    }
    expect(await failureOf(index.status({ signal: AbortSignal.abort() }))).toMatchObject({ code: "ABORTED" });
    const pool = openServerPool();
    const ended = await TrainingIndex.initialize(embeddings, { pool, schema });
    await pool.end();
    for (const call of readsOf(ended)) {
      expect(await failureOf(call())).toMatchObject({ name: "DatabaseError", retryable: false });
    }
    await owner.query(`DROP SCHEMA ${schema} CASCADE`);
    for (const call of readsOf(index)) {
      expect(await failureOf(call())).toMatchObject({ code: "SCHEMA_MISSING" });
    }
  });
});

describeOnServer("The status of a large index", (database) => {
  // Not analyzed by the server meanwhile. The tests run in this order: the first one finds no statistics, the last one deletes rows.
  const filled = filledIndex(database, async (test) => {
    const { owner, schema } = test;
    for (const table of ["chunk_1", "training"]) {
      await owner.query(`ALTER TABLE ${schema}.${table} SET (autovacuum_enabled = off)`);
    }
    await upsertMany(test);
    await test.index.deleteTrainings({ ids: Array.from({ length: 100 }, (_, n) => `t${n + 1}`) });
  });

  it("has estimates for counts, and warns of tables that were never analyzed", async () => {
    const test = filled();
    const { owner, schema, embeddings } = test;
    const pool = boundedPool(test.pool);
    const models = new Models({
      given: [{ embeddings, profile: undefined }],
      splitter: undefined,
      notify: () => undefined,
    });
    const parts = {
      statements: new NamedStatements(pool),
      knownSchema: new KnownSchema({
        pool,
        schema,
        choose: (state, database) => models.choose(state, database),
      }),
      models,
      filter: undefined,
      efSearch: 40,
      choseEfSearch: false,
    };
    const unknown = await readStatus(parts, {}, 1);
    expect(codesOf(unknown)).toContain("NEVER_ANALYZED");
    expect(unknown.counts?.exact).toBe(isOnCluster()); // where rows are always counted
    if (!isOnCluster()) {
      // where the tables of the workers are vacuumed as their servers are configured
      expect(unknown.tables.map(({ lastVacuum }) => lastVacuum)).toEqual(unknown.tables.map(() => undefined));
    }
    await owner.query(`VACUUM (ANALYZE) ${schema}.chunk_1`);
    await owner.query(`VACUUM (ANALYZE) ${schema}.training`);
    expect((await readStatus(parts, {}, 1)).counts).toEqual({
      trainings: 1900,
      chunks: 1900,
      tombstones: 100,
      exact: isOnCluster(),
    });
    expect((await readStatus(parts, {})).counts?.exact).toBe(true);
  });

  it(
    "mentions the default efSearch of a large index, unless the host has chosen one",
    { timeout: 180_000 },
    async () => {
      const test = await openTestIndex(database, {}, { vectorIndex: "bit" });
      const { index, schema } = test;
      await index.bulkLoad(
        Array.from({ length: 20_500 }, (_, number) => ({
          id: `t${number}`,
          content: `Pedido ${number}, rua ${number % 977}`,
        })),
      );
      let status = await index.status();
      await until(async () => codesOf((status = await index.status())).includes("EF_SEARCH_NOT_CHOSEN"));
      expect(warningOf(status, "EF_SEARCH_NOT_CHOSEN")).toContain("hnsw: { efSearch: 200 }");
      const chosen = await TrainingIndex.initialize(test.embeddings, {
        pool: test.pool,
        schema,
        hnsw: { efSearch: 40 },
      });
      expect(codesOf(await chosen.status())).not.toContain("EF_SEARCH_NOT_CHOSEN");
    },
  );

  it("takes a second statement", async () => {
    const { embeddings, schema, pool: own } = filled();
    const { pool, statements } = recordingPool(own);
    const index = await TrainingIndex.initialize(embeddings, { pool, schema });
    statements.length = 0;
    expect((await index.status()).vectorIndex.use).toBe("used");
    // Without the read of the catalogs, which all calls share, and which is repeated after some seconds.
    expect(statements.filter(({ text }) => !text.includes("AS chunk_oid"))).toHaveLength(2);
  });

  it("works in a read-only transaction and on a pool of one client", async () => {
    const test = filled();
    const pool = openServerPool({ max: 1 });
    const index = await TrainingIndex.initialize(test.embeddings, { pool, schema: test.schema });
    const client = await pool.connect();
    await client.query("BEGIN TRANSACTION READ ONLY");
    expect((await index.status({ client })).counts?.trainings).toBe(1900);
    await client.query("COMMIT");
    client.release();
    expect((await index.status()).vectorIndex.use).toBe("used");
  });

  it("and the reads need no right but SELECT", async () => {
    const test = filled();
    const { owner, schema, embeddings } = test;
    const role = `reader_${schema}`;
    await owner.query(`CREATE ROLE ${role} NOLOGIN`);
    onTestFinished(async () => {
      await owner.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    });
    await owner.query(`GRANT USAGE ON SCHEMA ${schema} TO ${role}`);
    await owner.query(`GRANT SELECT ON ALL TABLES IN SCHEMA ${schema} TO ${role}`);
    const pool = openServerPool({ connectionString: undefined, ...(owner.options as object), max: 1 });
    const client = await pool.connect();
    await client.query(`SET ROLE ${role}`);
    client.release();
    const index = await TrainingIndex.initialize(embeddings, { pool, schema });
    expect(await index.status()).toMatchObject({ counts: { trainings: 1900 }, vectorIndex: { use: "used" } });
    expect(await index.get("t1000")).toMatchObject({ chunks: 1 });
    expect(await index.chunks("t1000")).toHaveLength(1);
    expect(await index.count()).toEqual({ trainings: 1900, chunks: 1900 });
    expect(await collect(index.list({ limit: 3 }))).toHaveLength(3);
    await owner.query(`REVOKE SELECT ON ${schema}.training, ${schema}.indexed_1 FROM ${role}`);
    for (const call of readsOf(index)) {
      expect(await failureOf(call())).toMatchObject({ code: "INSUFFICIENT_PRIVILEGE", name: "SchemaError" });
    }
  });

  it("says whether searches use the vector index, and otherwise why not", async () => {
    const test = filled();
    const { index, owner, schema } = test;
    const used = await index.status();
    expect(used.vectorIndex).toMatchObject({ exists: true, valid: true, use: "used" });
    expect(codesOf(used)).toEqual([]);
    // A filter that matches few chunks is served by its own index.
    const rare = await index.withFilter({ grupo: "raro" }).status();
    expect(rare.vectorIndex.use).toBe("notChosen");
    expect(codesOf(rare)).toEqual([]);
    await inHostTransaction(test.pool, "ROLLBACK", async (client) => {
      await client.query("SET LOCAL enable_indexscan = off");
      const unused = await index.status({ client });
      expect(unused.vectorIndex.use).toBe("notChosen");
      expect(codesOf(unused), "1,900 chunks are quickly compared").toEqual([]);
    });
    await owner.query(
      `UPDATE pg_index SET indisvalid = false WHERE indexrelid = '${schema}.chunk_1_embedding'::regclass`,
    );
    const invalid = await index.status();
    expect(invalid.vectorIndex).toMatchObject({ exists: true, valid: false, use: "notUsable" });
    expect(warningOf(invalid, "VECTOR_INDEX_INVALID")).toContain(`migrate(pool, { schema: "${schema}" })`);
    await owner.query(`DROP INDEX ${schema}.chunk_1_embedding`);
    const missing = await index.status();
    expect(missing.vectorIndex).toMatchObject({
      exists: false,
      valid: false,
      ready: false,
      bytes: 0,
      use: "notUsable",
    });
    expect(codesOf(missing)).toEqual(["VECTOR_INDEX_MISSING"]);
    expect(await migrate(owner, { schema, dimensions: DIMENSIONS })).toMatchObject({ vectorIndex: "built" });
    expect(codesOf(await index.status())).toEqual([]);
  });

  it("shows a build in progress", async () => {
    const test = filled();
    const { index, owner, schema } = test;
    await owner.query(`DROP INDEX ${schema}.chunk_1_embedding`);
    const builder = await owner.connect();
    // An open snapshot keeps the concurrent build waiting before its last phase.
    const holder = await owner.connect();
    onTestFinished(() => {
      for (const client of [builder, holder]) client.release();
    });
    await holder.query("BEGIN ISOLATION LEVEL REPEATABLE READ");
    await holder.query("SELECT 1");
    await holder.query(`INSERT INTO ${schema}.migration (version, name, breaking) VALUES (-1, 'held', false)`);
    const building = builder.query(
      `CREATE INDEX CONCURRENTLY chunk_1_embedding ON ${schema}.chunk_1 USING hnsw (embedding vector_cosine_ops)`,
    );
    let seen: IndexStatus | undefined;
    await until(async () => (seen = await index.status({ counts: false })).vectorIndex.build !== undefined);
    if (!seen) throw new Error("the status was read");
    expect(codesOf(seen)).toContain("VECTOR_INDEX_BUILDING");
    expect(seen.vectorIndex).toMatchObject({ valid: false, use: "notUsable" });
    expect(seen.vectorIndex.build?.phase).toMatch(/\w/);
    const { progress = 0 } = seen.vectorIndex.build ?? {};
    expect(progress).toBeGreaterThanOrEqual(0);
    expect(progress).toBeLessThanOrEqual(1);
    await holder.query("ROLLBACK");
    await building;
    expect((await index.status()).vectorIndex).toMatchObject({ valid: true, build: undefined });
  });

  it("reports dead rows and the last VACUUM and ANALYZE", async () => {
    const test = filled();
    const { index, owner, schema } = test;
    const client = await owner.connect();
    await client.query(`DELETE FROM ${schema}.chunk_1 WHERE training_id < 't7'`);
    await client.query("SELECT pg_stat_force_next_flush()").catch(() => undefined); // Postgres 15 and newer
    client.release();
    let status = await index.status();
    await until(async () => codesOf((status = await index.status())).includes("DEAD_ROWS"));
    const chunks = status.tables.find(({ name }) => name === "chunk_1");
    expect(chunks?.deadRows).toBeGreaterThan(1000);
    expect(chunks?.lastAnalyze?.getTime()).toBeGreaterThan(Date.now() - 120_000);
    expect(warningOf(status, "DEAD_ROWS")).toContain(`VACUUM (ANALYZE) ${schema}.chunk_1`);
    const begin = Date.now();
    await until(async () => {
      // Again, because VACUUM leaves rows that another test's transaction could still see.
      await owner.query(`VACUUM (ANALYZE) ${schema}.chunk_1`);
      return codesOf((status = await index.status())).length === 0;
    });
    expect(status.tables.find(({ name }) => name === "chunk_1")?.lastVacuum?.getTime()).toBeGreaterThan(begin - 1000);
  });
});
