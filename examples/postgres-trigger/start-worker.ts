/** The process that a host keeps running: `DATABASE_URL=... tsx examples/postgres-trigger/start-worker.ts` */
import { once } from "node:events";
import { configFromEnv, TrainingIndex } from "langchain-training-index";
import { scriptEnvironment } from "../support/environment.js";
import { startWorker } from "./worker.js";

const { databaseUrl } = configFromEnv(process.env);
if (databaseUrl === undefined) throw new Error("DATABASE_URL must say which database the trigger is in");
const { pool, embeddings } = scriptEnvironment();
pool.on("error", (error) => {
  console.error("an idle connection broke:", error.message);
});
const index = await TrainingIndex.initialize(embeddings, { pool });
const worker = await startWorker(pool, index);
console.log("at work");

await Promise.race([once(process, "SIGINT"), once(process, "SIGTERM")]);
await worker.stop();
await pool.end();
