/**
 * A Postgres trigger and graphile-worker: whoever writes to the host's table, the vectors follow.
 *
 *   npm run example -- postgres-trigger            shows it from the first row to the last
 *   npm run example -- postgres-trigger --django   prints a migration for Django
 *
 * Needs a Postgres server with pgvector: that of DATABASE_URL, in a database of its own, else a container.
 */
import { randomBytes } from "node:crypto";
import { setTimeout as wait } from "node:timers/promises";
import { parseArgs } from "node:util";
import Table from "cli-table3";
import { makeWorkerUtils } from "graphile-worker";
import { TrainingIndex } from "langchain-training-index";
import { migrate } from "langchain-training-index/migrations";
import pg from "pg";
import { scriptEnvironment } from "../support/environment.js";
import { postgresServer } from "../support/servers.js";
import { backfill, djangoMigration, readSql } from "./schema.js";
import { startWorker } from "./worker.js";

const { values } = parseArgs({ options: { django: { type: "boolean", default: false } } });
if (values.django) {
  console.log(await djangoMigration());
} else {
  await show();
}

async function show(): Promise<void> {
  const server = await postgresServer();
  const admin = new pg.Client({ connectionString: server.url });
  await admin.connect();
  const database = `postgres_trigger_${randomBytes(4).toString("hex")}`;
  await admin.query(`CREATE DATABASE ${database}`);
  const url = new URL(server.url);
  url.pathname = `/${database}`;
  const pool = new pg.Pool({ connectionString: url.href });
  try {
    await showOn(pool);
  } finally {
    await pool.end();
    await untilNone(admin, "SELECT FROM pg_stat_activity WHERE datname = $1", [database]);
    await admin.query(`DROP DATABASE ${database}`);
    await admin.end();
    await server.stop();
  }
}

async function showOn(pool: pg.Pool): Promise<void> {
  await pool.query(await readSql("host-table"));
  await pool.query(`INSERT INTO oraculo_treinamento (tag, grupo, conteudo, treinamento_finalizado, treinamento_vetorizado)
    VALUES ('entregas', 'logistica', 'Entregamos em três dias úteis.', true, true),
      ('trocas', 'atendimento', 'Trocas em até trinta dias.', true, true),
      ('rascunho', 'atendimento', 'Ainda não sabemos.', false, false)`);
  await migrate(pool, { idType: "integer", textSearch: "portuguese" });
  const utils = await makeWorkerUtils({ pgPool: pool });
  await utils.migrate();
  await utils.release();
  await pool.query(await readSql("trigger"));
  await backfill(pool);
  await print(
    pool,
    "1. Rows from before, with the flags of another day; the backfill makes jobs of the finalised ones",
  );

  const index = await TrainingIndex.initialize(scriptEnvironment({}).embeddings, { pool });
  const worker = await startWorker(pool, index);
  await step(pool, "2. The worker is at work");
  await pool.query(`INSERT INTO oraculo_treinamento (tag, grupo, conteudo, treinamento_finalizado)
    VALUES ('pix', 'financeiro', 'No Pix há cinco por cento de desconto.', true)`);
  await step(pool, "3. INSERT of a training that is finalised");
  await pool.query("UPDATE oraculo_treinamento SET conteudo = 'Entregamos em dois dias úteis.' WHERE id = 1");
  await print(pool, "4. UPDATE of a text: the flag is false in the same statement ...");
  await step(pool, "   ... and true again with the new vectors");
  await pool.query("UPDATE oraculo_treinamento SET treinamento_finalizado = id = 3 WHERE id IN (2, 3)");
  await step(pool, "5. Training 3 is finalised, training 2 is a draft again");
  await pool.query("BEGIN; UPDATE oraculo_treinamento SET conteudo = 'Outro.'; ROLLBACK");
  await step(pool, "6. ROLLBACK of an UPDATE: no job");
  await pool.query("DELETE FROM oraculo_treinamento WHERE id = 4");
  await step(pool, "7. DELETE: the vectors are gone");
  await pool.query("TRUNCATE oraculo_treinamento");
  await step(pool, "8. TRUNCATE: all are gone");
  await worker.stop();
}

/** Waits until no job is left, and prints the rows. */
async function step(pool: pg.Pool, title: string): Promise<void> {
  await untilNone(pool, "SELECT FROM graphile_worker.jobs LIMIT 1");
  await print(pool, title);
}

/** Waits until a query finds nothing any more. */
async function untilNone(
  database: pg.Pool | pg.Client,
  query: string,
  values: unknown[] = [],
): Promise<void> {
  while ((await database.query(query, values)).rows.length > 0) await wait(50);
}

async function print(pool: pg.Pool, title: string): Promise<void> {
  const { rows } = await pool.query<Record<string, string | number | boolean | null>>(
    `SELECT coalesce(t.id, c.training_id) AS id, tag, conteudo, treinamento_finalizado AS finalizado,
        treinamento_vetorizado AS vetorizado, string_agg(c.content, ' | ') AS vetores
      FROM oraculo_treinamento t FULL JOIN training_index.chunk_1 c ON c.training_id = t.id
      GROUP BY 1, 2, 3, 4, 5 ORDER BY 1`,
  );
  const head = ["id", "tag", "conteudo", "finalizado", "vetorizado", "vetores"];
  const table = new Table({ head, style: { head: [], border: [] } });
  for (const row of rows) table.push(head.map((name) => String(row[name] ?? "")));
  console.log(`\n${title}\n${rows.length === 0 ? "(no rows, no vectors)" : table.toString()}`);
}
