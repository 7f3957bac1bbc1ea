import { readFile } from "node:fs/promises";
import { TrainingIndex } from "langchain-training-index";
import { healthHandler } from "langchain-training-index/http";
import { migrate } from "langchain-training-index/migrations";
import { HashingEmbeddings } from "langchain-training-index/testing";
import pg from "pg";
import { Wait } from "testcontainers";
import { describe, expect, inject, it, onTestFinished } from "vitest";
import { postgresContainer } from "../tooling/postgres-container.js";
import { collect } from "./support/contract.js";
import { useContainer } from "./support/containers.js";
import { until } from "./support/index.js";

const STANDBY_PORT = 5433;
const DIMENSIONS = 16;

/** Copies the server into a standby in the same container, which then follows it. */
const START_STANDBY = `PGPASSWORD=$POSTGRES_PASSWORD pg_basebackup -w -h /var/run/postgresql -U $POSTGRES_USER -D /tmp/standby -R -c fast &&
  pg_ctl -D /tmp/standby -o "-p ${STANDBY_PORT} -c listen_addresses=*" -w -t 60 -l /tmp/standby.log start`;

const embeddings = new HashingEmbeddings({ dimensions: DIMENSIONS });
const contentOf = (number: number): string => `Loja ${number}. ${"Prazo. ".repeat(50)}`;
const trainings = Array.from({ length: 3000 }, (_, number) => ({ id: `t${number}`, content: contentOf(number) }));

/** The commands of a section of docs/operations.md, for bash. */
async function readCommands(section: string): Promise<string[]> {
  const page = await readFile("docs/operations.md", "utf8");
  const [, text = ""] = page.split(`## ${section}\n`);
  return [...(text.split("\n## ")[0] ?? "").matchAll(/^```bash\n(.*?)^```/gms)].map(([, commands = ""]) => commands);
}

describe("A server of its own, with a hot standby", () => {
  const server = useContainer("standby of this test", async () => {
    const container = await postgresContainer(inject("image"))
      .withExposedPorts(5432, STANDBY_PORT)
      .withWaitStrategy(Wait.forSuccessfulCommand("pg_isready --host localhost")) // nothing listens on the second port yet
      .start();
    const { exitCode, output } = await container.exec(["bash", "-c", START_STANDBY], { user: "postgres" });
    if (exitCode !== 0) throw new Error(`the standby did not start: ${output}`);
    const pool = new pg.Pool({ connectionString: container.getConnectionUri() });
    await migrate(pool, { dimensions: DIMENSIONS });
    const index = await TrainingIndex.initialize(embeddings, { pool });
    await index.upsertTrainings(trainings);
    await index.deleteTraining("t0");
    await pool.query("ANALYZE training_index.chunk_1");
    await pool.end();
    return { container, stop: () => container.stop() };
  });

  const open = (port = 5432, database = server().container.getDatabase()): pg.Pool => {
    const { container } = server();
    const pool = new pg.Pool({
      host: container.getHost(),
      port: container.getMappedPort(port),
      user: container.getUsername(),
      password: container.getPassword(),
      database,
    });
    pool.on("error", () => undefined);
    onTestFinished(() => pool.end());
    return pool;
  };

  it("the standby answers get, list, count, chunks and status", { timeout: 120_000 }, async () => {
    const [primary, standby] = [open(), open(STANDBY_PORT)];
    const { rows } = await primary.query<{ lsn: string }>("SELECT pg_current_wal_lsn()::text AS lsn");
    await until(async () => {
      const replayed = "SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn AS is_replayed";
      return (await standby.query<{ is_replayed: boolean }>(replayed, [rows[0]?.lsn])).rows[0]?.is_replayed === true;
    });

    const index = await TrainingIndex.initialize(embeddings, { pool: standby });
    const status = await index.status();
    expect(status).toMatchObject({
      counts: { trainings: 2999, chunks: 2999, tombstones: 1, exact: true },
      vectorIndex: { valid: true, use: "used" },
      server: { isStandby: true },
    });
    for (const { deadRows, lastVacuum } of status.tables) {
      expect({ deadRows, lastVacuum }).toEqual({ deadRows: undefined, lastVacuum: undefined });
    }
    expect(status.warnings.filter(({ code }) => !code.startsWith("PGVECTOR"))).toEqual([]);
    expect(await index.get("t1")).toMatchObject({ id: "t1", chunks: 1 });
    expect(await index.get("t0")).toBeUndefined();
    expect(await index.chunks("t1")).toHaveLength(1);
    expect(await index.count()).toEqual({ trainings: 2999, chunks: 2999 });
    expect(await collect(index.list())).toHaveLength(2999);
    const response = await healthHandler(index)(new Request("http://localhost/health"));
    expect(response.status).toBe(200);
  });

  it(
    "a backup is restored as docs/operations.md says: it opens, searches and writes",
    { timeout: 120_000 },
    async () => {
      const { container } = server();
      const source = open();
      await source.query("CREATE DATABASE restored");
      const urlOf = (database: string): string =>
        `postgres://${container.getUsername()}:${container.getPassword()}@localhost/${database}`;
      const environment = { DATABASE_URL: urlOf(container.getDatabase()), TARGET_URL: urlOf("restored") };
      const [dump, restore] = await readCommands("Backup and restore");
      for (const commands of [dump, restore]) {
        const script = `set -e; cd /tmp; ${commands}`;
        const { exitCode, output } = await container.exec(["bash", "-c", script], { env: environment });
        expect([exitCode, output]).toEqual([0, expect.any(String)]);
      }
      const before = await TrainingIndex.initialize(embeddings, { pool: source });
      const restored = await TrainingIndex.initialize(embeddings, { pool: open(5432, "restored") });
      expect(await restored.count()).toEqual(await before.count());
      expect(await restored.verify()).toMatchObject({ damaged: { count: 0 }, schema: [] });
      expect(await restored.status()).toMatchObject({ vectorIndex: { valid: true } });
      expect(await restored.similar("Loja 7", { k: 1, efSearch: 1000 })).toHaveLength(1);
      expect(await restored.upsertTraining({ id: "t7", content: contentOf(7) })).toMatchObject({ status: "unchanged" });
      expect(await restored.upsertTraining({ id: "t7", content: "Outra." })).toMatchObject({ status: "indexed" });
      expect(await restored.deleteTraining("t8")).toMatchObject({ status: "deleted" });
      expect(await before.get("t8")).toBeDefined();
    },
  );
});
