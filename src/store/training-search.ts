import type { TrainingHit, Metadata } from "../types.js";
import { encodeVector } from "./codec.js";
import type { HostNumber } from "./database.js";
import { namesOf, type Layout } from "./layout.js";
import { MAX_EF_SEARCH, toPassage, type PassageRow, type Search, type SearchTarget } from "./search.js";
import { nearestChunks, placed, type SearchShape } from "./search-sql.js";
import { decodeTrainingId } from "./training-id.js";

/** How many of the nearest chunks, for each training to return, say which trainings are looked at. */
const CHUNKS_FOR_A_TRAINING = 10;
/** At least so many: some trainings hold many of the nearest chunks. */
const FEWEST_CHUNKS = 100;
/** Chunks of a training that come along. */
const MOST_BEST_CHUNKS = 3;

/** The condition's parameters come after the vector and `hnsw.ef_search`. */
const FIRST_OF_CONDITION = 3;

interface TrainingRow extends PassageRow {
  distance: HostNumber;
  training_distance: HostNumber;
  training_metadata: string;
}

/**
 * The trainings whose chunks are nearest on the whole, best first: those that hold the nearest chunks are ranked by the
 * mean of all their vectors. One statement, one round trip. The whole of a training is compared, whatever the filter; the
 * filter decides which of its chunks count as found.
 */
export async function searchTrainings(target: SearchTarget, search: Search): Promise<TrainingHit[]> {
  const { statements, layout, dimensions, serving } = target;
  const { vector, k, efSearch, rerankFactor, condition } = search;
  const { type } = await serving.current();
  const limit = Math.min(Math.max(CHUNKS_FOR_A_TRAINING * k, FEWEST_CHUNKS), MAX_EF_SEARCH);
  const candidates = type === "bit" ? Math.max(limit * rerankFactor, efSearch) : limit;
  const shape: SearchShape = {
    limit,
    condition: condition?.text,
    withEmbedding: false,
    type,
    dimensions,
    plan: "planner's",
    candidates,
  };
  const rows = await statements.query<TrainingRow>(
    nearestTrainings(layout, shape, k),
    [
      encodeVector(vector),
      Math.min(Math.max(efSearch, candidates), MAX_EF_SEARCH).toString(),
      ...(condition?.values ?? []),
    ],
    { keepsPlan: false },
  );
  const hits = new Map<string, TrainingHit>();
  for (const row of rows) {
    const trainingDistance = Number(row.training_distance);
    let hit = hits.get(row.key);
    if (!hit) {
      hit = {
        trainingId: decodeTrainingId(row.key, layout.idType),
        metadata: JSON.parse(row.training_metadata) as Metadata,
        score: 1 - trainingDistance,
        distance: trainingDistance,
        chunks: [],
      };
      hits.set(row.key, hit);
    }
    const distance = Number(row.distance);
    if (hit.chunks.length < MOST_BEST_CHUNKS) {
      hit.chunks.push({ ...toPassage(row, layout), score: 1 - distance, distance });
    }
  }
  return [...hits.values()];
}

/** $1 vector, $2 ef_search as text, $3... those of the condition. */
function nearestTrainings(layout: Layout, shape: SearchShape, count: number): string {
  const names = namesOf(layout);
  const source = `(SELECT n.*, r.training_distance, t.metadata AS training_metadata
  FROM nearest n JOIN ranked r ON r.training_id = n.training_id JOIN ${names.training} t ON t.id = n.training_id)`;
  const columns = ", c.distance, c.training_distance, c.training_metadata::text AS training_metadata";
  return `
WITH nearest AS MATERIALIZED (${nearestChunks(layout, shape, FIRST_OF_CONDITION)}
),
ranked AS MATERIALIZED (
  SELECT c.training_id, ${names.extension}.avg(c.embedding) ${names.distance} $1::${names.vector} AS training_distance
  FROM ${names.chunk} c WHERE c.training_id IN (SELECT training_id FROM nearest)
  GROUP BY c.training_id ORDER BY training_distance, c.training_id LIMIT ${count}
)
${placed(layout, source, columns, "c.training_distance, c.training_id, c.distance")}`;
}
