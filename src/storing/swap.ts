import type { Notify } from "../calls/notices.js";
import type { SupersededReason, UpsertStatus } from "../types.js";
import { groupBy, type PlannedTraining, type StoredChunk, type Vectors } from "./chunk-difference.js";
import { query, type Queryable } from "../postgres/database.js";
import { inKeyOrder, lockTraining, touchTraining } from "./distributed-writes.js";
import { lockTrainings } from "./fence-sql.js";
import type { Layout } from "../schema/layout.js";
import { requireClaim } from "./profile-claim.js";
import type { NamedStatements } from "../postgres/named-statements.js";
import type { StatementName } from "../postgres/statement-names.js";
import { isLarge, type KnownSchema } from "../schema/known-schema.js";
import { compareVersions, insertStatement, swapStatement, type Version } from "./swap-statement.js";
import * as sql from "./write-sql.js";
import type { ClaimedTarget } from "./write-target.js";
import { throwUnlessRetryable } from "./write-transaction.js";

/** A training whose stored version equals the given one. */
export interface UnchangedTraining {
  key: string;
  ticket: string;
  revision: string | null;
  /** The ticket of the call that stored the version. */
  unchangedSince: string;
}

/** The outcome of a swap for one training. */
export interface SwapOutcome {
  status: UpsertStatus;
  removed: number;
  /** Set if the status is `superseded`. */
  reason?: SupersededReason | undefined;
}

/** Dependencies of writes that are a single statement. */
export interface SwapConnection {
  statements: NamedStatements;
  knownSchema: Pick<KnownSchema, "latest" | "grow" | "follow">;
  /** Reports a retry to the host. */
  notify: Notify;
}

/**
 * Runs a statement of the write path, and keeps its plan once the chunk table is large. A plan made while the table was
 * small would keep scanning the whole table.
 *
 * @param database - the pool within the limits of a call, or a client, for which no plan is kept
 */
export async function queryWithKeptPlan<Row>(
  { statements, knownSchema }: SwapConnection,
  database: Queryable,
  name: StatementName,
  text: string,
  values: unknown[],
): Promise<Row[]> {
  const bound = statements.on(database);
  return bound.query<Row>(name, text, values, { keepsPlan: bound.areKept && isLarge(knownSchema.latest) });
}

/** The outcome of a superseded call. */
export function supersededBy(reason: SupersededReason): SwapOutcome {
  return { status: "superseded", removed: 0, reason };
}

/**
 * Replaces the versions that the preparation saw, in a single statement that is its own transaction. The ids must be
 * distinct.
 *
 * @returns one outcome per training, in order; `undefined` for a training that is unchanged and left to {@link swap}:
 *   its stored version is another one or was not read, the new version is too large for one statement, or Postgres
 *   asked for a retry
 */
export async function trySingleStatementSwap(
  connection: SwapConnection,
  target: ClaimedTarget,
  trainings: readonly PlannedTraining[],
  vectors: Vectors,
): Promise<(SwapOutcome | undefined)[]> {
  const { statements, knownSchema, notify } = connection;
  const { citus } = target.layout;
  if (citus && trainings.length > 1) {
    return oneByOne(trainings, (training) => trySingleStatementSwap(connection, target, [training], vectors));
  }
  const undone = trainings.map(() => undefined);
  const examined = trainings.flatMap(({ key, stored }) => (stored === undefined ? [] : { key, stored }));
  if (examined.length < trainings.length) return undone;
  const replaced = new Map(examined.map(({ key, stored }) => [key, stored?.contentTicket ?? null]));
  const version = compareVersions(
    trainings,
    examined.flatMap(({ stored }) => stored?.chunks ?? []),
    vectors,
  );
  if (version.further.length > 0) return undone;
  const { text, values, replaces } = swapStatement(target, trainings, replaced, version, vectors);
  // A plan made for a small table would find the replaced chunks by a full scan.
  const keepsPlan = !citus && (!replaces || isLarge(knownSchema.latest));
  try {
    const rows = await statements.query<{ key: string | null }>("swap", text, values, { keepsPlan });
    const outcomes = outcomesOf(requireClaim(rows), version);
    return trainings.map(({ key }) => outcomes.get(key));
  } catch (error) {
    throwUnlessRetryable(error, notify);
    return undone;
  }
}

/**
 * Until the transaction ends, Postgres plans statements without their values. A plan for values begins with copies of all of them: with
 * vectors of 1 to 4 MB it took up to twice as long as the insert itself. Not on a Citus cluster, which cannot plan every statement without them.
 */
const PLANS_WITHOUT_VALUES = "SET LOCAL plan_cache_mode = force_generic_plan";

/**
 * Replaces the stored versions by new ones, all in the transaction that `client` is in. A reader sees either the old or
 * the new version of each training, complete. The ids must be distinct.
 *
 * @param isOwnTransaction - whether the transaction is not the host's, and may have other settings
 * @returns one outcome per training, in order
 * @throws {@link StalePreparation} after which the transaction must be rolled back
 */
export async function swap(
  client: Queryable,
  target: ClaimedTarget,
  trainings: readonly PlannedTraining[],
  vectors: Vectors,
  { isOwnTransaction }: { isOwnTransaction: boolean },
): Promise<SwapOutcome[]> {
  if (target.layout.citus && trainings.length > 1) {
    return oneByOne(trainings, (training) => swap(client, target, [training], vectors, { isOwnTransaction }));
  }
  const outcomes = new Map<string, SwapOutcome>();
  // A row that did not exist, and so could not be locked, may have been inserted meanwhile: the next round locks it.
  for (let left = trainings; left.length > 0; left = left.filter(({ key }) => !outcomes.has(key))) {
    const locked = await lock(client, target, left);
    const replaced = new Map(left.map(({ key }) => [key, locked.get(key)?.content_ticket ?? null]));
    for (const { key, superseded_by } of locked.values()) {
      if (superseded_by !== null) outcomes.set(key, supersededBy(superseded_by));
    }
    const changed = left.filter(({ key }) => !outcomes.has(key));
    if (changed.length === 0) break;
    const stored = await readLockedChunks(client, target, changed, replaced);
    const version = compareVersions(changed, stored, vectors);
    const writesMuch = version.further.length > 0;
    if (isOwnTransaction && writesMuch && !target.layout.citus) {
      await query(client, "set-parameters", PLANS_WITHOUT_VALUES);
    }
    const { text, values } = swapStatement(target, changed, replaced, version, vectors);
    const rows = await query<{ key: string | null }>(client, "swap", text, values);
    const done = outcomesOf(requireClaim(rows), version);
    for (const batch of version.further) {
      const admittedRows = batch.filter(({ key }) => done.has(key));
      const insert = insertStatement(target, admittedRows, version, vectors);
      await query(client, "insert-chunks", insert.text, insert.values);
    }
    for (const [key, outcome] of done) outcomes.set(key, outcome);
  }
  return trainings.map(({ key }) => outcomes.get(key) ?? supersededBy("newer"));
}

/** On a Citus cluster each statement writes one training. In the order of their locks, though the outcomes are in the order given. */
async function oneByOne<Item extends { key: string }, Outcome>(
  items: readonly Item[],
  work: (item: Item) => Promise<Outcome[]>,
): Promise<Outcome[]> {
  const outcomes: Outcome[][] = items.map(() => []);
  const places = inKeyOrder(items.map(({ key }, place) => ({ key, place })));
  for (const { place } of places) {
    const item = items[place];
    if (item) outcomes[place] = await work(item);
  }
  return outcomes.flat();
}

/** The outcomes of admitted trainings, by key. */
function outcomesOf(admittedKeys: readonly string[], { difference }: Version): Map<string, SwapOutcome> {
  const removed = groupBy(difference.removed, ({ key }) => key);
  return new Map(admittedKeys.map((key) => [key, { status: "indexed", removed: removed.get(key)?.length ?? 0 }]));
}

/**
 * Records the newer ticket and revision of a call on versions that are already stored, without touching their chunks.
 *
 * @returns the keys of the trainings still unchanged; another call has changed the others, or has superseded this one
 */
export async function touch(
  connection: SwapConnection,
  database: Queryable,
  { layout, scope, claim }: ClaimedTarget,
  trainings: readonly UnchangedTraining[],
): Promise<Set<string>> {
  if (layout.citus) {
    const text = touchTraining(layout);
    const touched = await oneByOne(trainings, ({ key, ticket, revision, unchangedSince }) =>
      query<{ key: string | null }>(database, "touch", text, [key, ticket, revision, unchangedSince, scope, claim]),
    );
    return new Set(requireClaim(touched));
  }
  const values = [
    trainings.map(({ key }) => key),
    trainings.map(({ ticket }) => ticket),
    trainings.map(({ revision }) => revision),
    trainings.map(({ unchangedSince }) => unchangedSince),
    scope,
    claim,
  ];
  const text = sql.touchTrainings(layout);
  const touched = await queryWithKeptPlan<{ key: string | null }>(connection, database, "touch", text, values);
  return new Set(requireClaim(touched));
}

/** The state of a training whose row is locked. */
interface LockedTraining {
  key: string;
  content_ticket: string | null;
  superseded_by: SupersededReason | null;
}

/** Locks the rows that exist. Returns them by key. */
async function lock(
  client: Queryable,
  target: ClaimedTarget,
  trainings: readonly PlannedTraining[],
): Promise<Map<string, LockedTraining>> {
  const { layout, scope, claim } = target;
  if (layout.citus) {
    const locked = await oneByOne(trainings, (training) => lockTraining<LockedTraining>(client, target, training));
    return new Map(locked.map((row) => [row.key, row]));
  }
  const rows = await query<LockedTraining>(client, "lock-trainings", lockTrainings(layout), [
    trainings.map(({ key }) => key),
    trainings.map(({ ticket }) => ticket),
    trainings.map(({ revision }) => revision),
    scope,
    claim,
  ]);
  return new Map(rows.map((row) => [row.key, row]));
}

/**
 * The chunks to replace. Those that the preparation read are reused if they are still of the stored version; the others
 * are read again, now under the lock.
 */
async function readLockedChunks(
  client: Queryable,
  { layout }: ClaimedTarget,
  trainings: readonly PlannedTraining[],
  replacedTickets: ReadonlyMap<string, string | null>,
): Promise<StoredChunk[]> {
  const known: (readonly StoredChunk[])[] = [];
  const unknown: string[] = [];
  for (const { key, stored } of trainings) {
    const replaced = replacedTickets.get(key) ?? null;
    if (replaced !== null && replaced === stored?.contentTicket) known.push(stored.chunks);
    else if (replaced !== null) unknown.push(key);
  }
  // Not `push(...chunks)`: a call takes about 100,000 arguments at most, and a training can have more chunks.
  return [...known, await readChunks(client, layout, unknown)].flat();
}

/** The stored chunks of the trainings with these keys. */
async function readChunks(database: Queryable, layout: Layout, keys: readonly string[]): Promise<StoredChunk[]> {
  return keys.length === 0 ? [] : query<StoredChunk>(database, "read-stored-chunks", sql.readChunks(layout), [keys]);
}
