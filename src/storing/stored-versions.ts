/** Reads the state, chunks and texts of the stored versions that a preparation compares new ones with. */
import type { Piece } from "../chunking/join-pieces.js";
import { groupBy, type StoredChunk } from "./chunk-difference.js";
import { query, type Queryable } from "../postgres/database.js";
import type { Layout } from "../schema/layout.js";
import type { SupersededReason } from "../types.js";
import { queryWithKeptPlan, type SwapConnection } from "./swap.js";
import type { WriteTarget } from "./write-target.js";
import * as sql from "./write-sql.js";

/** The stored state of a training, read while it is prepared; all columns as text. */
export interface StoredState {
  /** The call's ticket; only if it was taken by the same statement. */
  ticket?: string;
  /** The highest ticket stored before; only with `ticket`. */
  newest?: string | null;
  /** The ticket of the call that wrote the stored chunks; `null` if there are none. */
  content_ticket: string | null;
  superseded_by: SupersededReason | null;
  in_scope: "true" | "false";
  fingerprint: string | null;
  /** The number of chunks of the stored version; `null` if none is stored. */
  chunks: string | null;
  /** The number of chunk rows that exist. */
  stored_chunks: string;
}

/**
 * What is stored of trainings, in order.
 *
 * @param ticket - of a call that includes this one; decides which stored versions supersede it
 */
export async function readStates(
  { target, connection }: { target: WriteTarget; connection: SwapConnection },
  database: Queryable,
  trainings: readonly { key: string; revision: string | null }[],
  ticket: string,
  signal?: AbortSignal,
): Promise<StoredState[]> {
  const values = [
    trainings.map(({ key }) => key),
    trainings.map(({ revision }) => revision),
    target.scope,
    trainings.map(() => ticket),
  ];
  const read = (): Promise<StoredState[]> =>
    queryWithKeptPlan(connection, database, "read-versions", sql.readStates(target.layout), values);
  const states = await connection.knownSchema.follow(read, { writes: true, signal });
  return states.map((state) => ({ ...state, ticket }));
}

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
