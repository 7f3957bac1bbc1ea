import { isObject } from "../calls/checks.js";
import { InvalidArgumentError } from "../errors.js";
import type { ChunkHit, Hit, HybridHit, TextHit, TrainingHit } from "../hit-types.js";

/** A field that `fields` can name: any field that hits have, in whatever mode and strategy. */
export type HitField = keyof ChunkHit | keyof TextHit | keyof HybridHit | keyof TrainingHit;

/** `satisfies` makes the compiler report a field that is missing here. */
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
    similarity: true,
    coverage: true,
    rerankScore: true,
    matches: true,
    corrections: true,
    chunks: true,
  } satisfies Record<HitField, true>),
);

/** Checks and copies the option. @throws {@link InvalidArgumentError} unless each name stands for a field of hits */
export function checkFields(fields: Readonly<Record<string, HitField>>): Readonly<Record<string, HitField>> {
  const entries = isObject(fields) ? Object.entries(fields) : [];
  if (entries.length === 0)
    throw new InvalidArgumentError("fields", 'must name at least one field, as in { text: "content" }');
  for (const [name, field] of entries) {
    if (!HIT_FIELDS.has(field)) {
      throw new InvalidArgumentError(`fields.${name}`, `must be one of ${[...HIT_FIELDS].join(", ")}`);
    }
  }
  return Object.fromEntries(entries);
}

/** The chosen fields of a hit, under the host's names; `undefined` for those that the hit does not have. */
export function pickFields(
  hit: Hit | TrainingHit,
  fields: Readonly<Record<string, HitField>>,
): Record<string, unknown> {
  const best = "chunks" in hit ? hit.chunks[0] : undefined;
  const values: Record<string, unknown> = { ...best, ...hit };
  return Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, values[field]]));
}
