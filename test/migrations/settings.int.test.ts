import { TrainingIndex } from "langchain-training-index";
import { migrate, migrationStatus } from "langchain-training-index/migrations";
import pg from "pg";
import { expect, it, onTestFinished } from "vitest";
import { subscribeNotices } from "../support/channels.js";
import { freshDatabase, openServerPool } from "../support/contract.js";
import { describeOnServer, requireServerUrl, uniqueName } from "../support/databases.js";
import { CountingEmbeddings, DIMENSIONS, dropAtEnd, openTestIndex } from "../support/index.js";

/** Settings that change how values are printed or parsed, or how queries are planned; they must have no effect. */
const HOSTILE = {
  DateStyle: "'German, DMY'",
  IntervalStyle: "sql_standard",
  TimeZone: "'Pacific/Kiritimati'",
  bytea_output: "escape",
  quote_all_identifiers: "on",
  standard_conforming_strings: "off",
  escape_string_warning: "on",
  backslash_quote: "off",
  xmloption: "document",
  xmlbinary: "hex",
  lc_messages: "'C'",
  lc_monetary: "'C'",
  lc_numeric: "'C'",
  lc_time: "'C'",
  extra_float_digits: "3",
  default_text_search_config: "'pg_catalog.russian'",
  transform_null_equals: "on",
  search_path: "pg_temp, information_schema",
  default_transaction_isolation: "serializable",
  default_transaction_deferrable: "on",
  row_security: "off",
  plan_cache_mode: "force_generic_plan",
  enable_indexscan: "off",
  enable_bitmapscan: "off",
  enable_hashjoin: "off",
  enable_mergejoin: "off",
  enable_nestloop: "off",
  enable_sort: "off",
  enable_seqscan: "off",
  enable_material: "off",
  jit: "on",
  jit_above_cost: "0",
  jit_inline_above_cost: "-1", // inlining and optimizing take a second for each statement
  jit_optimize_above_cost: "-1",
  default_toast_compression: "lz4",
  default_table_access_method: "heap",
  check_function_bodies: "off",
  client_min_messages: "notice",
  from_collapse_limit: "1",
  join_collapse_limit: "1",
  geqo_threshold: "2",
  constraint_exclusion: "on",
  statement_timeout: "20000",
  lock_timeout: "10000",
  client_encoding: "LATIN1",
} as const;

/** A pool of a superuser role with these settings; the role is dropped when the test ends. */
async function poolWith(settings: Record<string, string>, url = requireServerUrl()): Promise<pg.Pool> {
  const role = uniqueName("hostile");
  const owner = openServerPool({ connectionString: url });
  await owner.query(`CREATE ROLE ${role} SUPERUSER LOGIN PASSWORD 'hostile'`);
  for (const [name, value] of Object.entries(settings)) {
    await owner.query(`ALTER ROLE ${role} SET ${name} = ${value}`);
  }
  const address = new URL(url);
  Object.assign(address, { username: role, password: "hostile" });
  const pool = new pg.Pool({ connectionString: address.href });
  pool.on("error", () => undefined);
  onTestFinished(async () => {
    await pool.end();
    const cleaner = new pg.Client({ connectionString: url });
    await cleaner.connect();
    await cleaner.query(`REASSIGN OWNED BY ${role} TO CURRENT_USER; DROP OWNED BY ${role}; DROP ROLE ${role}`);
    await cleaner.end();
  });
  return pool;
}

describeOnServer("settings of a role", (database) => {
  it.each(["text", "bigint", "uuid"] as const)(
    "have no effect, with ids of type %s",
    { timeout: 180_000 },
    async (idType) => {
      // With all plans disabled, every statement is compiled: once is enough to see that it has no effect.
      const pool = await poolWith({ ...HOSTILE, jit: idType === "text" ? "on" : "off" });
      const schema = uniqueName('te"st\\');
      dropAtEnd(database.owner, schema);
      const options = { schema, dimensions: DIMENSIONS };
      await migrate(pool, { ...options, idType, textSearch: "portuguese" });
      expect(await migrate(pool, { ...options, vectorIndex: "halfvec" })).toMatchObject({
        vectorIndex: "built",
      });
      expect(await migrationStatus(pool, { schema })).toMatchObject({
        idType,
        damaged: [],
        vectorIndex: "valid",
      });
      const index = await TrainingIndex.initialize(new CountingEmbeddings(), { pool, schema });
      const id = { text: "é\\'\"", bigint: 7, uuid: "6f1c7a52-0f4d-4d39-9d3b-0d2c1a7f9f10" }[idType];
      const metadata = { quando: "2024-02-03", valor: 0.1 + 0.2, nome: "ação\\'\"" };
      const content = "As estações — 日本 — valem por dois anos.\n\nA loja abre às nove.";
      const revision = new Date("2024-02-03T04:05:06.007Z");
      expect(await index.upsertTraining({ id, content, metadata, revision })).toMatchObject({
        status: "indexed",
      });
      expect(await index.upsertTraining({ id, content, metadata, revision })).toMatchObject({
        status: "unchanged",
      });
      for (const mode of ["vector", "text", "hybrid"] as const) {
        const [hit] = await index.similar("estação", {
          mode,
          filter: { nome: metadata.nome },
          neighbors: { before: 1 },
        });
        expect(hit).toMatchObject({ trainingId: id, metadata });
      }
      expect(await index.similar("loja", { strategy: "trainings" })).toHaveLength(1);
      expect(await index.upsertTraining({ id, content: `${content} Sim.`, metadata })).toMatchObject({
        status: "indexed",
      });
      expect(await index.deleteTraining(id)).toMatchObject({ status: "deleted" });
      for await (const result of index.bulkLoad([{ id, content, metadata }])) {
        expect(result.status).toBe("indexed");
      }
      expect(await index.similar("loja")).not.toEqual([]);
      expect(await index.prune({ olderThanMs: 1 })).toBe(0);
    },
  );

  it.each([
    ["array_nulls", "off"],
    ["session_replication_role", "replica"],
    ["extra_float_digits", "-5"],
    ["gin_fuzzy_search_limit", "10"],
  ])("are refused if they would change results: %s = %s", async (name, value) => {
    const { schema } = await openTestIndex(database);
    const pool = await poolWith({ [name]: value });
    for (const call of [
      () => migrate(pool, { schema }),
      () => TrainingIndex.initialize(new CountingEmbeddings(), { pool, schema }),
    ]) {
      const failure = call();
      await expect(failure).rejects.toMatchObject({ code: "UNSUPPORTED_SETTING" });
      await expect(failure).rejects.toThrow(name);
    }
  });

  it("are refused by a migration if they make it read-only", async () => {
    const pool = await poolWith({ default_transaction_read_only: "on" });
    await expect(migrate(pool, { schema: uniqueName() })).rejects.toThrow(/default_transaction_read_only is on/);
  });

  it.each(["LATIN1", "SQL_ASCII"])("do not include the database's encoding: %s is refused", async (encoding) => {
    const name = uniqueName("database");
    const owner = openServerPool({ connectionString: requireServerUrl() });
    await owner.query(`CREATE DATABASE ${name} ENCODING '${encoding}' LOCALE 'C' TEMPLATE template0`);
    const url = new URL(requireServerUrl());
    url.pathname = `/${name}`;
    const pool = new pg.Pool({ connectionString: url.href });
    pool.on("error", () => undefined); // DROP DATABASE ends a connection that is still closing
    try {
      await expect(migrate(pool)).rejects.toThrow(`The encoding of the database is ${encoding}`);
    } finally {
      await pool.end();
      await owner.query(`DROP DATABASE ${name} WITH (FORCE)`);
    }
  });
});

describeOnServer("timeouts of a role", (database) => {
  const SHORT = { statement_timeout: "500", lock_timeout: "300", idle_in_transaction_session_timeout: "300" };

  it("do not end a migration that waits for a lock, nor a build", async () => {
    const { index, owner, schema } = await openTestIndex(database);
    await index.upsertTraining({ id: "a", content: "a loja" });
    const pool = await poolWith(SHORT);
    const client = await owner.connect();
    await client.query(
      `BEGIN; SELECT FROM ${schema}.profile FOR UPDATE; LOCK TABLE ${schema}.chunk_1 IN ROW EXCLUSIVE MODE`,
    );
    const migrated = migrate(pool, { schema, textSearch: "portuguese", vectorIndex: "halfvec" });
    migrated.catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    await client.query("COMMIT");
    client.release();
    expect(await migrated).toMatchObject({ vectorIndex: "built" });
  });

  it("do not end the claim of a build that waits for the profile row", async () => {
    const { owner, schema } = await openTestIndex(database);
    await owner.query(`DROP INDEX ${schema}.chunk_1_embedding`);
    const pool = await poolWith(SHORT);
    const client = await owner.connect();
    await client.query(`BEGIN; SELECT FROM ${schema}.profile FOR UPDATE`);
    const migrated = migrate(pool, { schema });
    migrated.catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    await client.query("COMMIT");
    client.release();
    expect(await migrated).toMatchObject({ vectorIndex: "built" });
  });

  it("do not end a concurrent build, and apply again afterwards", async () => {
    const { owner, schema } = await openTestIndex(database);
    const pool = new pg.Pool({ ...(await poolWith(SHORT)).options, max: 1 });
    pool.on("error", () => undefined);
    onTestFinished(() => pool.end());
    const client = await owner.connect();
    // A concurrent build waits until every older snapshot ends.
    await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT");
    await client.query(`SELECT FROM ${schema}.chunk_1`);
    const migrated = migrate(pool, { schema, vectorIndex: "halfvec" });
    migrated.catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    await client.query("COMMIT");
    client.release();
    expect(await migrated).toMatchObject({ vectorIndex: "built" });
    const { rows } = await pool.query<{ statement_timeout: string }>("SHOW statement_timeout");
    expect(rows).toEqual([{ statement_timeout: "500ms" }]);
  });

  it("are named in the error if a pooler makes them unavoidable", async () => {
    const { owner, schema } = await openTestIndex(database);
    const pool = await poolWith(SHORT);
    const behindPooler = new pg.Pool(pool.options);
    onTestFinished(() => behindPooler.end());
    // How a pooler appears: the backend process that it names is not the one that answers.
    const pooled = {
      query: (text: string, values?: unknown[]) => behindPooler.query(text, values),
      connect: async () => {
        const client = await behindPooler.connect();
        (client as unknown as { processID: number }).processID = 1;
        return client;
      },
    };
    const client = await owner.connect();
    await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT");
    await client.query(`SELECT FROM ${schema}.chunk_1`);
    const notices = subscribeNotices();
    try {
      await expect(migrate(pooled, { schema, vectorIndex: "halfvec" })).rejects.toThrow(/statement_timeout \(500 ms\)/);
      expect(notices).toContainEqual({
        code: "TIMEOUTS_KEPT",
        message: expect.stringContaining("statement_timeout (500 ms)") as string,
      });
    } finally {
      await client.query("COMMIT");
      client.release();
    }
    expect(await migrate(pool, { schema })).toMatchObject({ vectorIndex: "built" });
  });
});

describeOnServer("pgvector that another application creates at the same time", () => {
  it("is waited for", async () => {
    const { pool, url } = await freshDatabase();
    const others = Array.from({ length: 6 }, () => openServerPool({ connectionString: url.href }));
    const results = await Promise.allSettled([
      ...others.map((other) => other.query("CREATE EXTENSION IF NOT EXISTS vector")),
      ...Array.from({ length: 4 }, (_, place) => migrate(pool, { schema: `of_${place}` })),
    ]);
    expect(results.slice(others.length)).toMatchObject(Array.from({ length: 4 }, () => ({ status: "fulfilled" })));
    await Promise.all(others.map((other) => other.end()));
  });

  it.each(["XX000", "23505", "40P01"])("is retried after SQLSTATE %s", async (code) => {
    const { pool } = await freshDatabase();
    let failures = 1;
    const failing = {
      query: (text: string, values?: unknown[]) => pool.query(text, values),
      connect: async () => {
        const client = await pool.connect();
        const query = client.query.bind(client) as (text: string, values?: unknown[]) => Promise<never>;
        return {
          query: (text: string, values?: unknown[]) =>
            /^CREATE .*EXTENSION/.test(text) && failures-- > 0
              ? Promise.reject(Object.assign(new Error("tuple concurrently updated"), { code, severity: "ERROR" }))
              : query(text, values),
          release: (error?: Error | boolean) => {
            client.release(error);
          },
          on: client.on.bind(client),
          removeListener: client.removeListener.bind(client),
        };
      },
    };
    const notices = subscribeNotices();
    expect(await migrate(failing)).toMatchObject({ vectorIndex: "built" });
    expect(notices).toMatchObject([{ code: "RETRY", cause: { sqlState: code } }]);
  });
});
