/** What a preparation reads of the versions that stand. */
import { groupBy, type StandingChunk } from "./chunk-difference.js";
import { query, type Queryable } from "./database.js";
import type { Layout } from "./layout.js";
import { queryOften, type SwapConnection } from "./swap.js";
import * as sql from "./write-sql.js";

/** The chunks of trainings, by the trainings' keys. */
export async function readStandingChunks(
  connection: SwapConnection,
  database: Queryable,
  layout: Layout,
  keys: readonly string[],
): Promise<Map<string, StandingChunk[]>> {
  if (keys.length === 0) return new Map();
  const chunks = await queryOften<StandingChunk>(connection, database, sql.readChunks(layout), [keys]);
  return groupBy(chunks, ({ key }) => key);
}

type TextRow = Record<"key" | "content" | "start_at" | "end_at", string>;

/** The text of a chunk that stands. */
export interface StandingText {
  content: string;
  /** In the content of its training. */
  start: number;
  end: number;
}

/**
 * The texts of the chunks of trainings that the splitter made, with their places, by the trainings' keys.
 *
 * @param splitter - its description
 */
export async function readStandingTexts(
  database: Queryable,
  layout: Layout,
  keys: readonly string[],
  splitter: string,
): Promise<Map<string, StandingText[]>> {
  if (keys.length === 0) return new Map();
  const rows = await query<TextRow>(database, sql.readTexts(layout), [keys, splitter]);
  const texts = rows.map(({ start_at, end_at, ...row }) => ({
    ...row,
    start: Number(start_at),
    end: Number(end_at),
  }));
  return groupBy(texts, ({ key }) => key);
}
