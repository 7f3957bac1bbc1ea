import { InvalidArgumentError, SchemaError, TrainingIndex } from "langchain-training-index";
import { migrate } from "langchain-training-index/migrations";
import { HashingEmbeddings } from "langchain-training-index/testing";
import type pg from "pg";
import { expect, it } from "vitest";
import { openServerPool } from "../support/contract.js";
import { describeOnServer, requireConnectionSetup, uniqueName } from "../support/databases.js";
import { DIMENSIONS, dropAtEnd, FIVE_PARAGRAPHS, openTestIndex, paragraph } from "../support/index.js";

/** Where the shards of a schema are. */
async function nodesOf(pool: pg.Pool, schema: string): Promise<string[]> {
  const { rows } = await pool.query<{ node: string }>(
    `SELECT DISTINCT nodename || ':' || nodeport AS node FROM citus_shards WHERE table_name::text LIKE $1 || '.%'`,
    [schema],
  );
  return rows.map(({ node }) => node);
}

/** Whether a schema exists. */
async function exists(pool: pg.Pool, schema: string): Promise<boolean> {
  return ((await pool.query("SELECT FROM pg_namespace WHERE nspname = $1", [schema])).rowCount ?? 0) > 0;
}

/** A pool whose sessions have a setting. */
function poolWith(setting: string): pg.Pool {
  const url = new URL(requireConnectionSetup().url);
  url.searchParams.set("options", `-c ${setting}`);
  return openServerPool({ connectionString: url.href });
}

describeOnServer("A schema on a Citus cluster", (database) => {
  it("is on one worker, where searches use its vector index", async () => {
    const { index, pool, schema } = await openTestIndex(database);
    expect(await nodesOf(pool, schema)).toHaveLength(1);
    const trainings = Array.from({ length: 30 }, (_, place) => ({
      id: `t${place}`,
      documents: Array.from({ length: 60 }, (_unused, number) => ({ pageContent: paragraph(`${place} ${number}`) })),
      split: false,
    }));
    await index.bulkLoad(trainings, { maintenanceWorkMem: "64MB" });
    const status = await index.status();
    expect(status.vectorIndex).toMatchObject({ valid: true, use: "used" });
    expect(status.counts).toMatchObject({ trainings: 30, chunks: 1800 });
    expect(status.vectorIndex.bytes).toBeGreaterThan(100_000);
    expect(status.sizes.tables).toBeGreaterThan(500_000);
    const [hit] = await index.similar(paragraph("7 7"), { k: 1 });
    expect(hit).toMatchObject({ trainingId: "t7", position: 7 });
  });

  it("stays distributed when migrate runs again, at the same time in several processes", async () => {
    const { pool, owner, schema } = await openTestIndex(database);
    const again = await Promise.all(Array.from({ length: 5 }, () => migrate(owner, { schema })));
    expect(again.map(({ applied }) => applied)).toEqual([[], [], [], [], []]);
    expect(await nodesOf(pool, schema)).toHaveLength(1);
  });

  it("is created once by several processes at the same time", async () => {
    const schema = uniqueName();
    dropAtEnd(database.owner, schema);
    const results = await Promise.all(
      Array.from({ length: 4 }, () => migrate(database.owner, { schema, dimensions: DIMENSIONS, citus: "schema" })),
    );
    expect(results.filter(({ applied }) => applied.length > 0)).toHaveLength(1);
    expect(await nodesOf(database.owner, schema)).toHaveLength(1);
  });

  it("gets other dimensions while other schemas do", async () => {
    const opened = await Promise.all(Array.from({ length: 4 }, () => openTestIndex(database)));
    await Promise.all(
      opened.map(async ({ owner, pool, schema }) => {
        for (const dimensions of [32, DIMENSIONS]) await migrate(owner, { schema, dimensions });
        expect(await nodesOf(pool, schema)).toHaveLength(1);
      }),
    );
  });

  it("is moved there with its rows by a later migrate", async () => {
    const { index, pool, owner, schema } = await openTestIndex(database, {}, { citus: undefined });
    await index.upsertTraining({ id: "a", content: FIVE_PARAGRAPHS });
    expect(await nodesOf(pool, schema)).toEqual([]);
    await migrate(owner, { schema, citus: "schema" });
    expect(await nodesOf(pool, schema)).toHaveLength(1);
    expect(await index.upsertTraining({ id: "a", content: FIVE_PARAGRAPHS })).toMatchObject({ status: "unchanged" });
    expect(await index.upsertTraining({ id: "b", content: FIVE_PARAGRAPHS })).toMatchObject({ status: "indexed" });
  });

  it("gets text search later, and stays distributed", async () => {
    const { index, pool, owner, schema } = await openTestIndex(database);
    await index.upsertTraining({ id: "a", content: "O prazo de entrega é de dois dias." });
    await migrate(owner, { schema, textSearch: "portuguese" });
    expect(await nodesOf(pool, schema)).toHaveLength(1);
    await index.upsertTraining({ id: "b", content: "A loja abre às nove horas." });
    const found = await index.similar("prazos", { mode: "text" });
    expect(found.map(({ trainingId }) => trainingId)).toEqual(["a"]);
    expect((await index.similar("horas da loja", { mode: "hybrid", k: 1 }))[0]).toMatchObject({ trainingId: "b" });
  });

  it("is moved to another node while trainings are written and found", async () => {
    const { index, pool, owner, schema } = await openTestIndex(database);
    const [from = ""] = await nodesOf(pool, schema);
    const { rows } = await owner.query<{ host: string; port: number }>(
      `SELECT node_name AS host, node_port::integer AS port FROM citus_get_active_worker_nodes()
      WHERE node_name || ':' || node_port <> $1`,
      [from],
    );
    const [target] = rows;
    if (!target) throw new Error("the cluster needs two workers");
    let isMoved = false;
    const texts = new Map<string, string>();
    const write = async (writer: number): Promise<void> => {
      for (let number = 0; !isMoved || number < 5; number++) {
        const id = `${writer}-${number % 10}`;
        const content = `${paragraph(id)} ${number}`;
        await index.upsertTraining({ id, content });
        texts.set(id, content);
        expect(await index.similar(content, { k: 1 })).toMatchObject([{ trainingId: id, content }]);
      }
    };
    const move = async (): Promise<void> => {
      await owner.query("SELECT citus_schema_move($1, $2, $3, 'force_logical')", [schema, target.host, target.port]);
      isMoved = true;
    };
    await Promise.all([write(1), write(2), move()]);
    expect(await nodesOf(pool, schema)).toEqual([`${target.host}:${target.port}`]);
    expect(await index.count()).toEqual({ trainings: texts.size, chunks: texts.size });
    for (const [id, content] of texts)
      expect((await index.chunks(id)).map((chunk) => chunk.content)).toEqual([content]);
  });

  it("references a host's table that is on all nodes, and only such a table", async () => {
    const { owner, pool } = database;
    const host = uniqueName("host");
    const schema = uniqueName();
    dropAtEnd(owner, schema);
    dropAtEnd(owner, host);
    await owner.query(`CREATE SCHEMA ${host}; CREATE TABLE ${host}.treinamento (id bigint PRIMARY KEY)`);
    const trainings = { schema: host, table: "treinamento" };
    const options = { schema, dimensions: DIMENSIONS, trainings, citus: "schema" } as const;
    await expect(migrate(owner, options)).rejects.toSatisfy(
      (error) =>
        SchemaError.is(error) && error.code === "SCHEMA_CONFLICT" && error.message.includes("create_reference_table"),
    );
    expect(await exists(owner, schema)).toBe(false);

    await owner.query(`SELECT create_reference_table('${host}.treinamento')`);
    await migrate(owner, options);
    const index = await TrainingIndex.initialize(new HashingEmbeddings({ dimensions: DIMENSIONS }), { pool, schema });
    expect(await index.upsertTraining({ id: 1, content: "loja" })).toMatchObject({ reason: "hostRowMissing" });
    await owner.query(`INSERT INTO ${host}.treinamento VALUES (1)`);
    expect(await index.upsertTraining({ id: 1, content: "loja" })).toMatchObject({ status: "indexed" });
    await owner.query(`DELETE FROM ${host}.treinamento`);
    expect(await index.count()).toEqual({ trainings: 0, chunks: 0 });
    await owner.query(`DROP SCHEMA ${schema} CASCADE`);
  });

  it("is refused where new schemas are distributed at once", async () => {
    const pool = poolWith("citus.enable_schema_based_sharding=on");
    const schema = uniqueName();
    await expect(migrate(pool, { schema, dimensions: DIMENSIONS })).rejects.toSatisfy(
      (error) => SchemaError.is(error) && error.code === "UNSUPPORTED_SETTING" && error.message.includes("ALTER ROLE"),
    );
    expect(await exists(pool, schema)).toBe(false);
  });

  it("is refused on a worker, as is a write", async () => {
    const { schema } = await openTestIndex(database);
    const connectionString = process.env["TEST_CITUS_WORKER_URL"];
    if (!connectionString) throw new Error("set TEST_CITUS_WORKER_URL to the address of a worker");
    const worker = openServerPool({ connectionString });
    const isRefused = (error: unknown): boolean =>
      SchemaError.is(error) && error.code === "UNSUPPORTED_SETTING" && error.message.includes("coordinator");
    await expect(migrate(worker, { schema, dimensions: DIMENSIONS })).rejects.toSatisfy(isRefused);
    await expect(
      TrainingIndex.initialize(new HashingEmbeddings({ dimensions: DIMENSIONS }), { pool: worker, schema }),
    ).rejects.toSatisfy(isRefused);
  });

  it("cannot be switched to another model", async () => {
    const { index } = await openTestIndex(database);
    await index.upsertTraining({ id: "a", content: FIVE_PARAGRAPHS });
    const model = new HashingEmbeddings({ dimensions: 32 });
    await expect(index.switchModel(model)).rejects.toSatisfy(
      (error) => SchemaError.is(error) && error.code === "SWITCH_REFUSED" && error.message.includes("new schema"),
    );
  });

  it("is refused for another word than those of the option", async () => {
    await expect(migrate(database.owner, { citus: "nodes" as "schema" })).rejects.toSatisfy(
      (error) => InvalidArgumentError.is(error) && error.option === "citus",
    );
  });
});
