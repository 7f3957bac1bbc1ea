/**
 * A process that reconciles a schema with the trainings of `reconcile-content.ts`, and kills itself, for `kill.int.test.ts`:
 *
 *   node reconcile-child.mjs SCHEMA REQUESTS
 *
 * It dies before that request to the embedder is answered; with 0 at the end, before the first orphan is deleted.
 */
import { TrainingIndex } from "langchain-training-index";
import { HashingEmbeddings } from "langchain-training-index/testing";
import pg from "pg";
import { DIMENSIONS, hostTrainings } from "./reconcile-content.js";

const [schema = "", killAt] = process.argv.slice(2);
let requests = 0;

class DyingEmbeddings extends HashingEmbeddings {
  override embedDocuments(documents: string[]): Promise<number[][]> {
    requests += 1;
    if (requests === Number(killAt)) process.kill(process.pid, "SIGKILL");
    return super.embedDocuments(documents);
  }
}

const pool = new pg.Pool({ connectionString: process.env["DATABASE_URL"], max: 2 });
const index = await TrainingIndex.initialize(new DyingEmbeddings({ dimensions: DIMENSIONS }), { pool, schema });
await index.reconcile(hostTrainings(), {
  onProgress: ({ phase, orphaned }) => {
    if (phase === "deleting" && orphaned > 0 && killAt === "0") process.kill(process.pid, "SIGKILL");
  },
});
await pool.end();
