/**
 * BullMQ on Redis: jobs that arrive twice and in any order, retries, a dead-letter queue, a graceful shutdown.
 *
 * Runs on the Redis of `REDIS_URL`, else on one in a container; and on the Postgres of `DATABASE_URL`, else on the
 * embedded one.
 */
import { TrainingIndex } from "langchain-training-index";
import { migrate } from "langchain-training-index/migrations";
import type { EmbeddingsInterface } from "@langchain/core/embeddings";
import { scriptEnvironment } from "../../tooling/environment.js";
import { redisServer } from "../support/servers.js";
import { putBack } from "./dead-letters.js";
import { trainingEvents } from "./producer.js";
import { openQueues } from "./queues.js";
import { startWorker, type TrainingWorker } from "./worker.js";

const SCHEMA = "training_index_bullmq";

const redis = await redisServer();
const { pool, embeddings, database } = scriptEnvironment();
/** Errors that the embedder's next calls throw. */
const outages: Error[] = [];
const unreliable: EmbeddingsInterface & Pick<typeof embeddings, "profile"> = {
  profile: embeddings.profile,
  embedQuery: (text) => embeddings.embedQuery(text),
  embedDocuments: async (texts) => {
    const outage = outages.shift();
    if (outage) throw outage;
    return embeddings.embedDocuments(texts);
  },
};
const settings = { connection: { url: redis.url }, prefix: `training-index-example-${process.pid}` };
const queues = openQueues({ ...settings, firstDelayMs: 100 });
let running: TrainingWorker | undefined;

try {
  await pool.query(`DROP SCHEMA IF EXISTS ${SCHEMA} CASCADE`); // left by an interrupted run
  await migrate(pool, { schema: SCHEMA, dimensions: embeddings.profile.dimensions });
  const index = await TrainingIndex.initialize(unreliable, { pool, schema: SCHEMA });
  console.log(`database: ${database}`);

  const { trainingSaved, trainingDeleted } = trainingEvents(queues);
  const deadLetter = deferred();
  running = startWorker(index, queues, {
    ...settings,
    concurrency: 4,
    onError: (error) => {
      console.log(`   failed attempt: ${error.message}`);
    },
    onDeadLetter: ({ job, reason }) => {
      console.log(`   dead letter: training ${job.id}: ${reason}`);
      deadLetter.resolve();
    },
  });
  const { worker, close } = running;
  /** Resolves when this many more jobs are completed. */
  const done = (count: number): Promise<void> => {
    const { promise, resolve } = deferred();
    worker.on("completed", () => {
      if (--count === 0) resolve();
    });
    return promise;
  };

  console.log(
    "\n1. Versions of a training, the newest first and each twice; a delete that arrives before an older save",
  );
  const first = done(8);
  for (const [revision, price] of [
    [3, "sete"],
    [2, "nove"],
    [1, "doze"],
  ] as const) {
    const saved = { id: "frete", content: `O frete custa ${price} reais.`, revision };
    await trainingSaved(saved);
    await trainingSaved(saved);
  }
  await trainingDeleted("boleto", 2);
  await trainingSaved({ id: "boleto", content: "Boleto só para empresas.", revision: 1 });
  await first;
  for (const { trainingId, content } of await index.similar("Quanto custa o frete?")) {
    console.log(`   ${trainingId}: ${content}`);
  }

  console.log("\n2. The embedder is down for two attempts");
  outages.push(new Error("connect ECONNREFUSED"), new Error("connect ECONNREFUSED"));
  const second = done(1);
  await trainingSaved({ id: "pix", content: "No Pix há cinco por cento de desconto.", revision: 1 });
  await second;
  console.log(`   ${(await index.similar("desconto no Pix", { k: 1 }))[0]?.content ?? "nothing"}`);

  console.log("\n3. A permanent failure becomes a dead letter; once its cause is fixed, it is put back");
  outages.push(Object.assign(new Error("invalid API key"), { status: 401 }));
  await trainingSaved({ id: "horarios", content: "Abrimos às oito horas.", revision: 1 });
  await deadLetter.promise;
  const third = done(1);
  console.log(`   put back: ${await putBack(queues)}`);
  await third;
  console.log(`   ${(await index.similar("A que horas abre?", { k: 1 }))[0]?.content ?? "nothing"}`);

  console.log("\n4. The worker shuts down: running jobs are finished, or go back to the queue");
  await close();
  const counts = await queues.trainings.getJobCounts("waiting", "active", "delayed", "failed");
  console.log(`   left in the queue: ${JSON.stringify(counts)}`);
} finally {
  await running?.close();
  await queues.trainings.obliterate({ force: true });
  await queues.deadLetters.obliterate({ force: true });
  await queues.close();
  await redis.stop();
  await pool.query(`DROP SCHEMA IF EXISTS ${SCHEMA} CASCADE`);
  await pool.end();
}

function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
