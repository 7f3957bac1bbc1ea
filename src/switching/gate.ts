import type { Model } from "../models/models.js";
import { encodeVector } from "../postgres/codec.js";
import { query, type Queryable } from "../postgres/database.js";
import { readVectorIndexes } from "../schema/vector-index-catalog.js";
import { namesOf, type Layout } from "../schema/layout.js";
import type { SwitchTarget } from "./begin.js";
import type { SwitchReport } from "./switch-types.js";

/** Hits of both models that are compared. */
const K = 10;
/** The length of a question that is made of a stored chunk, in UTF-16 units. */
const QUESTION_LENGTH = 120;

/** What the gate compares with. */
export interface GateInputs {
  target: SwitchTarget;
  /** The model in use. */
  old: Model;
  model: Model;
  questions: readonly string[] | undefined;
  sample: number;
  /** Whether each stored chunk has one of the new model: it is embedded as it is stored. */
  isCopy: boolean;
  signal: AbortSignal | undefined;
}

/** Compares the new model with the one in use. */
export async function compareModels(database: Queryable, inputs: GateInputs): Promise<SwitchReport> {
  const { target, old, model } = inputs;
  const { active, building } = target;
  const [counts] = await query<Record<"stored" | "built" | "chunks" | "new_chunks" | "behind" | "zeros", string>>(
    database,
    "check-switch",
    countBoth(active, building),
  );
  const { vectorIndexStates } = await readVectorIndexes(database, active.schema, building.profileId);
  const number = (value: string | undefined): number => Number(value ?? 0);
  const report: SwitchReport = {
    from: { name: old.profile.model, dimensions: target.from.dimensions },
    to: { name: model.profile.model, dimensions: model.profile.dimensions },
    trainings: { stored: number(counts?.stored), built: number(counts?.built) },
    chunks: { stored: number(counts?.chunks), built: number(counts?.new_chunks) },
    behind: number(counts?.behind),
    zeroVectors: number(counts?.zeros),
    vectorIndex: Object.values(vectorIndexStates).includes("valid"),
    searches: await compareSearches(database, inputs),
    problems: [],
  };
  const { trainings, chunks, behind } = report;
  if (Math.abs(trainings.stored - trainings.built) > behind) {
    report.problems.push(`${trainings.stored} trainings are stored, but ${trainings.built} are built`);
  }
  if (inputs.isCopy && behind === 0 && chunks.built < chunks.stored) {
    report.problems.push(`${chunks.stored} chunks are stored, but only ${chunks.built} are built`);
  }
  if (!report.vectorIndex) report.problems.push("the new vector index cannot be used");
  return report;
}

/** All in one snapshot. pgvector stores finite components only, and the type of the column has the dimensions. */
function countBoth(active: Layout, building: Layout): string {
  const { training, indexed, chunk } = namesOf(building);
  const { extension } = namesOf(building);
  return `
SELECT (SELECT count(*) FROM ${training} WHERE deleted_at IS NULL)::text AS stored,
  (SELECT count(*) FROM ${indexed})::text AS built, (SELECT count(*) FROM ${namesOf(active).chunk})::text AS chunks,
  (SELECT count(*) FROM ${chunk})::text AS new_chunks,
  (SELECT count(*) FROM ${chunk} WHERE ${extension}.vector_norm(embedding) = 0)::text AS zeros,
  (SELECT count(*) FROM ${namesOf(building).behind})::text AS behind`;
}

async function compareSearches(
  database: Queryable,
  { target, old, model, questions, sample, signal }: GateInputs,
): Promise<SwitchReport["searches"]> {
  const asked = questions ?? (await sampleQuestions(database, target.active, sample));
  const overlaps: number[] = [];
  for (const question of asked) {
    const [before, after] = await Promise.all([
      old.embedder.embedQuery(question, signal),
      model.embedder.embedQuery(question, signal),
    ]);
    const [left, right] = [
      await nearest(database, target.active, before),
      await nearest(database, target.building, after),
    ];
    const common = [...left].filter((chunk) => right.has(chunk)).length;
    const most = Math.max(left.size, right.size);
    if (most > 0) overlaps.push(common / most);
  }
  if (overlaps.length === 0) return undefined;
  const meanOverlap = overlaps.reduce((sum, overlap) => sum + overlap, 0) / overlaps.length;
  return { questions: overlaps.length, k: K, meanOverlap, lowestOverlap: Math.min(...overlaps) };
}

async function sampleQuestions(database: Queryable, active: Layout, sample: number): Promise<string[]> {
  if (sample === 0) return [];
  const rows = await query<{ text: string }>(
    database,
    "check-switch",
    `SELECT left(content, ${QUESTION_LENGTH}) AS text FROM ${namesOf(active).chunk} WHERE content ~ '\\S' ORDER BY random() LIMIT ${sample}`,
  );
  return rows.map(({ text }) => text.trim()).filter((text) => text !== "");
}

/** The nearest chunks, each by its training and the beginning of its text: another splitter gives them other ids. */
async function nearest(database: Queryable, layout: Layout, vector: Float32Array): Promise<Set<string>> {
  const { chunk, distance, vector: type } = namesOf(layout);
  const rows = await query<{ key: string }>(
    database,
    "check-switch",
    `SELECT pg_catalog.concat(training_id, ' ', left(content, 100)) AS key FROM ${chunk} ORDER BY embedding ${distance} $1::${type} LIMIT ${K}`,
    [encodeVector(vector)],
  );
  return new Set(rows.map(({ key }) => key));
}
