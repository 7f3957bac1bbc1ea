/**
 * pg-boss, for a host that has only Postgres: jobs are sent in the transaction that changes the row.
 *
 *   npm run example -- pg-boss
 *
 * Runs on the Postgres of `DATABASE_URL`, else on the embedded one. A job says only which row has changed; the worker reads
 * the row as it is then. So jobs may arrive twice, late, or in any order. A deleted row needs no job: a foreign key deletes
 * its vectors.
 */
import { TrainingIndex, TrainingIndexError, type Queryable } from "langchain-training-index";
import { migrate } from "langchain-training-index/migrations";
import { setTimeout as sleep } from "node:timers/promises";
import PgBoss from "pg-boss";
import { scriptEnvironment } from "../tooling/environment.js";

const HOST = "pgboss_example";
const INDEX = "pgboss_example_index";
const JOBS = "pgboss_example_jobs";
const TRAININGS = "trainings";
const DEAD_LETTERS = "trainings-dead-letters";

/** The data of a job. */
interface TrainingJob {
  id: number;
}

/** A row of the host's table. */
interface Row {
  id: number;
  conteudo: string;
  grupo: string;
  versao: number;
}

const { pool, embeddings, database } = scriptEnvironment();
/** Errors that the embedder's next calls throw. */
const outages: Error[] = [];
const unreliable = {
  profile: embeddings.profile,
  embedQuery: (text: string) => embeddings.embedQuery(text),
  embedDocuments: async (texts: string[]) => {
    const outage = outages.shift();
    if (outage) throw outage;
    return embeddings.embedDocuments(texts);
  },
};

await dropSchemas(); // left by an interrupted run
await pool.query(`CREATE SCHEMA ${HOST}`);
await pool.query(`CREATE TABLE ${HOST}.treinamento (id serial PRIMARY KEY, conteudo text NOT NULL,
  grupo text NOT NULL, versao integer NOT NULL DEFAULT 1)`);
await migrate(pool, {
  schema: INDEX,
  dimensions: embeddings.profile.dimensions,
  trainings: { schema: HOST, table: "treinamento" },
});
const index = await TrainingIndex.initialize(unreliable, { pool, schema: INDEX });

// Uses the host's own pool. `schedule` is for cron jobs, which we do not need.
const boss = new PgBoss({ db: executorOf(pool), schema: JOBS, schedule: false });
boss.on("error", (error) => {
  console.error(error);
});
await boss.start();
await boss.createQueue(DEAD_LETTERS);
await boss.createQueue(TRAININGS, {
  name: TRAININGS,
  retryLimit: 5,
  retryDelay: 1, // seconds; each later wait doubles
  retryBackoff: true,
  deadLetter: DEAD_LETTERS,
});
// Takes one job every half a second at most; call `work` several times for more.
await boss.work<TrainingJob>(TRAININGS, { pollingIntervalSeconds: 0.5 }, indexRow);
console.log(`database: ${database}`);

console.log("\n1. The row and its job are committed together, or not at all");
await inTransaction(async (client) => {
  await saveTraining(client, { id: 1, conteudo: "O frete custa doze reais.", grupo: "logistica" });
});
await inTransaction(async (client) => {
  await saveTraining(client, { id: 2, conteudo: "O frete custa mil reais.", grupo: "logistica" });
  throw new Error("the host changed its mind");
}).catch((error: unknown) => {
  console.log(`   rolled back: ${String(error)}`);
});
await untilIdle();
await ask("Quanto custa o frete?", "logistica");

console.log("\n2. An edit while the embedder is down for one attempt, and its job twice");
outages.push(new Error("connect ECONNREFUSED"));
await inTransaction(async (client) => {
  await saveTraining(client, { id: 1, conteudo: "O frete custa nove reais.", grupo: "logistica" });
});
await boss.send(TRAININGS, { id: 1 });
await untilIdle();
await ask("Quanto custa o frete?", "logistica");

console.log("\n3. A permanent failure becomes a dead letter; once its cause is fixed, it is put back");
outages.push(Object.assign(new Error("invalid API key"), { status: 401 }));
await inTransaction(async (client) => {
  await saveTraining(client, { id: 3, conteudo: "Abrimos às oito horas.", grupo: "loja" });
});
await untilIdle();
console.log(`   put back: ${await putBack()}`);
await untilIdle();
await ask("A que horas abre?", "loja");

console.log("\n4. The vectors of a deleted row are deleted with it; a late job for it changes nothing");
await pool.query(`DELETE FROM ${HOST}.treinamento WHERE id = 1`);
await boss.send(TRAININGS, { id: 1 });
await untilIdle();
await ask("Quanto custa o frete?", "logistica");

await boss.stop(); // waits for running jobs
await dropSchemas();
await pool.end();

/** The host's save: the row, its version and the job in one transaction. */
async function saveTraining(client: Queryable, row: Omit<Row, "versao">): Promise<void> {
  await client.query(
    `INSERT INTO ${HOST}.treinamento AS old (id, conteudo, grupo) VALUES ($1, $2, $3) ON CONFLICT (id)
      DO UPDATE SET conteudo = excluded.conteudo, grupo = excluded.grupo, versao = old.versao + 1`,
    [row.id, row.conteudo, row.grupo],
  );
  await boss.send(TRAININGS, { id: row.id }, { db: executorOf(client) });
}

/** The worker. The row's version orders what several workers read at different times. */
async function indexRow([job]: PgBoss.Job<TrainingJob>[]): Promise<unknown> {
  if (!job) return undefined;
  const { rows } = await pool.query<Row>(`SELECT * FROM ${HOST}.treinamento WHERE id = $1`, [job.data.id]);
  const [row] = rows;
  if (!row) return { status: "absent" };
  const { id, conteudo: content, grupo, versao: revision } = row;
  try {
    const { status } = await index.upsertTraining({ id, content, metadata: { grupo }, revision });
    console.log(`   training ${id}, version ${revision}: ${status}`);
    return { status }; // pg-boss keeps it as the job's output
  } catch (error) {
    if (!TrainingIndexError.is(error)) throw error;
    if (error.retryable) {
      console.log(`   training ${id}, version ${revision}: ${error.code}, will be retried`);
      throw error; // after the last attempt pg-boss itself sends the dead letter
    }
    console.log(`   training ${id}, version ${revision}: ${error.code}, a dead letter`);
    await boss.send(DEAD_LETTERS, job.data);
    return { status: "dead letter", code: error.code };
  }
}

/** Puts all dead letters back. Putting one back twice does no harm. */
async function putBack(): Promise<number> {
  const letters = await boss.fetch<TrainingJob>(DEAD_LETTERS, { batchSize: 1000 });
  for (const { id, data } of letters) {
    await boss.send(TRAININGS, data);
    await boss.complete(DEAD_LETTERS, id);
  }
  return letters.length;
}

/** Lets pg-boss run its statements on a pool, or on the client of a transaction. */
function executorOf(queryable: Queryable): PgBoss.Db {
  return { executeSql: (text, values) => queryable.query(text, values) };
}

async function inTransaction(body: (client: Queryable) => Promise<void>): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query("BEGIN");
    await body(client);
    await client.query("COMMIT");
  } catch (error) {
    await client.query("ROLLBACK");
    throw error;
  } finally {
    client.release();
  }
}

/** Polls, because pg-boss has no event for it. */
async function untilIdle(): Promise<void> {
  while ((await boss.getQueueSize(TRAININGS, { before: "completed" })) > 0) await sleep(100);
}

async function ask(question: string, grupo: string): Promise<void> {
  const hits = await index.similar(question, { k: 1, filter: { grupo } });
  console.log(`   ${question} ${hits[0]?.content ?? "(nothing found)"}`);
}

async function dropSchemas(): Promise<void> {
  await pool.query(`DROP SCHEMA IF EXISTS ${JOBS}, ${INDEX}, ${HOST} CASCADE`);
}
