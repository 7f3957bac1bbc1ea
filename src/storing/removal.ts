import type { DeleteStatus } from "../types.js";
import { profileRetired, query, type Queryable } from "../postgres/database.js";
import { cleanTraining, inKeyOrder, removeTraining } from "./distributed-writes.js";
import { admitDeletes, deleteTrainings } from "./fence-sql.js";
import { queryWithKeptPlan, type SwapConnection } from "./swap.js";
import type { Condition } from "../filtering/condition.js";
import type { WriteTarget } from "./write-target.js";
import * as sql from "./write-sql.js";
import { throwUnlessRetryable } from "./write-transaction.js";

/** A training to delete. */
export interface RemovedTraining {
  /** The id in the form sent to Postgres. */
  key: string;
  revision: string | null;
  /** Of its tombstone, if the id has no row. Default: what puts the tombstone in the scope of this index. */
  metadata?: string | undefined;
}

/** The trainings that one call deletes. */
export interface Removal {
  /** With distinct ids. */
  trainings: readonly RemovedTraining[];
  /** Shared by all: it records when the call started. */
  ticket: string;
  /** A condition on the trainings' metadata, in addition to the scope. */
  condition: Condition | undefined;
}

/** The outcome of a removal for one training. */
export interface RemovalOutcome {
  status: DeleteStatus;
  removed: number;
}

/**
 * Deletes trainings with their chunks, in a single statement that is its own transaction. A tombstone stays and stops upserts that started
 * earlier.
 *
 * @returns the outcomes by key. Trainings without one are unchanged and left to {@link remove}: another call changed them while the statement
 *   waited for their rows, or Postgres asked for a retry
 */
export async function tryRemove(
  connection: SwapConnection,
  database: Queryable,
  target: WriteTarget,
  removal: Removal,
): Promise<Map<string, RemovalOutcome>> {
  const { layout } = target;
  const { condition } = removal;
  if (layout.citus) return condition ? new Map() : removeEach(connection, database, target, removal);
  const text = deleteTrainings(layout, condition);
  const values = valuesOf(target, removal);
  try {
    // Each shape of a condition would take one of the names of this pool.
    const rows = condition
      ? await query<DeletedRow>(database, "delete-trainings", text, values)
      : await queryWithKeptPlan<DeletedRow>(connection, database, "delete-trainings", text, values);
    const outcomes = new Map<string, RemovalOutcome>();
    for (const { key, status, removed } of rows) {
      if (key === null) throw profileRetired();
      if (status !== null) outcomes.set(key, { status, removed: Number(removed) });
    }
    return outcomes;
  } catch (error) {
    throwUnlessRetryable(error, connection.notify);
    return new Map();
  }
}

/** A row of {@link deleteTrainings}. */
interface DeletedRow {
  key: string | null;
  status: DeleteStatus | null;
  removed: string;
}

/** The values of both statements that delete. */
function valuesOf({ scope }: WriteTarget, { trainings, ticket, condition }: Removal): unknown[] {
  return [
    trainings.map(({ key }) => key),
    trainings.map(() => ticket),
    trainings.map(({ revision }) => revision),
    trainings.map(({ metadata }) => metadata ?? scope[0] ?? "{}"),
    scope,
    ...(condition?.values ?? []),
  ];
}

/**
 * Deletes trainings with their chunks, as {@link tryRemove} does, in the transaction that `client` is in.
 *
 * @returns one outcome per training, in order
 */
export async function remove(client: Queryable, target: WriteTarget, removal: Removal): Promise<RemovalOutcome[]> {
  const { layout, scope } = target;
  const { trainings, condition } = removal;
  const keys = trainings.map(({ key }) => key);
  const { admittedKeys, chunks } = await (layout.citus ? removeOneByOne : removeAll)(client, target, removal);
  const admittedSet = new Set(admittedKeys);

  const rejected = keys.filter((key) => !admittedSet.has(key));
  // A rejected training that meets the conditions has a newer version. Others do not exist for this index.
  const newer =
    rejected.length === 0
      ? []
      : await query<{ key: string }>(client, "find-superseded", sql.findTrainings(layout, condition), [
          scope,
          rejected,
          ...(condition?.values ?? []),
        ]);
  const superseded = new Set(newer.map(({ key }) => key));
  return keys.map((key) => {
    if (superseded.has(key)) return { status: "superseded", removed: 0 };
    const removed = chunks.get(key);
    return removed === undefined ? { status: "absent", removed: 0 } : { status: "deleted", removed };
  });
}

/** The trainings that the fence admitted, and how many chunks each of them had; none for one without a stored version. */
interface Removed {
  admittedKeys: readonly string[];
  chunks: ReadonlyMap<string, number>;
}

async function removeAll(client: Queryable, target: WriteTarget, removal: Removal): Promise<Removed> {
  const { layout } = target;
  const fence = admitDeletes(layout, removal.condition);
  const admitted = await query<{ key: string | null }>(client, "fence-deletes", fence, valuesOf(target, removal));
  const admittedKeys = admitted.map(({ key }) => {
    if (key === null) throw profileRetired();
    return key;
  });
  // Separate statements, so that they see what was committed while the fence waited for its locks.
  const deleted = await query<{ key: string; chunks: string }>(client, "delete-positions", sql.deleteIndexed(layout), [
    admittedKeys,
  ]);
  await query(client, "delete-chunks", sql.deleteAllChunks(layout), [admittedKeys]);
  return { admittedKeys, chunks: new Map(deleted.map(({ key, chunks }) => [key, Number(chunks)])) };
}

/** On a Citus cluster, each training in a transaction of its own. The outcomes of those that were admitted. */
async function removeEach(
  { notify }: SwapConnection,
  database: Queryable,
  target: WriteTarget,
  removal: Removal,
): Promise<Map<string, RemovalOutcome>> {
  try {
    const { admittedKeys, chunks } = await removeOneByOne(database, target, removal);
    return new Map(
      admittedKeys.map((key) => {
        const removed = chunks.get(key);
        return [key, removed === undefined ? { status: "absent", removed: 0 } : { status: "deleted", removed }];
      }),
    );
  } catch (error) {
    throwUnlessRetryable(error, notify);
    return new Map();
  }
}

/** On a Citus cluster. Trainings that have to meet a condition are locked first, in the order of their ids. */
async function removeOneByOne(
  client: Queryable,
  { layout, scope }: WriteTarget,
  { trainings, ticket, condition }: Removal,
): Promise<Removed> {
  const keys = trainings.map(({ key }) => key);
  const meeting = condition && (await lockMeeting(client, { layout, scope }, keys, condition));
  const admittedKeys: string[] = [];
  const chunks = new Map<string, number>();
  for (const { key, revision, metadata = scope[0] ?? "{}" } of inKeyOrder(trainings)) {
    if (meeting && !meeting.has(key)) continue;
    const values = [key, ticket, revision, metadata, scope];
    const rows = await query<{ removed: string | null }>(client, "fence-deletes", removeTraining(layout), values);
    for (const { removed } of rows) {
      if (removed === null) throw profileRetired();
      admittedKeys.push(key);
      const count = removed.slice(0, removed.indexOf(":"));
      if (count !== "") chunks.set(key, Number(count));
    }
  }
  return { admittedKeys, chunks };
}

/** Locks the trainings that meet a condition, in the order of their ids. Citus locks rows of one shard in a statement, so of one training. */
async function lockMeeting(
  client: Queryable,
  { layout, scope }: Pick<WriteTarget, "layout" | "scope">,
  keys: readonly string[],
  condition: Condition,
): Promise<Set<string>> {
  const text = `${sql.findTrainings(layout, condition)} FOR NO KEY UPDATE`;
  const meeting = new Set<string>();
  for (const ids of layout.citus === "tables"
    ? inKeyOrder(keys.map((key) => ({ key }))).map(({ key }) => [key])
    : [keys]) {
    const found = await query<{ key: string }>(client, "find-superseded", text, [scope, ids, ...condition.values]);
    for (const { key } of found) meeting.add(key);
  }
  return meeting;
}

/**
 * Removes tombstones that are older than this, in milliseconds.
 *
 * @returns how many; `null` if another profile is active, and then none
 */
export async function prune(
  database: Queryable,
  { layout, scope }: WriteTarget,
  olderThanMs: number,
): Promise<number | null> {
  const values = [olderThanMs, scope];
  if (layout.citus === "tables") {
    return (await query(database, "prune-tombstones", sql.deleteTombstones(layout), values)).length;
  }
  const text = sql.pruneTombstones(layout);
  const [row] = await query<{ pruned: string | null }>(database, "prune-tombstones", text, values);
  return row?.pruned == null ? null : Number(row.pruned);
}

/** Deletes what deleted trainings, or ids without a training, still have of chunks. */
export async function removeLeftovers(
  database: Queryable,
  { layout, scope }: WriteTarget,
  keys: readonly string[],
): Promise<void> {
  if (layout.citus === "tables") {
    for (const key of keys) await query(database, "delete-leftovers", cleanTraining(layout), [key, scope]);
    return;
  }
  await query(database, "delete-leftovers", sql.deleteLeftovers(layout), [keys, scope]);
}
