import { TrainingIndex } from "langchain-training-index";
import { healthHandler } from "langchain-training-index/http";
import { migrate } from "langchain-training-index/migrations";
import { HashingEmbeddings } from "langchain-training-index/testing";
import pg from "pg";
import { Wait } from "testcontainers";
import { describe, expect, inject, it, onTestFinished } from "vitest";
import { postgresContainer } from "../../tooling/postgres-container.js";
import { collect } from "../support/contract.js";
import { useContainer } from "../support/containers.js";
import { until } from "../support/index.js";

const STANDBY_PORT = 5433;
const DIMENSIONS = 16;

/** Copies the server into a standby in the same container, which then follows it. */
const START_STANDBY = `PGPASSWORD=$POSTGRES_PASSWORD pg_basebackup -w -h /var/run/postgresql -U $POSTGRES_USER -D /tmp/standby -R -c fast &&
  pg_ctl -D /tmp/standby -o "-p ${STANDBY_PORT} -c listen_addresses=*" -w -t 60 -l /tmp/standby.log start`;

describe("Reads on a hot standby", () => {
  const server = useContainer("standby of this test", async () => {
    const container = await postgresContainer(inject("image"))
      .withExposedPorts(5432, STANDBY_PORT)
      .withWaitStrategy(Wait.forSuccessfulCommand("pg_isready --host localhost")) // nothing listens on the second port yet
      .start();
    const { exitCode, output } = await container.exec(["bash", "-c", START_STANDBY], { user: "postgres" });
    if (exitCode !== 0) throw new Error(`the standby did not start: ${output}`);
    return { container, stop: () => container.stop() };
  });

  it("get, list, count, chunks and status need no write", { timeout: 120_000 }, async () => {
    const { container } = server();
    const open = (port: number): pg.Pool => {
      const pool = new pg.Pool({
        host: container.getHost(),
        port: container.getMappedPort(port),
        user: container.getUsername(),
        password: container.getPassword(),
        database: container.getDatabase(),
      });
      pool.on("error", () => undefined);
      onTestFinished(() => pool.end());
      return pool;
    };
    const [primary, standby] = [open(5432), open(STANDBY_PORT)];
    await migrate(primary, { dimensions: DIMENSIONS });
    const embeddings = new HashingEmbeddings({ dimensions: DIMENSIONS });
    const writer = await TrainingIndex.initialize(embeddings, { pool: primary });
    const trainings = Array.from({ length: 3000 }, (_, n) => ({
      id: `t${n}`,
      content: `Loja ${n}. ${"Prazo. ".repeat(50)}`,
    }));
    await writer.upsertTrainings(trainings);
    await writer.deleteTraining("t0");
    await primary.query("ANALYZE training_index.chunk_1");
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
});
