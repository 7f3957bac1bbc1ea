/**
 * A worker as a process of its own: `DATABASE_URL=... npx tsx examples/postgres-trigger/worker.ts`
 *
 * Any number of them may run. SIGTERM lets the jobs that run come to their end; SIGKILL does no harm either. A supervisor
 * (systemd, Docker's `restart: always`) starts it again when it ends.
 */
import { configFromEnv, TrainingIndex } from "langchain-training-index";
import { scriptEnvironment } from "../support/environment.js";
import { startTrainingWorker } from "./start-worker.js";

if (configFromEnv(process.env).databaseUrl === undefined) {
  throw new Error("DATABASE_URL must be set: a worker of an embedded database would find nothing to do");
}
const { pool, embeddings } = scriptEnvironment();
const index = await TrainingIndex.initialize(embeddings, { pool });
const runner = await startTrainingWorker({
  pool,
  index,
  onDone: (id, outcome) => {
    console.log(`training ${id} is ${outcome}`);
  },
  onFailed: (job, error) => {
    console.error(`${job} failed, and will be tried again: ${String(error)}`);
  },
});
console.log("worker started");
await runner.promise;
await pool.end();
// On a signal graphile-worker ends the process itself: who comes here has lost its connection.
console.error("worker stopped: it is to be started again");
process.exitCode = 1;
