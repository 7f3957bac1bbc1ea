import type { Queryable } from "../calls/host-database.js";
import type { TrainingId } from "../index.js";
import { query } from "../postgres/database.js";
import { boundedDatabase } from "../postgres/host-client.js";
import { requireActiveProfile } from "../schema/catalog.js";
import { namesOf } from "../schema/layout.js";
import { encodeTrainingId } from "../schema/training-id.js";
import type { Opened } from "./open-index.js";

/** The state of a training's row, to compare it with what a person has seen. */
export interface StoredVersion {
  /** Different for each stored version of the training. */
  version: string;
  /** How many chunks the training should have; `undefined` if that is not recorded. */
  chunks: number | undefined;
}

/**
 * Reads the version of a training that is stored, in the transaction of `client`. The ticket of its content is of a sequence, so no two versions have
 * the same, even if the training is deleted and stored again.
 *
 * @returns `undefined` if the training is not stored, or deleted
 */
export async function readVersion(
  client: Queryable,
  { schema, idType }: Pick<Opened, "schema" | "idType">,
  id: TrainingId,
): Promise<StoredVersion | undefined> {
  const database = boundedDatabase(client);
  const { id: profileId } = await requireActiveProfile(database, schema);
  const { training, indexed } = namesOf({ schema, profileId, extensionSchema: "public" });
  const [row] = await query<{ version: string; chunks: string | null }>(
    database,
    "read-version-to-edit",
    `SELECT t.content_ticket::text AS version,
      (SELECT pg_catalog.cardinality(i.chunk_ids)::text FROM ${indexed} i WHERE i.training_id = t.id) AS chunks
      FROM ${training} t WHERE t.id = $1::${idType} AND t.deleted_at IS NULL`,
    [encodeTrainingId(id, idType, "id")],
  );
  return row && { version: row.version, chunks: row.chunks === null ? undefined : Number(row.chunks) };
}
