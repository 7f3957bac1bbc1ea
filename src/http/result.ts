import { isObject } from "../calls/checks.js";
import { InvalidArgumentError } from "../errors.js";
import type { ChunkHit, Hit, HybridHit, TextHit, TrainingHit } from "../types.js";

/** What a field of an answer can stand for: whatever a hit of any mode and strategy has. */
export type HitField = keyof ChunkHit | keyof TextHit | keyof HybridHit | keyof TrainingHit;

/** One entry for each field, so that none is forgotten here. */
const HIT_FIELDS: ReadonlySet<string> = new Set(
  Object.keys({
    trainingId: true,
    chunkId: true,
    position: true,
    start: true,
    end: true,
    content: true,
    metadata: true,
    neighbors: true,
    chunk: true,
    score: true,
    distance: true,
    textScore: true,
    fusedScore: true,
    chunks: true,
  } satisfies Record<HitField, true>),
);

/** A copy of what is usable. @throws {@link InvalidArgumentError} for what does not say which field each name stands for */
export function checkFields(fields: Readonly<Record<string, HitField>>): Readonly<Record<string, HitField>> {
  const entries = isObject(fields) ? Object.entries(fields) : [];
  if (entries.length === 0) throw new InvalidArgumentError("fields", "must name what is in the answer");
  for (const [name, field] of entries) {
    if (!HIT_FIELDS.has(field)) {
      throw new InvalidArgumentError(`fields.${name}`, `must be one of ${[...HIT_FIELDS].join(", ")}`);
    }
  }
  return Object.fromEntries(entries);
}

/** A hit under names of the host's choice; what the hit has not is left out. */
export function pickFields(
  hit: Hit | TrainingHit,
  fields: Readonly<Record<string, HitField>>,
): Record<string, unknown> {
  const best = "chunks" in hit ? hit.chunks[0] : undefined;
  const values: Record<string, unknown> = { ...best, ...hit };
  return Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, values[field]]));
}
