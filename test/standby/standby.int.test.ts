import { TrainingIndex, type Notice, type TrainingIndexOptions } from "langchain-training-index";
import { migrate, type MigrateOptions } from "langchain-training-index/migrations";
import { HashingEmbeddings } from "langchain-training-index/testing";
import pg from "pg";
import { describe, expect, it, onTestFinished } from "vitest";
import { decodeToken, encodeToken } from "../../src/standby/token.js";
import { collect } from "../support/contract.js";
import { requireConnectionSetup, uniqueName } from "../support/databases.js";
import { inHostTransaction, until } from "../support/index.js";
import { silentProxy } from "../support/silent-proxy.js";
import { usePair } from "../support/standby.js";

const DIMENSIONS = 16;
const embeddings = new HashingEmbeddings({ dimensions: DIMENSIONS });
const FREIGHT = { id: "frete", content: "O frete custa doze reais." };
const TERM = { id: "prazo", content: "A entrega leva dois dias úteis." };

const including = (text: string): unknown => expect.stringContaining(text);
const ANYTHING: unknown = expect.anything();

/** An index whose reads go to the standby, and what it has told. */
interface Opened {
  index: TrainingIndex;
  told: Notice[];
  schema: string;
  pool: pg.Pool;
}

describe("Reads from a hot standby", () => {
  const servers = usePair();

  async function migrated(options: MigrateOptions = {}): Promise<{ schema: string; pool: pg.Pool }> {
    const pool = servers.open("primary");
    const schema = uniqueName();
    await migrate(pool, { schema, dimensions: DIMENSIONS, textSearch: "portuguese", ...options });
    return { schema, pool };
  }

  async function openOn(
    schema: string,
    options: Partial<TrainingIndexOptions> & Pick<TrainingIndexOptions, "pool">,
  ): Promise<{ index: TrainingIndex; told: Notice[] }> {
    const told: Notice[] = [];
    const onNotice = (notice: Notice): void => void told.push(notice);
    const readPool = options.readPool ?? servers.open("standby");
    return { index: await TrainingIndex.initialize(embeddings, { schema, onNotice, ...options, readPool }), told };
  }

  /** In a schema of its own that both servers have. */
  async function open(options: Partial<TrainingIndexOptions> = {}): Promise<Opened> {
    const { schema, pool } = await migrated();
    await servers.caughtUp();
    return { schema, pool, ...(await openOn(schema, { pool, ...options })) };
  }

  it("answers every kind of read, with all that the primary has", async () => {
    const { index, told } = await open();
    const { token } = await index.upsertTraining(FREIGHT);
    const consistency = { after: token ?? "" };
    expect(await index.get("frete", { consistency })).toMatchObject({ id: "frete" });
    expect(await index.count({ consistency })).toEqual({ trainings: 1, chunks: 1 });
    expect(await index.chunks("frete", { consistency })).toHaveLength(1);
    expect(await collect(index.list({ consistency }))).toHaveLength(1);
    for (const mode of ["vector", "text", "hybrid"] as const) {
      for (const question of ["frete", "fretr"]) {
        expect(await index.similar(question, { mode, consistency })).toHaveLength(1);
        expect(await index.similar(question, { mode, filter: { grupo: { $exists: false } } })).toHaveLength(1);
      }
    }
    expect(await index.asRetriever({ k: 1 }).invoke("frete")).toHaveLength(1);
    expect(await index.vectorStore.similaritySearch("frete", 1)).toHaveLength(1);
    expect(await index.similar("frete", { strategy: "trainings", neighbors: { after: 1 } })).toHaveLength(1);
    expect(told).toEqual([]);
  });

  it("sees what the standby has replayed; writes, reads with a client, status and verify see the primary", async () => {
    const { index, told, pool } = await open();
    await servers.pause();
    await index.upsertTraining(FREIGHT);
    expect(await index.get("frete")).toBeUndefined();
    expect(await index.similar("frete")).toEqual([]);
    expect(await index.upsertTraining(FREIGHT)).toMatchObject({ status: "unchanged" });
    expect(await index.status()).toMatchObject({ counts: { trainings: 1 }, server: { isStandby: false } });
    expect(await index.verify([{ id: "frete" }])).toMatchObject({ missing: { count: 0 }, orphaned: { count: 0 } });
    await inHostTransaction(pool, "COMMIT", async (client) => {
      await index.upsertTraining(TERM, { client });
      expect(await index.get("prazo", { client })).toMatchObject({ id: "prazo" });
      expect(await index.similar("entrega", { client, mode: "text" })).toHaveLength(1);
    });
    await servers.resume();
    await servers.caughtUp();
    expect(await index.count()).toEqual({ trainings: 2, chunks: 2 });
    expect(told).toEqual([]);
  });

  it("every write has a token, and a read after it sees the write, however late the standby is", async () => {
    const { index, told, pool, schema } = await open();
    await servers.on("standby", "ALTER SYSTEM SET recovery_min_apply_delay = '150ms'", "SELECT pg_reload_conf()");
    onTestFinished(async () => {
      await servers.on("standby", "ALTER SYSTEM RESET recovery_min_apply_delay", "SELECT pg_reload_conf()");
    });
    const ids = async (after: string | readonly string[] | undefined): Promise<unknown[]> => {
      const listed = await collect(index.list({ consistency: { after: after ?? "", timeoutMs: 10_000 } }));
      return listed.map(({ id }) => id);
    };
    const first = await index.upsertTraining(FREIGHT);
    expect(await ids(first.token)).toEqual(["frete"]);
    const prepared = await index.prepareTraining(TERM);
    expect(await ids([first.token ?? "", (await prepared.commit()).token ?? ""])).toEqual(["frete", "prazo"]);
    expect(await ids((await index.upsertTrainings([{ id: "a", content: "Um." }])).token)).toEqual([
      "a",
      "frete",
      "prazo",
    ]);
    const run = index.upsertTrainings([{ id: "b", content: "Dois." }], { onFailure: "continue" });
    for await (const result of run) if (result.status !== "failed") expect(await ids(result.token)).toContain("b");
    expect(await ids((await index.deleteTraining("b")).token)).not.toContain("b");
    expect(await ids((await index.deleteTrainings({ ids: ["a"] }))[0]?.token)).not.toContain("a");
    expect(await ids((await index.reconcile([FREIGHT], { maxDeletes: 1 })).token)).toEqual(["frete"]);
    expect(await ids((await index.deleteTrainings({ filter: { id: { $exists: false } } }))[0]?.token)).toEqual([]);
    const exported = await collect((await openOn(schema, { pool })).index.exportTrainings());
    expect((await index.importTrainings(exported)).token).toMatch(/^lti1_/);
    await inHostTransaction(pool, "COMMIT", async (client) => {
      expect(await index.upsertTraining(TERM, { client })).not.toHaveProperty("token");
    });
    expect(await ids(await index.token())).toEqual(["prazo"]);
    expect(told).toEqual([]);
  });

  it("a read whose token is not replayed in time is answered by the primary", async () => {
    const { index, told } = await open();
    await servers.pause();
    const { token = "" } = await index.upsertTraining(FREIGHT);
    const consistency = { after: token, timeoutMs: 30 };
    for (const mode of ["vector", "text", "hybrid"] as const) {
      expect(await index.similar("frete", { mode, consistency })).toHaveLength(1);
    }
    expect(await index.similar("frete")).toEqual([]);
    const expected = { code: "PRIMARY_READ", message: including("not replayed the write within 30 ms") };
    expect(told).toEqual([expected, expected, expected]);
    await expect(
      index.get("frete", { consistency: { after: token, timeoutMs: 5_000 }, timeoutMs: 50 }),
    ).rejects.toThrow(expect.objectContaining({ code: "TIMEOUT" }));
  });

  it("a token is text for any process: one that only writes makes it with `tokens`", async () => {
    const { index, schema } = await open();
    const writer = await TrainingIndex.initialize(embeddings, { pool: servers.open("primary"), schema, tokens: true });
    const silent = await TrainingIndex.initialize(embeddings, { pool: servers.open("primary"), schema });
    expect(await silent.upsertTraining(TERM)).not.toHaveProperty("token");
    const { token = "" } = await writer.upsertTraining(FREIGHT);
    expect(encodeURIComponent(token)).toBe(token);
    expect(await index.get("frete", { consistency: { after: token } })).toMatchObject({ id: "frete" });
    expect(await silent.get("frete", { consistency: { after: token } })).toMatchObject({ id: "frete" });
  });

  it("a token of another cluster is refused, and one from before a promotion is answered by the primary", async () => {
    const { index, told } = await open();
    const position = decodeToken((await index.upsertTraining(FREIGHT)).token, "token");
    const read = (changes: Partial<typeof position>): Promise<unknown> =>
      index.get("frete", { consistency: { after: encodeToken({ ...position, ...changes }) } });
    await expect(read({ system: "7" })).rejects.toThrow(/consistency.after .*another database cluster/);
    await expect(read({ timeline: position.timeline + 1 })).rejects.toThrow(
      expect.objectContaining({ code: "CONFLICT", message: including("lead to the new primary") }),
    );
    expect(told).toEqual([]);
  });

  it("a read that is in the way of replaying is answered by the primary", { timeout: 30_000 }, async () => {
    const { index, told, pool, schema } = await open();
    const { token = "" } = await index.upsertTraining(FREIGHT);
    const locked = await pool.connect();
    try {
      // The read waits for the table of words on the standby, in a transaction that has read the table of chunks.
      await locked.query("BEGIN");
      await locked.query(`LOCK TABLE ${schema}.word IN ACCESS EXCLUSIVE MODE`);
      await servers.caughtUp();
      const reading = index.similar("fretr", { mode: "text", consistency: { after: token } });
      await until(async () => {
        const waiting =
          "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%find-close-words%'";
        return (await servers.on("standby", waiting)).length > 0;
      });
      await servers.on("primary", "BEGIN", `LOCK TABLE ${schema}.chunk_1 IN ACCESS EXCLUSIVE MODE`, "COMMIT");
      await until(() => told.length > 0);
      await locked.query("ROLLBACK");
      expect(await reading).toHaveLength(1);
      expect(told).toMatchObject([
        {
          code: "PRIMARY_READ",
          message: including("in the way of what the standby replays"),
          cause: { sqlState: "40001" },
        },
      ]);
    } finally {
      locked.release(true);
    }
  });

  it("a standby that is behind a migration answers by what it has, and the primary answers what it cannot", async () => {
    const { schema, pool } = await migrated({ textSearch: undefined });
    await servers.caughtUp();
    const { index, told } = await openOn(schema, { pool });
    await index.upsertTraining(FREIGHT);
    await servers.caughtUp();
    await servers.pause();
    await migrate(pool, { schema, dimensions: DIMENSIONS, textSearch: "portuguese", vectorIndex: "halfvec" });
    expect(await index.similar("frete")).toHaveLength(1);
    expect(told.filter(({ code }) => code === "PRIMARY_READ")).toEqual([]);
    expect(await index.similar("frete", { mode: "text" })).toHaveLength(1);
    expect(told.at(-1)).toMatchObject({ code: "PRIMARY_READ", cause: { option: "mode" } });

    // A schema that the standby does not have at all.
    const later = await migrated();
    const second = await openOn(later.schema, { pool: later.pool });
    await second.index.upsertTraining(FREIGHT);
    expect(await second.index.similar("frete", { mode: "text" })).toHaveLength(1);
    expect(second.told.map(({ code }) => code)).toEqual(["PRIMARY_READ"]);
    await servers.resume();
    await servers.caughtUp();
    second.told.length = 0;
    expect(await second.index.similar("frete", { mode: "text" })).toHaveLength(1);
    expect(second.told).toEqual([]);
  });

  it("a standby that is farther behind than maxLagMs is not read until it has caught up", async () => {
    const { index, told } = await open({ maxLagMs: 100 });
    await servers.pause();
    await index.upsertTraining(FREIGHT);
    await until(async () => (await index.get("frete")) !== undefined);
    expect(told[0]).toMatchObject({
      code: "PRIMARY_READ",
      message: including("more than 100 ms behind"),
    });
    await servers.resume();
    await servers.caughtUp();
    await until(async () => {
      told.length = 0;
      return (await index.get("frete")) !== undefined && told.length === 0;
    });
  });

  it("a standby that is down, or silent, is not read", { timeout: 30_000 }, async () => {
    const proxy = await silentProxy(servers.urlOf("standby"));
    const readPool = new pg.Pool({ connectionString: proxy.url.href, max: 2 });
    readPool.on("error", () => undefined);
    onTestFinished(() => readPool.end());
    const { index, told, schema, pool } = await open({ readPool, maxLagMs: 200 });
    await index.upsertTraining(FREIGHT);
    await servers.caughtUp();
    expect(await index.similar("frete")).toHaveLength(1);
    expect(told).toEqual([]);
    proxy.goDown();
    for (let read = 0; read < 3; read++) expect(await index.similar("frete")).toHaveLength(1);
    expect(told.map(({ code }) => code)).toEqual(["PRIMARY_READ", "PRIMARY_READ", "PRIMARY_READ"]);
    expect(told[0]).toMatchObject({ message: including("could not be reached") });
    // An index opens without it, too.
    const other = new pg.Pool({ connectionString: proxy.url.href, max: 2 });
    onTestFinished(() => other.end());
    const opened = await openOn(schema, { pool, readPool: other });
    expect(await opened.index.get("frete")).toMatchObject({ id: "frete" });
    expect(opened.told.map(({ code }) => code)).toEqual(["PRIMARY_READ"]);

    const silent = await silentProxy(servers.urlOf("standby"));
    const silentPool = new pg.Pool({ connectionString: silent.url.href, max: 2 });
    silentPool.on("error", () => undefined);
    const third = await openOn(schema, { pool, readPool: silentPool, maxLagMs: 100 });
    silent.fallSilent();
    await new Promise((resolve) => setTimeout(resolve, 60));
    const begun = performance.now();
    expect(await third.index.get("frete")).toMatchObject({ id: "frete" });
    expect(performance.now() - begun).toBeLessThan(5_000);
    expect(third.told.at(-1)).toMatchObject({ code: "PRIMARY_READ", cause: { code: "TIMEOUT" } });
    void silentPool.end();
  });

  it("reads go on while the primary is down, and say that the lag is not known", async () => {
    const proxy = await silentProxy(servers.urlOf("primary"));
    const pool = new pg.Pool({ connectionString: proxy.url.href, max: 2 });
    pool.on("error", () => undefined);
    onTestFinished(() => pool.end());
    const { schema } = await migrated();
    await servers.caughtUp();
    const { index, told } = await openOn(schema, { pool, maxLagMs: 100 });
    const { token = "" } = await index.upsertTraining(FREIGHT);
    expect(await index.get("frete", { consistency: { after: token } })).toMatchObject({ id: "frete" });
    proxy.goDown();
    await new Promise((resolve) => setTimeout(resolve, 60));
    for (const mode of ["vector", "text", "hybrid"] as const) {
      expect(await index.similar("frete", { mode })).toHaveLength(1);
    }
    await until(() => told.length > 0);
    expect(new Set(told.map(({ code }) => code))).toEqual(new Set(["LAG_UNKNOWN"]));
    await expect(index.upsertTraining(TERM)).rejects.toThrow(expect.objectContaining({ code: "CONNECTION_FAILED" }));
  });

  it("a read pool that leads elsewhere, or asks for too little, is refused", async () => {
    const { schema, pool } = await migrated();
    await servers.caughtUp();
    const initialize = (options: Partial<TrainingIndexOptions>): Promise<unknown> =>
      TrainingIndex.initialize(embeddings, { pool, schema, ...options });
    await expect(initialize({ readPool: pool })).rejects.toThrow("readPool must be another pool than pool");
    await expect(initialize({ readPool: servers.open("primary") })).rejects.toThrow(/readPool .*leads to the primary/);
    await expect(initialize({ maxLagMs: 1000 })).rejects.toThrow("maxLagMs needs a readPool");
    const standby = servers.open("standby");
    await expect(initialize({ readPool: standby, maxLagMs: 5 })).rejects.toThrow(/maxLagMs must be an integer/);
    await expect(initialize({ pool: standby, readPool: servers.open("standby") })).rejects.toThrow(
      /pool must lead to the primary/,
    );
    await servers.on("primary", "CREATE DATABASE other");
    await servers.caughtUp();
    const other = servers.open("standby", { database: "other" });
    await expect(initialize({ readPool: other })).rejects.toThrow(/readPool .*another cluster or database/);
    const elsewhere = new pg.Pool({ connectionString: requireConnectionSetup().ownerUrl });
    onTestFinished(() => elsewhere.end());
    await expect(initialize({ readPool: elsewhere })).rejects.toThrow(/readPool .*another cluster or database/);
    const refused = servers.open("standby", { password: "wrong" });
    await expect(initialize({ readPool: refused })).rejects.toThrow(
      expect.objectContaining({ code: "CONNECTION_FAILED", retryable: false }),
    );
    await expect(initialize({ readPool: {} as pg.Pool })).rejects.toThrow(/readPool must be a pg.Pool/);
  });

  it("the limited role needs no other right, unless the server withholds the functions", async () => {
    const { schema, pool: owner } = await migrated();
    const role = uniqueName("role");
    const grants = requireConnectionSetup()
      .grants.replaceAll("training_index", schema)
      .replaceAll("TO bot", `TO ${role}`);
    await owner.query(`CREATE ROLE ${role} LOGIN PASSWORD 'test'`);
    await owner.query(grants);
    await servers.caughtUp();
    const [pool, readPool] = [servers.open("primary", { user: role }), servers.open("standby", { user: role })];
    const { index, told } = await openOn(schema, { pool, readPool });
    const { token = "" } = await index.upsertTraining(FREIGHT);
    expect(await index.similar("frete", { mode: "hybrid", consistency: { after: token } })).toHaveLength(1);
    expect(told).toEqual([]);

    await owner.query("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC");
    onTestFinished(() =>
      servers.on("primary", "GRANT EXECUTE ON FUNCTION pg_control_system() TO PUBLIC").then(() => undefined),
    );
    await servers.caughtUp();
    expect(await index.upsertTraining(TERM)).toEqual(expect.not.objectContaining({ token: ANYTHING }));
    expect(told).toMatchObject([{ code: "NO_TOKEN", cause: { code: "INSUFFICIENT_PRIVILEGE" } }]);
    await expect(openOn(schema, { pool, readPool })).rejects.toThrow(
      expect.objectContaining({
        code: "INSUFFICIENT_PRIVILEGE",
        message: including("GRANT EXECUTE ON FUNCTION"),
      }),
    );
  });

  // The last one: the pair is no pair afterwards.
  it("a standby that is promoted under the running process is not read any more", { timeout: 60_000 }, async () => {
    const { index, told, schema, pool } = await open();
    const before = await index.upsertTraining(FREIGHT);
    await servers.caughtUp();
    expect(await index.get("frete")).toMatchObject({ id: "frete" });
    const promoted = servers.open("standby");
    await promoted.query("SELECT pg_promote()");
    await index.deleteTraining("frete"); // which the promoted server does not hear of
    expect(await index.get("frete")).toBeUndefined();
    expect(await index.similar("frete", { mode: "hybrid" })).toEqual([]);
    const codes = told.map(({ code, message }) => [code, message.includes("was promoted")]);
    expect(codes).toEqual([
      ["PRIMARY_READ", true],
      ["PRIMARY_READ", true],
    ]);

    // The new primary's tokens are of another timeline: the one before it cannot answer for them.
    const next = await TrainingIndex.initialize(embeddings, { pool: promoted, schema, tokens: true });
    const { token = "" } = await next.upsertTraining(TERM);
    expect(decodeToken(token, "token").timeline).toBe(decodeToken(before.token, "token").timeline + 1);
    await expect(index.get("prazo", { consistency: { after: token } })).rejects.toThrow(
      expect.objectContaining({ code: "CONFLICT", retryable: true }),
    );
    // A process that has not heard of the promotion: its pools now lead to the server that was the standby.
    const late = await TrainingIndex.initialize(embeddings, { pool, schema });
    expect(await late.get("frete", { consistency: { after: before.token ?? "" } })).toBeUndefined();
    await expect(openOn(schema, { pool })).rejects.toThrow(/readPool must lead to a hot standby/);
  });
});
