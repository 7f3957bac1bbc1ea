import type { TrainingIndex } from "langchain-training-index";
import type pg from "pg";

/** Rows that are read at a time. */
const PAGE = 2000;
/** pgvector computes with 32 bits: distances that differ by less are the same. */
const TOLERANCE = 1e-6;

/** What to measure. */
export interface DirectRecall {
  k: number;
  efSearch: readonly number[];
  /** The ids of the trainings whose vectors are the questions, see {@link recordQuestions}. */
  questions: readonly string[];
}

/** The ids of the trainings whose vectors `recall` takes as questions on connections that the pool opens from now on. */
export function recordQuestions(pool: pg.Pool): string[] {
  const ids: string[] = [];
  pool.on("connect", (client) => {
    const query = client.query.bind(client) as (...args: unknown[]) => unknown;
    const recordingQuery = (...args: unknown[]): unknown => {
      const result = query(...args);
      const statement = args[0] as string | { text: string };
      const text = typeof statement === "string" ? statement : statement.text;
      if (text.includes("/* langchain-training-index:sample-chunks */")) {
        void (result as Promise<pg.QueryResult<{ key: string }>>).then(({ rows }) =>
          ids.push(...rows.map(({ key }) => key)),
        );
      }
      return result;
    };
    Object.assign(client, { query: recordingQuery });
  });
  return ids;
}

/**
 * The recall of `similar` by `efSearch`, against the distances of all stored vectors to each question, computed in this process. The question's own
 * chunk does not count.
 *
 * @throws RangeError for a question that is not stored
 */
export async function nearestRecall(
  index: TrainingIndex,
  pool: pg.Pool,
  schema: string,
  { k, efSearch, questions }: DirectRecall,
): Promise<Map<number, number>> {
  const { ids, vectors, dimensions } = await readVectors(pool, schema);
  const found = new Map(efSearch.map((value) => [value, 0]));
  const places = new Map(ids.map((id, place) => [id, place]));
  for (const id of questions) {
    const own = places.get(id);
    if (own === undefined) throw new RangeError(`training ${id} is not stored`);
    const question = vectors.subarray(own * dimensions, (own + 1) * dimensions);
    const distances = distancesTo(question, vectors);
    const farthest = kthNearest(distances, own, k);
    for (const value of efSearch) {
      const hits = await index.similar(question, { k: k + 1, efSearch: value });
      const near = hits
        .map(({ trainingId }) => places.get(String(trainingId)) ?? own)
        .filter((place) => place !== own)
        .slice(0, k)
        .filter((place) => (distances[place] ?? 2) <= farthest + TOLERANCE);
      found.set(value, (found.get(value) ?? 0) + near.length / k / questions.length);
    }
  }
  return found;
}

/** All vectors, one after the other, as unit vectors. */
async function readVectors(
  pool: pg.Pool,
  schema: string,
): Promise<{ ids: string[]; vectors: Float32Array; dimensions: number }> {
  const ids: string[] = [];
  const parts: Float32Array[] = [];
  let after = "";
  for (;;) {
    const { rows } = await pool.query<{ id: string; vector: string }>(
      `SELECT training_id::text AS id, embedding::real[]::text AS vector FROM ${schema}.chunk_1
        WHERE training_id > $1 ORDER BY training_id LIMIT ${PAGE}`,
      [after],
    );
    for (const { id, vector } of rows) {
      const components = Float32Array.from(JSON.parse(`[${vector.slice(1, -1)}]`) as number[]);
      const length = Math.hypot(...components);
      ids.push(id);
      parts.push(components.map((component) => component / length));
    }
    const last = rows.at(-1);
    if (!last) break;
    after = last.id;
  }
  const dimensions = parts[0]?.length ?? 0;
  const vectors = new Float32Array(ids.length * dimensions);
  for (const [place, part] of parts.entries()) vectors.set(part, place * dimensions);
  return { ids, vectors, dimensions };
}

function distancesTo(question: Float32Array, vectors: Float32Array): Float64Array {
  const dimensions = question.length;
  const distances = new Float64Array(vectors.length / dimensions);
  for (let place = 0; place < distances.length; place++) {
    let product = 0;
    const start = place * dimensions;
    for (let at = 0; at < dimensions; at++) product += (question[at] ?? 0) * (vectors[start + at] ?? 0);
    distances[place] = 1 - product;
  }
  return distances;
}

function kthNearest(distances: Float64Array, own: number, k: number): number {
  const others = distances.filter((_, place) => place !== own).sort();
  return others[k - 1] ?? 2;
}
