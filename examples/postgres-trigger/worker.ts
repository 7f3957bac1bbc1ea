/**
 * A worker as a process of its own: `DATABASE_URL=... npx tsx examples/postgres-trigger/worker.ts`
 *
 * Any number of them may run. On SIGTERM running jobs are finished; SIGKILL does no harm either. A supervisor (systemd,
 * Docker's `restart: always`) should restart it when it ends.
 */
import { configFromEnv, TrainingIndex } from "langchain-training-index";
import { loadEnvFile } from "../../tooling/env-file.js";
import { scriptEnvironment } from "../../tooling/environment.js";
import { startTrainingWorker } from "./start-worker.js";

loadEnvFile();
if (configFromEnv(process.env).databaseUrl === undefined) {
  throw new Error("set DATABASE_URL: the embedded database of a worker would have no jobs");
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
    console.error(`${job} failed, and will be retried: ${String(error)}`);
  },
});
console.log("worker started");
await runner.promise;
await pool.end();
// After a signal graphile-worker ends the process itself, so this line means that the connection was lost.
console.error("worker stopped: it must be restarted");
process.exitCode = 1;
