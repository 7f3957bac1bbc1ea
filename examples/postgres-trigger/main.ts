/**
 * A trigger on the host's table keeps the index in step, whoever writes to it; a graphile-worker worker embeds.
 *
 * `--django-sql` prints the migration for Django instead.
 */
import { setTimeout } from "node:timers/promises";
import { TrainingIndex } from "langchain-training-index";
import { migrate } from "langchain-training-index/migrations";
import { runMigrations } from "graphile-worker";
import type pg from "pg";
import { scriptEnvironment } from "../../tooling/environment.js";
import { postgresServer } from "../support/servers.js";
import { table } from "../../tooling/table.js";
import { temporaryDatabase } from "../../tooling/temporary-database.js";
import { trainings } from "../support/trainings.js";
import { djangoMigration } from "./django-sql.js";
import { tableSql, triggerSql } from "./sql.js";
import { INDEX_TRAINING, startTrainingWorker } from "./start-worker.js";

if (process.argv.includes("--django-sql")) {
  console.log(djangoMigration(["oraculo", "0001_initial"]));
} else {
  const server = await postgresServer();
  try {
    const database = await temporaryDatabase(server.url, "postgres_trigger");
    try {
      await show(database.url);
    } finally {
      await database.drop();
    }
  } finally {
    await server.stop();
  }
}

async function show(databaseUrl: string): Promise<void> {
  const { pool, embeddings, embedder } = scriptEnvironment({ ...process.env, DATABASE_URL: databaseUrl });
  console.log(`embedder: ${embedder}`);

  console.log("\n1. The host's table has rows; there is no index yet.");
  await pool.query(tableSql);
  for (const { metadata, content } of trainings.slice(0, 4)) {
    await write(
      pool,
      `INSERT INTO oraculo_treinamento (tag, grupo, conteudo, treinamento_finalizado) VALUES ($1, $2, $3, true)`,
      [metadata.tag, metadata.grupo, content],
    );
  }

  console.log("\n2. On deployment: the queue, the index, the triggers. Each existing row gets a job.");
  await runMigrations({ pgPool: pool });
  await migrate(pool, { idType: "integer" });
  await pool.query(triggerSql);
  await pool.query("SELECT training_trigger.enqueue_all()");
  await printState(pool);

  console.log("\n3. A worker starts, and runs the jobs.");
  const index = await TrainingIndex.initialize(embeddings, { pool });
  const worker = await startTrainingWorker({
    pool,
    index,
    handlesSignals: false,
    onDone: (id, outcome) => {
      console.log(`   worker: training ${id} is ${outcome}`);
    },
    onFailed: (job, error) => {
      console.error(`   worker: ${job} failed, and will be retried: ${String(error)}`);
    },
  });
  await untilDone(pool);
  await printState(pool);

  console.log("\n4. The host inserts a draft, and finalises it.");
  const clube = trainings.find(({ id }) => id === "clube");
  await write(pool, "INSERT INTO oraculo_treinamento (tag, grupo, conteudo) VALUES ($1, $2, $3)", [
    "clube",
    "fidelidade",
    clube?.content,
  ]);
  await untilDone(pool);
  await write(pool, "UPDATE oraculo_treinamento SET treinamento_finalizado = true WHERE tag = 'clube'");
  await untilDone(pool);

  console.log("\n5. It edits a text. In its transaction, before COMMIT:");
  const client = await pool.connect();
  await client.query("BEGIN");
  const edit = "UPDATE oraculo_treinamento SET conteudo = replace(conteudo, $1, $2) WHERE tag = 'clube'";
  await write(client, edit, ["R$ 79,00", "R$ 89,00"]);
  await printState(client);
  await client.query("COMMIT");
  console.log("   COMMIT");
  await untilDone(pool);
  console.log("   found:", (await index.similar("Quanto custa o Clube?", { k: 1 }))[0]?.content.slice(0, 39));

  console.log("\n6. It edits a text and rolls back: no job, and the flag stays true.");
  await client.query("BEGIN");
  await write(client, edit, ["R$ 89,00", "R$ 99,00"]);
  await client.query("ROLLBACK");
  console.log("   ROLLBACK");
  client.release();

  console.log("\n7. It changes columns that do not affect the vectors, and tries to set the flag: no job.");
  await write(pool, "UPDATE oraculo_treinamento SET data_atualizacao = now(), treinamento_vetorizado = false");
  await printState(pool);

  console.log("\n8. It turns one training back into a draft, and deletes another.");
  await write(pool, "UPDATE oraculo_treinamento SET treinamento_finalizado = false WHERE tag = 'trocas'");
  await write(pool, "DELETE FROM oraculo_treinamento WHERE tag = 'cuidados'");
  await untilDone(pool);
  await printState(pool);
  const left = await index.similar("troca de vaso e rega", { k: 100 });
  console.log("   trainings that can be found:", [...new Set(left.map(({ trainingId }) => trainingId))].sort());

  await worker.stop();
  await pool.end();
  console.log("\nworker stopped");
}

/** Writes as the host does: in plain SQL, without regard to the index. */
async function write(database: pg.Pool | pg.PoolClient, text: string, values: unknown[] = []): Promise<void> {
  const { rowCount } = await database.query(text, values);
  console.log(`   host: ${text.replace(/\s+/g, " ").slice(0, 96)} (${rowCount ?? 0})`);
}

async function untilDone(pool: pg.Pool): Promise<void> {
  while ((await countJobs(pool)) > 0) await setTimeout(20);
}

async function countJobs(database: pg.Pool | pg.PoolClient): Promise<number> {
  const { rows } = await database.query<{ count: string }>(
    "SELECT count(*) FROM graphile_worker.jobs WHERE task_identifier = $1",
    [INDEX_TRAINING],
  );
  return Number(rows[0]?.count);
}

async function printState(database: pg.Pool | pg.PoolClient): Promise<void> {
  const { rows } = await database.query<[number, string, boolean, boolean, string]>({
    text: `SELECT t.id, t.tag, t.treinamento_finalizado, t.treinamento_vetorizado, count(c.id)
      FROM oraculo_treinamento t LEFT JOIN training_index.chunk_1 c ON c.training_id = t.id GROUP BY t.id ORDER BY t.id`,
    rowMode: "array",
  });
  console.log(table(["id", "tag", "finalizado", "vetorizado", "chunks"], rows.map(printable)));
  console.log(`   waiting jobs: ${await countJobs(database)}`);
}

function printable([id, tag, isFinal, hasVectors, chunks]: [number, string, boolean, boolean, string]): (
  string | number
)[] {
  return [id, tag, isFinal ? "sim" : "não", hasVectors ? "sim" : "não", chunks];
}
