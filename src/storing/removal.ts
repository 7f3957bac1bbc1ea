import type { DeleteStatus } from "../types.js";
import { query, type Queryable } from "../postgres/database.js";
import { admitDeletes } from "./fence-sql.js";
import type { Scope } from "../filtering/filter.js";
import type { WriteTarget } from "./write-target.js";
import * as sql from "./write-sql.js";

/** Trainings to be deleted by one call. */
export interface Removal {
  /** Ids as Postgres takes them, each at most once. */
  keys: readonly string[];
  /** One for all: it says when the call started. */
  ticket: string;
  revision: string | null;
  /** What a training's metadata must meet besides the scope. */
  conditions: Scope;
}

/** What a removal did to one training. */
export interface RemovalOutcome {
  status: DeleteStatus;
  removed: number;
}

/**
 * Deletes trainings with their chunks, in the transaction that `client` is in. A tombstone stays, which calls
 * that started earlier do not get past.
 *
 * @returns one outcome for each key, in order
 */
export async function remove(
  client: Queryable,
  { layout, scope }: WriteTarget,
  { keys, ticket, revision, conditions }: Removal,
): Promise<RemovalOutcome[]> {
  const limits = [...scope, ...conditions];
  const passed = await query<{ key: string }>(client, admitDeletes(layout), [
    keys,
    keys.map(() => ticket),
    keys.map(() => revision),
    keys.map(() => scope[0] ?? "{}"), // a tombstone of an unknown id belongs where the delete came from
    limits,
  ]);
  const passedKeys = passed.map(({ key }) => key);
  const fenced = new Set(passedKeys);
  // In statements of their own: they see what was committed while the fence waited for its locks.
  const gone = await query<{ key: string; chunks: string }>(client, sql.deleteIndexed(layout), [passedKeys]);
  await query(client, sql.deleteAllChunks(layout), [passedKeys]);

  const stopped = keys.filter((key) => !fenced.has(key));
  // Stopped, though it meets the limits: so something newer stands. Else it is not there for this index.
  const newer =
    stopped.length === 0
      ? []
      : await query<{ key: string }>(client, sql.findTrainings(layout), [limits, stopped]);
  const superseded = new Set(newer.map(({ key }) => key));
  const chunks = new Map(gone.map(({ key, chunks: count }) => [key, Number(count)]));
  return keys.map((key) => {
    if (superseded.has(key)) return { status: "superseded", removed: 0 };
    const removed = chunks.get(key);
    return removed === undefined ? { status: "absent", removed: 0 } : { status: "deleted", removed };
  });
}
