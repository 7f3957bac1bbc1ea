/** Reads the stored chunks and texts that a preparation compares the new version with. */
import type { Piece } from "../chunking/join-pieces.js";
import { groupBy, type StoredChunk } from "./chunk-difference.js";
import { query, type Queryable } from "../postgres/database.js";
import type { Layout } from "../schema/layout.js";
import { queryWithKeptPlan, type SwapConnection } from "./swap.js";
import * as sql from "./write-sql.js";

/** The stored chunks of each training, by training key. */
export async function readStoredChunks(
  connection: SwapConnection,
  database: Queryable,
  layout: Layout,
  keys: readonly string[],
): Promise<Map<string, StoredChunk[]>> {
  if (keys.length === 0) return new Map();
  const chunks = await queryWithKeptPlan<StoredChunk>(
    connection,
    database,
    "read-stored-chunks",
    sql.readChunks(layout),
    [keys],
  );
  return groupBy(chunks, ({ key }) => key);
}

type TextRow = Record<"key" | "content" | "start_at" | "end_at", string>;

/**
 * The stored texts of each training with their offsets, by training key, in reading order. Leaves out trainings that
 * were split by another splitter.
 *
 * @param splitter - the description of the splitter
 */
export async function readStoredTexts(
  database: Queryable,
  layout: Layout,
  keys: readonly string[],
  splitter: string,
): Promise<Map<string, Piece[]>> {
  if (keys.length === 0) return new Map();
  const rows = await query<TextRow>(database, "read-stored-texts", sql.readTexts(layout), [keys, splitter]);
  const texts = rows.map(({ start_at, end_at, ...row }) => ({
    ...row,
    start: Number(start_at),
    end: Number(end_at),
  }));
  return groupBy(texts, ({ key }) => key);
}
