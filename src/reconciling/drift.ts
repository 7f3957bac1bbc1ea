import type { TrainingId } from "../types.js";

/** Ids that a finding lists; it counts all of them. */
const MAX_LISTED = 1000;

/**
 * What is wrong with a stored training.
 *
 * | kind | meaning |
 * |---|---|
 * | `notIndexed` | the training has no row in `indexed_<n>`, which lists its chunks |
 * | `missingChunk` | a listed chunk does not exist |
 * | `surplusChunk` | a chunk exists that is not listed |
 * | `repeatedChunk` | a chunk is listed twice |
 * | `places` | the lists of chunks, starts and ends differ in length, or have a null |
 * | `offsets` | a chunk's offsets are not those of its text: out of order, of another length, or at another text |
 * | `gap` | text of the training lies in no chunk |
 * | `text` | a chunk's text and its `content_hash` do not belong together |
 * | `chunkMetadata` | a chunk's metadata is not that of its training or document |
 * | `trainingMetadata` | the training's metadata is not that of its chunks |
 * | `dimensions` | a vector has another number of dimensions than the index |
 * | `zeroVector` | a vector has no direction, so that no search finds its chunk |
 * | `vector` | a vector is not that of its text (only with `sample`) |
 * | `leftover` | a deleted training, or one without a row, still has chunks or a list of chunks |
 */
export type DamageKind =
  | "notIndexed"
  | "missingChunk"
  | "surplusChunk"
  | "repeatedChunk"
  | "places"
  | "offsets"
  | "gap"
  | "text"
  | "chunkMetadata"
  | "trainingMetadata"
  | "dimensions"
  | "zeroVector"
  | "vector"
  | "leftover";

/** Trainings of one kind of drift. */
export interface Finding {
  count: number;
  /** The ids of the first 1,000. */
  ids: TrainingId[];
}

/** A damaged training, and what is wrong with it. */
export interface DamagedTraining {
  id: TrainingId;
  kinds: DamageKind[];
}

/** The trainings that are damaged in the database. */
export interface DamageFinding extends Finding {
  /** What is wrong with each training of `ids`, in the same order. */
  problems: DamagedTraining[];
}

/** A part of the schema that is missing or should not be there. `reconcile` does not repair it. */
export interface SchemaProblem {
  /** Such as `index chunk_1_metadata`. */
  part: string;
  /** What is wrong with it, and what to do. */
  problem: string;
}

/** How the index differs from the host's trainings. A training can be both stale and damaged. */
export interface Drift {
  /** Trainings of the source that were compared; without a source, of the index. */
  checked: number;
  /** Trainings of the source that the index does not have. */
  missing: Finding;
  /** Trainings of which the index has an older version: of a lower revision or none, or with another content. */
  stale: Finding;
  /** Trainings of the index that the source does not have. */
  orphaned: Finding;
  /** Trainings whose rows in the database are damaged. */
  damaged: DamageFinding;
  /** Missing or invalid parts of the schema, and leftovers of other profiles. */
  schema: SchemaProblem[];
}

/** Collects the findings of a run. */
export class DriftCollector {
  readonly drift: Drift = {
    checked: 0,
    missing: { count: 0, ids: [] },
    stale: { count: 0, ids: [] },
    orphaned: { count: 0, ids: [] },
    damaged: { count: 0, ids: [], problems: [] },
    schema: [],
  };

  add(kind: "missing" | "stale" | "orphaned", id: TrainingId): void {
    const finding = this.drift[kind];
    finding.count += 1;
    if (finding.ids.length < MAX_LISTED) finding.ids.push(id);
  }

  addDamaged(id: TrainingId, kinds: readonly DamageKind[]): void {
    const { damaged } = this.drift;
    damaged.count += 1;
    if (damaged.ids.length >= MAX_LISTED) return;
    damaged.ids.push(id);
    damaged.problems.push({ id, kinds: [...kinds] });
  }
}
