import { mapInTurns } from "../calls/turns.js";
import type { Metadata, TrainingHit } from "../types.js";
import { encodeVector } from "../postgres/codec.js";
import type { HostNumber } from "../postgres/database.js";
import { toHit, type HitRow } from "./hits.js";
import { namesOf, type Layout } from "../schema/layout.js";
import { examineNearest, widenUntilFull, scanFor, notifyMissingIndex, type ExaminedRow } from "./scan.js";
import { distanceOf, FIRST_CONDITION_PARAMETER, nearestChunks, type SearchShape } from "./vector-search-sql.js";
import { limitPerTraining, withPositions, withContent } from "./page-sql.js";
import type { SearchTarget, VectorSearch } from "./vector-search.js";
import { decodeTrainingId } from "../schema/training-id.js";
import { VisibleChunks } from "./visible-chunks.js";

/** Best chunks returned with each training by default. */
const DEFAULT_CHUNKS_PER_TRAINING = 3;
/**
 * Trainings that are compared by their mean vectors, per training to return, and at least: those with the nearest chunks.
 * When all chunks are examined, this avoids computing the mean of every training.
 */
const CANDIDATES_PER_TRAINING = 10;
const MIN_CANDIDATES = 100;

interface TrainingRow extends HitRow, ExaminedRow {
  training_distance: HostNumber;
  training_metadata: string;
}

/**
 * The trainings that are nearest on the whole, best first: those that have the nearest chunks, ranked by the mean vector of
 * all their chunks. One statement, one round trip; more if few trainings hold the nearest chunks. Chunks that the filter
 * excludes are not found, do not count in the mean, and are not returned.
 */
export async function searchTrainings(target: SearchTarget, search: VectorSearch): Promise<TrainingHit[]> {
  const { statements, state, dimensions, notify } = target;
  const { layout } = state;
  const { k, condition } = search;
  const vector = encodeVector(search.vector);
  notifyMissingIndex(notify, state);
  const rows = await widenUntilFull(
    k,
    (limit) =>
      examineNearest(limit, state, notify, (plan) => {
        const { shape, efSearch } = scanFor(search, dimensions, { limit, plan }, state);
        return statements.query<TrainingRow>(
          nearestTrainings(layout, shape, search),
          [vector, efSearch, ...(condition?.values ?? [])],
          { keepsPlan: false },
        );
      }),
    (found) => new Set(found.map(({ key }) => key)).size >= k,
  );
  const chunks = await mapInTurns(rows, (row) => toHit(row, layout));
  const hits = new Map<string, TrainingHit>();
  for (const [place, row] of rows.entries()) {
    const hit = hits.get(row.key) ?? toTrainingHit(row, layout);
    hits.set(row.key, hit);
    hit.chunks.push(...chunks.slice(place, place + 1));
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

/** Finds the nearest trainings. $1 vector, $2 ef_search as text, $3... the condition's parameters. */
function nearestTrainings(
  layout: Layout,
  shape: SearchShape,
  { k, perTraining = DEFAULT_CHUNKS_PER_TRAINING, neighbors }: VectorSearch,
): string {
  const chunks = new VisibleChunks(layout, shape.condition, FIRST_CONDITION_PARAMETER);
  const { extension } = namesOf(layout);
  const candidates = Math.max(k * CANDIDATES_PER_TRAINING, MIN_CANDIDATES);
  const best = limitPerTraining("nearest", "distance", { perTraining });
  const source = `(SELECT n.*, ${chunks.metadataOfTraining("n")} AS training_metadata
  FROM ${withContent(chunks, `(SELECT n.*, r.training_distance FROM ${best} n JOIN ranked r ON r.training_id = n.training_id)`)} n)`;
  const order = "c.training_distance, c.training_id, c.distance, i.place";
  const columns =
    ", c.distance::text AS distance, c.examined::text AS examined, c.training_distance::text AS training_distance, " +
    "c.training_metadata::text AS training_metadata";
  return `
WITH nearest AS MATERIALIZED (${nearestChunks(chunks, shape)}
),
candidate AS MATERIALIZED (
  SELECT training_id FROM nearest GROUP BY training_id ORDER BY min(distance), training_id LIMIT ${candidates}
),
ranked AS MATERIALIZED (
  SELECT training_id, ${distanceOf(layout, `${extension}.avg(embedding)`)} AS training_distance
  FROM (${chunks.select("training_id, embedding", "training_id IN (SELECT training_id FROM candidate)")}) c
  GROUP BY training_id ORDER BY training_distance, training_id LIMIT ${k}
)
${withPositions(chunks, source, { columns, order, neighbors })}`;
}
