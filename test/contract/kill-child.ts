/**
 * A process that kills itself at one point of a call, for `kill.int.test.ts`:
 *
 *   kill-child.ts upsert|overtaken|delete SCHEMA POINT
 *
 * Points are counted from 1: before and after each statement, and before and after each request to the embedder. If the
 * call has fewer points, the process prints their number and exits with 0.
 */
import { writeSync } from "node:fs";
import { TrainingIndex, type DatabaseClient, type DatabasePool } from "langchain-training-index";
import { HashingEmbeddings } from "langchain-training-index/testing";
import pg from "pg";
import { DIMENSIONS, EDITED, ID, ORIGINAL } from "./kill-content.js";
import { overtakenPreparation } from "../support/overtaken.js";

const [call, schema = "", killAt] = process.argv.slice(2);
const pool = new pg.Pool({ connectionString: process.env["DATABASE_URL"], max: 2 });
let points = 0;
let isCounting = false;

/** Kills the process if this is the point to die at, after printing its name for the parent. */
function point(name: string): void {
  if (!isCounting) return;
  points += 1;
  if (points !== Number(killAt)) return;
  writeSync(1, name);
  process.kill(process.pid, "SIGKILL");
}

async function betweenPoints<T>(name: string, work: () => Promise<T>): Promise<T> {
  point(`before ${name}`);
  const result = await work();
  point(`after ${name}`);
  return result;
}

/** The name in the comment of a statement, or the statement itself, such as `COMMIT`. */
const nameOf = (text: string): string => /langchain-training-index:([\w-]+)/.exec(text)?.[1] ?? text;

const watched: DatabasePool = {
  query: (text, values) => betweenPoints(nameOf(text), () => pool.query(text, values)),
  connect: async () => {
    const client: DatabaseClient = await pool.connect();
    return {
      query: (text, values) => betweenPoints(nameOf(text), () => client.query(text, values)),
      release: (error) => {
        client.release(error);
      },
      on: (event, listener) => client.on(event, listener),
      removeListener: (event, listener) => client.removeListener(event, listener),
    };
  },
};

class WatchedEmbeddings extends HashingEmbeddings {
  override embedDocuments(documents: string[]): Promise<number[][]> {
    return betweenPoints("embedding", () => super.embedDocuments(documents));
  }
}

const index = await TrainingIndex.initialize(new WatchedEmbeddings({ dimensions: DIMENSIONS }), {
  pool: watched,
  schema,
});
const edit = { id: ID, content: EDITED, metadata: { version: 2 } };
if (call === "overtaken") {
  const meanwhile = [0, 1].map((version) => ({ id: ID, content: ORIGINAL, metadata: { version } }));
  const prepared = await overtakenPreparation(index, edit, meanwhile);
  isCounting = true;
  await prepared.commit();
} else {
  isCounting = true;
  if (call === "delete") await index.deleteTraining(ID);
  else await index.upsertTraining(edit);
}
isCounting = false;
console.log(points);
await pool.end();
