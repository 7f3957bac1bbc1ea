/**
 * Verifies or reconciles a schema against made-up references, and prints as JSON its resident memory at the start, the highest, and the
 * seconds: `verify-child SCHEMA stored|verify|reconcile COUNT`.
 */
import { readFileSync } from "node:fs";
import { TrainingIndex, type Training } from "langchain-training-index";
import pg from "pg";

const [schema = "", job = "", count = ""] = process.argv.slice(2);
const pool = new pg.Pool({ connectionString: process.env["DATABASE_URL"] });
pool.on("error", (error) => {
  console.error("An idle connection to Postgres was lost:", error.message);
});
const refuse = (): Promise<never> => Promise.reject(new Error("nothing is embedded here"));
const index = await TrainingIndex.initialize(
  { embedDocuments: refuse, embedQuery: refuse },
  { pool, schema, profile: { model: "bench", dimensions: 1024 } },
);
const atStart = process.memoryUsage.rss();
const started = performance.now();
if (job === "stored") await index.verify();
if (job === "verify") await index.verify(references());
if (job === "reconcile") await index.reconcile(loadable(), { dryRun: true });
const figures = [atStart / 1e6, highest() / 1e6, (performance.now() - started) / 1000].map(Math.round);
console.log(JSON.stringify(figures));
await pool.end();

function* references(): Generator<{ id: string; revision: number }> {
  for (let number = 0; number < Number(count); number++) yield { id: `training-${number}`, revision: 1 };
}

function* loadable(): Generator<{ id: string; revision: number; load: () => Training | undefined }> {
  for (const { id, revision } of references()) yield { id, revision, load: () => undefined };
}

/** Of the whole process, also between two looks at it. */
function highest(): number {
  try {
    const [, kibibytes = ""] = /VmHWM:\s+(\d+) kB/.exec(readFileSync("/proc/self/status", "utf8")) ?? [];
    return Number(kibibytes) * 1024;
  } catch {
    return process.resourceUsage().maxRSS * 1024;
  }
}
