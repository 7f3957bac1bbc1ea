import { InvalidArgumentError } from "../errors.js";
import type { Metadata } from "../types.js";
import { query, type Queryable } from "../postgres/database.js";
import type { Scope } from "../filtering/scope.js";
import { namesOf, type Layout } from "../schema/layout.js";

/** A chunk without its position and offsets. */
export interface ChunkById {
  id: string;
  content: string;
  metadata: Metadata;
}

/** The chunks with these ids, in the order of the ids; unknown ids are left out. */
export async function readById(
  database: Queryable,
  layout: Layout,
  ids: readonly string[],
  scope: Scope,
): Promise<ChunkById[]> {
  const rows = await query<{ id: string; content: string; metadata: string }>(database, readChunksById(layout), [
    ids,
    scope,
  ]);
  const byId = new Map(
    rows.map(({ id, content, metadata }) => [id, { id, content, metadata: JSON.parse(metadata) as Metadata }]),
  );
  return ids.flatMap((id) => byId.get(id) ?? []);
}

/** @throws {@link InvalidArgumentError} if an id is that of a chunk, but not of a training */
export async function refuseChunkIds(
  database: Queryable,
  layout: Layout,
  ids: readonly string[],
  scope: Scope,
): Promise<void> {
  const rows = await query<{ id: string }>(database, findPartsOfTrainings(layout), [ids, scope]);
  const [part] = rows;
  if (!part) return;
  throw new InvalidArgumentError(
    `ids[${ids.indexOf(part.id)}]`,
    "is the id of a chunk, not of a training: delete the whole training by its own id",
  );
}

/** Reads chunks by id. $1 chunk ids, $2 metadata that each must contain. */
function readChunksById(layout: Layout): string {
  return `
SELECT id, content, metadata::text AS metadata FROM ${namesOf(layout).chunk}
WHERE id = ANY ($1::text[]) AND metadata @> ALL ($2::jsonb[])`;
}

/** Finds a chunk whose id is not that of its training. $1 chunk ids, $2 metadata that it must contain. */
function findPartsOfTrainings(layout: Layout): string {
  return `
SELECT id FROM ${namesOf(layout).chunk}
WHERE id = ANY ($1::text[]) AND id <> training_id::text AND metadata @> ALL ($2::jsonb[]) LIMIT 1`;
}
