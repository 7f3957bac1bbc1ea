import { InvalidArgumentError } from "../errors.js";
import type { Metadata } from "../types.js";
import type { Condition } from "../filtering/condition.js";
import type { Layout } from "../schema/layout.js";
import { VisibleChunks } from "../search-sql/visible-chunks.js";
import type { CurrentStatements } from "../searching/current-statements.js";

/** A chunk without its position and offsets. */
export interface ChunkById {
  id: string;
  content: string;
  metadata: Metadata;
}

/** The chunks with these ids, in the order of the ids; unknown ids are left out. */
export async function readById(
  statements: CurrentStatements,
  layout: Layout,
  ids: readonly string[],
  filter: Condition | undefined,
): Promise<ChunkById[]> {
  const rows = await statements.query<{ id: string; content: string; metadata: string }>(
    "read-chunks-by-id",
    readChunksById(visibleChunks(layout, filter)),
    [ids, ...(filter?.values ?? [])],
    { keepsPlan: false },
  );
  const byId = new Map(
    rows.map(({ id, content, metadata }) => [id, { id, content, metadata: JSON.parse(metadata) as Metadata }]),
  );
  return ids.flatMap((id) => byId.get(id) ?? []);
}

/** @throws {@link InvalidArgumentError} if an id is that of a chunk, but not of a training */
export async function refuseChunkIds(
  statements: CurrentStatements,
  layout: Layout,
  ids: readonly string[],
  filter: Condition | undefined,
): Promise<void> {
  const rows = await statements.query<{ id: string }>(
    "read-chunks-by-id",
    findPartOfTraining(visibleChunks(layout, filter)),
    [ids, ...(filter?.values ?? [])],
    { keepsPlan: false },
  );
  const [part] = rows;
  if (!part) return;
  throw new InvalidArgumentError(
    `ids[${ids.indexOf(part.id)}]`,
    "is the id of a chunk, not of a training: delete the whole training by its own id",
  );
}

function visibleChunks(layout: Layout, filter: Condition | undefined): VisibleChunks {
  return new VisibleChunks(layout, filter?.text, 2);
}

/** Reads chunks by id. $1 chunk ids, $2... the values of the filter. */
function readChunksById(chunks: VisibleChunks): string {
  return chunks.select("id, content, metadata::text AS metadata", "id = ANY ($1::text[])");
}

/** Finds a chunk whose id is not that of its training. $1 chunk ids, $2... the values of the filter. */
function findPartOfTraining(chunks: VisibleChunks): string {
  return `${chunks.select("id", "id = ANY ($1::text[]) AND id <> training_id::text")} LIMIT 1`;
}
