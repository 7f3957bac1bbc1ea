import type { Layout } from "../schema/layout.js";
import { decodeTrainingId } from "../schema/training-id.js";
import type { Metadata, StoredTraining } from "../types.js";

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
