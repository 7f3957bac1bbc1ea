/**
 * A worker as a process of its own, until SIGTERM or SIGINT:
 *
 *   DATABASE_URL=... REDIS_URL=... OLLAMA_BASE_URL=... npx tsx examples/bullmq/worker-process.ts
 *
 * The schema must have been migrated (on deployment, not here). `QUEUE_PREFIX` keeps the queues of several hosts on one
 * Redis apart. `JOB_LOCK_MS`: a worker that was silent for so long is taken for dead, and its job goes to another one.
 */
import { TrainingIndex } from "langchain-training-index";
import { scriptEnvironment } from "../support/environment.js";
import { openQueues } from "./queues.js";
import { startWorker } from "./worker.js";

const { pool, embeddings } = scriptEnvironment();
const {
  REDIS_URL: url = "redis://localhost:6379",
  QUEUE_PREFIX: prefix = "bull",
  JOB_LOCK_MS = "30000",
} = process.env;
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

/** What is under way is finished, or goes back to the queue; then nothing keeps the process. */
async function shutDown(signal: NodeJS.Signals): Promise<void> {
  console.log(`${signal}: taking no more jobs`);
  await close();
  await queues.close();
  await pool.end();
  console.log("stopped");
}
