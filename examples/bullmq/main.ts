/**
 * BullMQ on Redis: events of the application, with retries and dead letters; duplicates and a wrong order do no harm.
 *
 *   npm run example -- bullmq
 *
 * Needs a Redis: that of REDIS_URL, else a container. The trainings are in the embedded database, or that of DATABASE_URL.
 */
import { randomBytes } from "node:crypto";
import { QueueEvents } from "bullmq";
import { TrainingIndex } from "langchain-training-index";
import { migrate } from "langchain-training-index/migrations";
import { scriptEnvironment } from "../support/environment.js";
import { redisServer } from "../support/servers.js";
import { openQueues, publish, putBack, type TrainingEvent } from "./queues.js";
import { openWorker } from "./worker.js";

const redis = await redisServer();
const connection = { url: redis.url };
const prefix = `bullmq_${randomBytes(4).toString("hex")}`;
const { pool, embeddings } = scriptEnvironment();
const schema = prefix;
await migrate(pool, { schema });
const index = await TrainingIndex.initialize(embeddings, { pool, schema });
const queues = openQueues(connection, prefix);
const finished = new QueueEvents(queues.events.name, { connection, prefix });
await finished.waitUntilReady();
finished.on("completed", ({ jobId, returnvalue }) => {
  console.log(`  job ${jobId}: ${returnvalue}`);
});
finished.on("failed", ({ jobId, failedReason }) => {
  console.log(`  job ${jobId}: a dead letter (${failedReason})`);
});

const saved = (revision: number, content: string): TrainingEvent => ({
  kind: "saved",
  id: "frete",
  revision,
  content,
  metadata: { grupo: "logistica" },
});

const worker = openWorker(queues, connection, index, { concurrency: 1 });
console.log("\nA training is saved, the same event is delivered twice, and an older one comes late:");
await publish(queues, saved(2, "O frete custa doze reais."));
await publish(queues, saved(2, "O frete custa doze reais."));
await publish(queues, saved(1, "O frete custa dez reais."));
await untilQuiet();
console.log("found:", (await index.similar("Quanto custa o frete?"))[0]?.content);

console.log("\nIt is deleted, and an event from before comes late:");
await publish(queues, { kind: "deleted", id: "frete", revision: 4 });
await publish(queues, saved(3, "O frete custa treze reais."));
await untilQuiet();
console.log("found:", await index.similar("Quanto custa o frete?"));

console.log("\nAn event that can never be stored becomes a dead letter:");
await publish(queues, { ...saved(5, "O frete é grátis."), id: " " });
await untilQuiet();
console.log("dead letters:", await queues.dead.count());
console.log("put back:", await putBack(queues));
await untilQuiet();

await worker.close();
await finished.close();
await queues.events.obliterate({ force: true });
await queues.dead.obliterate({ force: true });
await queues.close();
await pool.query(`DROP SCHEMA ${schema} CASCADE`);
await pool.end();
await redis.stop();

/** Until no job waits or runs. */
async function untilQuiet(): Promise<void> {
  for (;;) {
    const counts = await queues.events.getJobCounts("waiting", "active", "delayed", "prioritized");
    if (Object.values(counts).every((count) => count === 0)) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
