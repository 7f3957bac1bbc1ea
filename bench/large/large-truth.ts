import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type pg from "pg";
import type { LargeSelection } from "./large-data.js";

/** How many of the nearest are compared. */
export const RECALL_K = 10;
/** pgvector computes with 32 bits: distances that differ by less are the same. */
const TOLERANCE = 1e-6;
const CACHE = fileURLToPath(new URL("../../node_modules/.cache/bench", import.meta.url));

/** By the name of a selection, the distance of the tenth nearest chunk to each question. */
export type Truth = Record<string, number[]>;

/**
 * The distance within which each question's ten nearest chunks are, by a comparison of all chunks in Postgres without the vector index. It is kept in
 * a file of this name, since the same chunks give the same distances whatever the index, and a million take minutes.
 */
export async function readTruth(
  pool: pg.Pool,
  schema: string,
  name: string,
  questions: readonly number[][],
  selections: readonly LargeSelection[],
  progress: (message: string) => void,
): Promise<Truth> {
  const file = join(CACHE, `${name}.json`);
  const truth = await readFile(file, "utf8").then(
    (text) => JSON.parse(text) as Truth,
    (): Truth => ({}),
  );
  for (const { name: selection, filter } of selections) {
    if (truth[selection]?.length === questions.length) continue;
    progress(`comparing ${questions.length} questions with all chunks, filter ${selection}`);
    const farthest: number[] = [];
    const client = await pool.connect();
    try {
      await client.query("BEGIN");
      await client.query("SET LOCAL enable_indexscan = off");
      for (const question of questions) {
        const { rows } = await client.query<{ distance: number }>(
          `SELECT (embedding <=> $1)::float8 AS distance FROM ${schema}.chunk_1
            WHERE metadata @> $2::jsonb ORDER BY embedding <=> $1 LIMIT ${RECALL_K}`,
          [`[${question.join(",")}]`, JSON.stringify(filter ?? {})],
        );
        farthest.push(rows.at(-1)?.distance ?? 2);
      }
      await client.query("ROLLBACK");
    } finally {
      client.release();
    }
    truth[selection] = farthest;
    await mkdir(CACHE, { recursive: true });
    await writeFile(`${file}.new`, JSON.stringify(truth));
    await rename(`${file}.new`, file);
  }
  return truth;
}

/** The share of the ten nearest that was found, by the distances of what was found. */
export function foundShare(distances: readonly (number | undefined)[], farthest: number): number {
  return distances.filter((distance) => (distance ?? 2) <= farthest + TOLERANCE).length / RECALL_K;
}
