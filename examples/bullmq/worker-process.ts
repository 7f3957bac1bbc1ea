/**
 * A worker as a process of its own, which runs until SIGTERM or SIGINT:
 *
 *   DATABASE_URL=... REDIS_URL=... OLLAMA_BASE_URL=... npx tsx examples/bullmq/worker-process.ts
 *
 * Migrate the schema on deployment, not here. `QUEUE_PREFIX` separates the queues of several hosts on one Redis. After
 * `JOB_LOCK_MS` without a sign of life a worker is considered dead, and its job goes to another one.
 */
import { TrainingIndex } from "langchain-training-index";
import { loadEnvFile } from "../../tooling/env-file.js";
import { scriptEnvironment } from "../../tooling/environment.js";
import { openQueues } from "./queues.js";
import { startWorker } from "./worker.js";

loadEnvFile();
const { pool, embeddings } = scriptEnvironment();
const { REDIS_URL: url = "redis://localhost:6379", QUEUE_PREFIX: prefix = "bull", JOB_LOCK_MS = "30000" } = process.env;
const index = await TrainingIndex.initialize(embeddings, { pool });
const queues = openQueues({ connection: { url }, prefix });
const { worker, close } = startWorker(index, queues, {
  connection: { url },
  prefix,
  concurrency: 4,
  lockDuration: Number(JOB_LOCK_MS),
  stalledInterval: Number(JOB_LOCK_MS),
  onDeadLetter: ({ job, reason }) => {
    console.error(`dead letter: training ${job.id}: ${reason}`);
  },
});
worker.on("completed", ({ data }) => {
  console.log(`${data.type}: training ${data.id}`);
});
for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => void shutDown(signal));
await worker.waitUntilReady();
console.log("waiting for jobs");

/** Finishes running jobs, or returns them to the queue; then the process ends by itself. */
async function shutDown(signal: NodeJS.Signals): Promise<void> {
  console.log(`${signal}: taking no more jobs`);
  await close();
  await queues.close();
  await pool.end();
  console.log("stopped");
}
