import type { Layout } from "../schema/layout.js";
import { decodeTrainingId } from "../schema/training-id.js";
import type { Metadata, TrainingId } from "../types.js";

/** A training as it is stored, without its text. */
export interface StoredTraining<OwnMetadata extends object = Metadata> {
  /** As in the results of searches, see `TrainingId`. */
  id: TrainingId;
  /** The training's own metadata; documents may have overridden it in their chunks. */
  metadata: OwnMetadata;
  /**
   * The highest revision that was stored, a `Date` as its milliseconds; `undefined` if the training has none. A
   * `bigint` if a number could not hold it exactly.
   */
  revision: number | bigint | undefined;
  /** Number of chunks. Through an index with a filter: of those that match it. */
  chunks: number;
  /** When the last upsert that was not superseded took effect, by the clock of the server; also one that was `unchanged`. */
  updatedAt: Date;
}

/** How much is stored. */
export interface StoredCount {
  /** Trainings that are not deleted and whose own metadata matches. */
  trainings: number;
  /** Chunks whose metadata matches. */
  chunks: number;
}

/** A row of a statement that reads trainings. */
export interface StoredTrainingRow {
  key: string;
  metadata: string;
  revision: string | null;
  updated_at_ms: string;
  chunks: string;
}

/** Converts a row. */
export function toStoredTraining(row: StoredTrainingRow, { idType }: Layout): StoredTraining {
  return {
    id: decodeTrainingId(row.key, idType),
    metadata: JSON.parse(row.metadata) as Metadata,
    revision: row.revision === null ? undefined : decodeRevision(row.revision),
    chunks: Number(row.chunks),
    updatedAt: new Date(Number(row.updated_at_ms)),
  };
}

/** A revision in the form of a number, or of a bigint if a number could not hold it exactly. */
function decodeRevision(text: string): number | bigint {
  const number = Number(text);
  return Number.isSafeInteger(number) || text.includes(".") ? number : BigInt(text);
}
