import type { Metadata, TrainingHit } from "../types.js";
import { encodeVector } from "./codec.js";
import type { HostNumber } from "./database.js";
import { toHit, type HitRow } from "./hits.js";
import { namesOf, type Layout } from "./layout.js";
import { orExact, reachFurther, scanFor, type ReachedRow } from "./scan.js";
import { FIRST_OF_CONDITION, nearestChunks, placed, spread, type SearchShape } from "./search-sql.js";
import type { Search, SearchTarget } from "./search.js";
import { isLarge } from "./serving-index.js";
import { decodeTrainingId } from "./training-id.js";

/** Chunks of a training that come along, where the search does not say how many. */
const MOST_BEST_CHUNKS = 3;

interface TrainingRow extends HitRow, ReachedRow {
  training_distance: HostNumber;
  training_metadata: string;
}

/**
 * The trainings whose chunks are nearest on the whole, best first: those that hold the nearest chunks are ranked by the
 * mean of all their vectors. One statement, one round trip; more where few trainings hold the nearest chunks. The whole
 * of a training is compared, whatever the filter; the filter decides which of its chunks count as found.
 */
export async function searchTrainings(target: SearchTarget, search: Search): Promise<TrainingHit[]> {
  const { statements, layout, dimensions, serving } = target;
  const { vector, k, condition } = search;
  const state = await serving.current();
  const rows = await reachFurther(
    k,
    isLarge(state),
    (limit) =>
      orExact("planner's", (plan) => {
        const { shape, efSearch } = scanFor(search, dimensions, { limit, plan }, state);
        return statements.query<TrainingRow>(
          nearestTrainings(layout, shape, search),
          [encodeVector(vector), efSearch, ...(condition?.values ?? [])],
          { keepsPlan: false },
        );
      }),
    (found) => new Set(found.map(({ key }) => key)).size >= k,
  );
  const hits = new Map<string, TrainingHit>();
  for (const row of rows) {
    const hit = hits.get(row.key) ?? toTrainingHit(row, layout);
    hits.set(row.key, hit);
    hit.chunks.push(toHit(row, layout));
  }
  return [...hits.values()];
}

function toTrainingHit(row: TrainingRow, layout: Layout): TrainingHit {
  const distance = Number(row.training_distance);
  return {
    trainingId: decodeTrainingId(row.key, layout.idType),
    metadata: JSON.parse(row.training_metadata) as Metadata,
    score: 1 - distance,
    distance,
    chunks: [],
  };
}

/** $1 vector, $2 ef_search as text, $3... those of the condition. */
function nearestTrainings(
  layout: Layout,
  shape: SearchShape,
  { k, perTraining = MOST_BEST_CHUNKS, neighbors }: Search,
): string {
  const names = namesOf(layout);
  const best = spread("nearest", "distance", { perTraining });
  const source = `(SELECT n.*, r.training_distance, t.metadata AS training_metadata
  FROM ${best} n JOIN ranked r ON r.training_id = n.training_id JOIN ${names.training} t ON t.id = n.training_id)`;
  const order = "c.training_distance, c.training_id, c.distance, i.place";
  const columns =
    ", c.distance, c.reached, c.training_distance, c.training_metadata::text AS training_metadata";
  return `
WITH nearest AS MATERIALIZED (${nearestChunks(layout, shape, FIRST_OF_CONDITION)}
),
ranked AS MATERIALIZED (
  SELECT c.training_id, ${names.extension}.avg(c.embedding) ${names.distance} $1::${names.vector} AS training_distance
  FROM ${names.chunk} c WHERE c.training_id IN (SELECT training_id FROM nearest)
  GROUP BY c.training_id ORDER BY training_distance, c.training_id LIMIT ${k}
)
${placed(layout, source, { columns, order, neighbors })}`;
}
