import type { Condition } from "../filtering/condition.js";
import { namesOf, type Layout } from "../schema/layout.js";
import { VisibleChunks } from "../search-sql/visible-chunks.js";

/**
 * Chunks at random, with their vectors in base64. Only ids are sorted. Leaves out vectors without a direction, which have no
 * nearest chunks. The parameters are those of the condition.
 *
 * @param limit - a checked integer
 */
export function sampleChunks(layout: Layout, condition: Condition | undefined, limit: number): string {
  const { chunk, extension } = namesOf(layout);
  const chunks = new VisibleChunks(layout, condition?.text, 1);
  return `
SELECT c.training_id::text AS key, c.id, encode(${extension}.vector_send(c.embedding), 'base64') AS embedding
FROM (${chunks.select("training_id, id", "true", "may find rows")} ORDER BY random() LIMIT ${limit}) n
JOIN ${chunk} c ON c.training_id = n.training_id AND c.id = n.id
WHERE ${extension}.vector_norm(c.embedding) > 0`;
}
