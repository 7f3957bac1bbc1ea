import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { TrainingIndex } from "langchain-training-index";
import { migrate } from "langchain-training-index/migrations";
import { HashingEmbeddings } from "langchain-training-index/testing";
import { makeWorkerUtils } from "graphile-worker";
import pg from "pg";
import { expect, it, onTestFinished } from "vitest";
import { backfill, djangoMigration, readSql } from "../../examples/postgres-trigger/schema.js";
import { startWorker, type TrainingWorker } from "../../examples/postgres-trigger/worker.js";
import { describeOnServer, requireServerUrl, uniqueName } from "../support/databases.js";
import { until } from "../support/index.js";
import { randomOf } from "../support/random.js";

const MINUTE = 60_000;

/** The host: a database of its own, with its table, the index, the queue and the trigger. */
interface Host {
  pool: pg.Pool;
  url: string;
}

/** A database that ends with the test. */
async function openDatabase(): Promise<Host> {
  const admin = new pg.Client({ connectionString: requireServerUrl() });
  await admin.connect();
  const name = uniqueName("host");
  await admin.query(`CREATE DATABASE ${name}`);
  const url = new URL(requireServerUrl());
  url.pathname = `/${name}`;
  const pool = new pg.Pool({ connectionString: url.href });
  pool.on("error", () => undefined); // the end of the database meets idle connections
  onTestFinished(async () => {
    await pool.end();
    await admin.query(`DROP DATABASE ${name} WITH (FORCE)`);
    await admin.end();
  });
  return { pool, url: url.href };
}

async function openHost(): Promise<Host> {
  const host = await openDatabase();
  await host.pool.query(await readSql("host-table"));
  await migrate(host.pool, { idType: "integer" });
  await makeQueue(host.pool);
  await host.pool.query(await readSql("trigger"));
  return host;
}

async function makeQueue(pool: pg.Pool): Promise<void> {
  const utils = await makeWorkerUtils({ pgPool: pool });
  await utils.migrate();
  await utils.release();
}

/** A worker in this process, until the test ends. */
async function openWorker({ pool }: Host, embeddings = new HashingEmbeddings()): Promise<TrainingWorker> {
  const worker = await startWorker(pool, await TrainingIndex.initialize(embeddings, { pool }));
  onTestFinished(() => worker.stop());
  return worker;
}

/** Jobs to come: one that was replaced while a worker that is dead now had it stays behind, and is not run again. */
async function jobsOf({ pool }: Host): Promise<number> {
  const { rows } = await pool.query<{ count: number }>(
    "SELECT count(*)::int AS count FROM graphile_worker.jobs WHERE attempts < max_attempts OR locked_at IS NOT NULL",
  );
  return rows[0]?.count ?? 0;
}

async function untilDone(host: Host): Promise<void> {
  await until(async () => (await jobsOf(host)) === 0);
}

interface Row {
  id: number;
  finalizado: boolean;
  vetorizado: boolean;
}

async function rowsOf({ pool }: Host): Promise<Row[]> {
  const { rows } = await pool.query<Row>(
    `SELECT id, treinamento_finalizado AS finalizado, treinamento_vetorizado AS vetorizado
      FROM oraculo_treinamento ORDER BY id`,
  );
  return rows;
}

/** Trainings whose vectors or whose flag are not those of their rows. */
async function differences({ pool }: Host): Promise<unknown[]> {
  // Each of the test's texts is one chunk.
  const { rows } = await pool.query<Record<string, unknown>>(
    `SELECT coalesce(t.id, c.training_id) AS id, t.conteudo, c.content, t.treinamento_vetorizado
      FROM oraculo_treinamento t FULL JOIN training_index.chunk_1 c ON c.training_id = t.id
      WHERE (t.treinamento_finalizado AND c.content = t.conteudo AND t.treinamento_vetorizado
          AND c.metadata = jsonb_build_object('tag', t.tag, 'grupo', t.grupo)) IS NOT TRUE
        AND (NOT t.treinamento_finalizado AND NOT t.treinamento_vetorizado AND c.id IS NULL) IS NOT TRUE`,
  );
  return rows;
}

async function insert({ pool }: Host, conteudo: string, finalizado = true): Promise<number> {
  const { rows } = await pool.query<{ id: number }>(
    `INSERT INTO oraculo_treinamento (tag, grupo, conteudo, treinamento_finalizado, treinamento_vetorizado)
      VALUES ('frete', 'loja', $1, $2, true) RETURNING id`,
    [conteudo, finalizado],
  );
  return rows[0]?.id ?? 0;
}

describeOnServer("the recipe postgres-trigger", () => {
  it("indexes what is finalised, and takes back what is not any more", async () => {
    const host = await openHost();
    const [first, draft] = [await insert(host, "Frete grátis."), await insert(host, "Rascunho.", false)];
    expect(await rowsOf(host)).toEqual([
      { id: first, finalizado: true, vetorizado: false },
      { id: draft, finalizado: false, vetorizado: false },
    ]);
    await openWorker(host);
    await untilDone(host);
    expect(await rowsOf(host)).toMatchObject([{ vetorizado: true }, { vetorizado: false }]);
    await host.pool.query(
      "UPDATE oraculo_treinamento SET treinamento_finalizado = NOT treinamento_finalizado",
    );
    await untilDone(host);
    expect(await rowsOf(host)).toMatchObject([{ vetorizado: false }, { vetorizado: true }]);
    expect(await differences(host)).toEqual([]);
  });

  it("takes the flag off in the statement that changes a text, and lets no writer set it", async () => {
    const host = await openHost();
    const id = await insert(host, "Frete grátis.");
    const worker = await openWorker(host);
    await untilDone(host);
    await worker.stop();
    const { pool } = host;
    // As Django saves: every column, from what it read before the worker was done.
    await pool.query(
      "UPDATE oraculo_treinamento SET treinamento_vetorizado = false, data_atualizacao = now()",
    );
    expect(await rowsOf(host)).toMatchObject([{ id, vetorizado: true }]);
    await pool.query(
      "UPDATE oraculo_treinamento SET conteudo = 'Frete pago.', treinamento_vetorizado = true",
    );
    expect(await rowsOf(host)).toMatchObject([{ id, vetorizado: false }]);
  });

  it("makes no job of what does not matter, nor of what is rolled back, and one of many writes", async () => {
    const host = await openHost();
    const { pool } = host;
    await insert(host, "Frete grátis.");
    await insert(host, "Rascunho.", false);
    const worker = await openWorker(host);
    await untilDone(host);
    await worker.stop();
    await pool.query(
      "UPDATE oraculo_treinamento SET data_atualizacao = now(), treinamento_vetorizado = false",
    );
    await pool.query("UPDATE oraculo_treinamento SET conteudo = 'Outro.' WHERE NOT treinamento_finalizado");
    await pool.query("BEGIN; UPDATE oraculo_treinamento SET conteudo = 'Outro.'; ROLLBACK");
    await pool.query("DELETE FROM oraculo_treinamento WHERE NOT treinamento_finalizado");
    expect(await jobsOf(host)).toBe(0);
    for (const text of ["um", "dois", "três"]) {
      await pool.query("UPDATE oraculo_treinamento SET conteudo = $1", [text]);
    }
    expect(await jobsOf(host)).toBe(1);
  });

  // graphile-worker 0.16 adds no job then, and returns none: https://github.com/graphile/worker/issues/580
  it("makes a job though a worker takes the waiting one in the middle of add_job", async () => {
    const host = await openHost();
    const { pool } = host;
    const id = await insert(host, "Frete grátis.");
    // Stops between both statements of add_job, for as long as the test holds the lock.
    await pool.query(`
      CREATE FUNCTION wait_there() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NEW; END $$;
      CREATE TRIGGER wait_there BEFORE INSERT ON graphile_worker._private_jobs
        FOR EACH ROW EXECUTE FUNCTION wait_there()`);
    const worker = await pool.connect();
    await worker.query("SELECT pg_advisory_lock(1)");
    const deleted = pool.query("DELETE FROM oraculo_treinamento WHERE id = $1", [id]);
    const waiting = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
    await until(async () => (await worker.query(waiting)).rows.length > 0);
    await worker.query("UPDATE graphile_worker._private_jobs SET locked_at = now(), locked_by = 'rápido'");
    await worker.query("SELECT pg_advisory_unlock(1)");
    worker.release();
    await deleted;
    const { rows } = await pool.query(
      "SELECT key, locked_by FROM graphile_worker.jobs ORDER BY locked_by NULLS FIRST",
    );
    expect(rows).toEqual([
      { key: `training:${id}`, locked_by: null },
      { key: null, locked_by: "rápido" },
    ]);
  });

  it("follows deletes, changed ids and TRUNCATE", async () => {
    const host = await openHost();
    const { pool } = host;
    for (const text of ["um", "dois", "três", "quatro"]) await insert(host, text);
    await openWorker(host);
    await untilDone(host);
    await pool.query("DELETE FROM oraculo_treinamento WHERE conteudo = 'um'");
    await pool.query("UPDATE oraculo_treinamento SET id = 1000 WHERE conteudo = 'dois'");
    await untilDone(host);
    expect(await differences(host)).toEqual([]);
    expect((await rowsOf(host)).map(({ id }) => id)).toContain(1000);
    await pool.query("TRUNCATE oraculo_treinamento");
    await untilDone(host);
    expect(await differences(host)).toEqual([]);
    expect((await pool.query("SELECT FROM training_index.chunk_1")).rows).toEqual([]);
  });

  it("takes over rows that were there before it", async () => {
    const host = await openDatabase();
    const { pool } = host;
    await pool.query(await readSql("host-table"));
    for (const text of ["um", "dois"]) await insert(host, text);
    await insert(host, "rascunho", false);
    await migrate(pool, { idType: "integer" });
    await makeQueue(pool);
    await pool.query(await readSql("trigger"));
    expect(await rowsOf(host)).toMatchObject([
      { vetorizado: true },
      { vetorizado: true },
      { vetorizado: true },
    ]);
    await backfill(pool);
    expect(await jobsOf(host)).toBe(2);
    await openWorker(host);
    await untilDone(host);
    expect(await differences(host)).toEqual([]);
    await backfill(pool);
    await untilDone(host);
    expect(await differences(host)).toEqual([]);
  });

  it("tries again what failed, and leaves the flag off until then", async () => {
    const host = await openHost();
    await insert(host, "Frete grátis.");
    const embeddings = new HashingEmbeddings();
    const embed = embeddings.embedDocuments.bind(embeddings);
    let failures = 0;
    embeddings.embedDocuments = (texts) => {
      if (failures > 0) return embed(texts);
      failures += 1;
      return Promise.reject(new Error("o modelo não responde"));
    };
    await openWorker(host, embeddings);
    await until(() => failures === 1);
    expect(await rowsOf(host)).toMatchObject([{ vetorizado: false }]);
    await untilDone(host); // graphile-worker waits some seconds before it tries again
    expect(failures).toBe(1);
    expect(await differences(host)).toEqual([]);
  });

  it("prints SQL for Django that makes all of it, and takes the trigger away again", async () => {
    const { pool } = await openDatabase();
    await pool.query(await readSql("host-table"));
    await makeQueue(pool);
    const [index = "", forward = "", reverse = ""] = [
      ...(await djangoMigration()).matchAll(/r"""\n([\s\S]*?)\n"""/g),
    ].map(([, sql]) => sql);
    for (const sql of [index, forward]) await pool.query(sql);
    const triggers = async (): Promise<number> =>
      (await pool.query("SELECT FROM pg_trigger WHERE tgrelid = 'oraculo_treinamento'::regclass")).rows
        .length;
    expect(await triggers()).toBe(5);
    await pool.query(reverse);
    expect(await triggers()).toBe(0);
    await pool.query(forward);
    expect(await migrate(pool, { idType: "integer", textSearch: "portuguese" })).toMatchObject({
      applied: [],
    });
  });

  it(
    "has the vectors of the table after 500 random writes, with the worker killed three times in between",
    { timeout: 3 * MINUTE },
    async () => {
      const host = await openHost();
      const seed = Math.floor(Math.random() * 2 ** 31);
      console.log(`postgres-trigger: seed ${seed}`);
      const random = randomOf(seed);
      let worker = await startChild(host);
      for (let write = 1; write <= 500; write += 1) {
        await writeSomething(host, random, write);
        if (write % 125 === 0 && write < 500) {
          worker.kill("SIGKILL");
          await once(worker, "exit");
          worker = await startChild(host);
        }
      }
      await untilDone(host);
      expect(await differences(host)).toEqual([]);
      const rows = await rowsOf(host);
      expect(rows.some(({ finalizado }) => finalizado)).toBe(true);
      expect(rows.every(({ finalizado, vetorizado }) => finalizado === vetorizado)).toBe(true);
      worker.kill("SIGTERM");
      expect(await once(worker, "exit")).toEqual([0, null]);
    },
  );
});

/** The worker as a host runs it: a process of its own. */
async function startChild({ url }: Host): Promise<ChildProcess> {
  const child = spawn(process.execPath, ["--import", "tsx", "examples/postgres-trigger/start-worker.ts"], {
    env: { ...process.env, DATABASE_URL: url, OLLAMA_BASE_URL: "" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  await new Promise<void>((resolve) => {
    child.stdout.on("data", (data: Buffer) => {
      if (data.includes("at work")) resolve();
    });
  });
  return child;
}

/** One write as a host makes them, or several in one transaction, which may be rolled back. */
async function writeSomething({ pool }: Host, random: () => number, write: number): Promise<void> {
  const oneOf = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const anyRow = `(SELECT id FROM oraculo_treinamento ORDER BY (id * 7919 + ${write}) % 1009 LIMIT 1)`;
  const statement = (): string => {
    const text = `O frete número ${write}.${Math.floor(random() * 1000)} é de ${Math.floor(random() * 90)} reais.`;
    return oneOf([
      `INSERT INTO oraculo_treinamento (tag, grupo, conteudo, treinamento_finalizado)
        VALUES ('frete', 'loja', '${text}', ${random() < 0.7})`,
      `INSERT INTO oraculo_treinamento (tag, grupo, conteudo, treinamento_finalizado)
        VALUES ('frete', 'loja', '${text}', true)`,
      `UPDATE oraculo_treinamento SET conteudo = '${text}', treinamento_vetorizado = true WHERE id = ${anyRow}`,
      `UPDATE oraculo_treinamento SET tag = 't${Math.floor(random() * 5)}' WHERE id = ${anyRow}`,
      `UPDATE oraculo_treinamento SET treinamento_finalizado = true WHERE id = ${anyRow}`,
      `UPDATE oraculo_treinamento SET treinamento_finalizado = false WHERE id = ${anyRow}`,
      `UPDATE oraculo_treinamento SET data_atualizacao = now(), treinamento_vetorizado = false WHERE id = ${anyRow}`,
      `DELETE FROM oraculo_treinamento WHERE id = ${anyRow}`,
    ]);
  };
  if (write === 200) {
    await pool.query("TRUNCATE oraculo_treinamento");
  } else if (random() < 0.3) {
    const statements = Array.from({ length: 2 + Math.floor(random() * 3) }, statement);
    await pool.query(`BEGIN; ${statements.join("; ")}; ${oneOf(["COMMIT", "ROLLBACK"])}`);
  } else {
    await pool.query(statement());
  }
}
