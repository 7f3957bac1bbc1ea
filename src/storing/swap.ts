import type { Notify } from "../calls/notices.js";
import type { SupersededReason, UpsertStatus } from "../types.js";
import { groupBy, type PlannedTraining, type StoredChunk, type Vectors } from "./chunk-difference.js";
import { query, type Queryable } from "../postgres/database.js";
import { lockTrainings } from "./fence-sql.js";
import type { Layout } from "../schema/layout.js";
import { requireClaim } from "./profile-claim.js";
import type { NamedStatements } from "../postgres/named-statements.js";
import { isLarge, type KnownSchema } from "../schema/known-schema.js";
import { compareVersions, insertStatement, swapStatement, type Version } from "./swap-statement.js";
import * as sql from "./write-sql.js";
import type { WriteTarget } from "./write-target.js";
import { throwUnlessRetried } from "./write-transaction.js";

/** A training whose stored version is the same as the given one. */
export interface UnchangedTraining {
  key: string;
  ticket: string;
  revision: string | null;
  /** The ticket of the call that stored the version. */
  unchangedSince: string;
}

/** What a swap did to one training. */
export interface SwapOutcome {
  status: UpsertStatus;
  removed: number;
  /** Why it is superseded. */
  reason?: SupersededReason | undefined;
}

/** What a swap that is one statement goes through. */
export interface SwapConnection {
  statements: NamedStatements;
  knownSchema: Pick<KnownSchema, "recent" | "grow" | "follow">;
  /** Tells the host of another attempt. */
  notify: Notify;
}

/**
 * Runs a statement of the write path whose plan is worth keeping. It is kept once the chunk table is large: a plan that was
 * made while the table was small would go on scanning all of it.
 *
 * @param database - the pool within the limits of a call, or a client, which keeps no plan
 */
export async function queryWithKeptPlan<Row>(
  { statements, knownSchema }: SwapConnection,
  database: Queryable,
  text: string,
  values: unknown[],
): Promise<Row[]> {
  const own = statements.on(database);
  return own.query<Row>(text, values, { keepsPlan: own.areKept && isLarge(await knownSchema.recent()) });
}

/** Of a call that is superseded. */
export function supersededBy(reason: SupersededReason): SwapOutcome {
  return { status: "superseded", removed: 0, reason };
}

/**
 * Puts new versions in the place of those that the preparation saw, by one statement that is a transaction of its own.
 * Each id at most once.
 *
 * @returns one outcome for each training, in order; `undefined` for those that {@link swap} has to do, of which nothing has
 *   changed: another version stands or was not looked at, this one is too large for a statement, or Postgres wants another
 *   attempt
 */
export async function trySingleStatementSwap(
  { statements, knownSchema, notify }: SwapConnection,
  target: WriteTarget,
  trainings: readonly PlannedTraining[],
  vectors: Vectors,
): Promise<(SwapOutcome | undefined)[]> {
  const later = trainings.map(() => undefined);
  const seen = trainings.flatMap(({ key, stored }) => (stored === undefined ? [] : { key, stored }));
  if (seen.length < trainings.length) return later;
  const replaced = new Map(seen.map(({ key, stored }) => [key, stored?.contentTicket ?? null]));
  const version = compareVersions(
    trainings,
    seen.flatMap(({ stored }) => stored?.chunks ?? []),
    vectors,
  );
  if (version.further.length > 0) return later;
  const { text, values, replaces } = swapStatement(target, trainings, replaced, version, vectors);
  // A plan from when there were few chunks finds those that are replaced by looking at all.
  const keepsPlan = !replaces || isLarge(await knownSchema.recent());
  try {
    const passed = await statements.query<{ key: string | null }>(text, values, { keepsPlan });
    const outcomes = outcomesOf(requireClaim(passed), version);
    return trainings.map(({ key }) => outcomes.get(key));
  } catch (error) {
    throwUnlessRetried(error, notify);
    return later;
  }
}

/**
 * Puts new versions in the place of the stored ones, all in the transaction that `client` is in. A reader sees
 * each training whole, before or after. Each id at most once.
 *
 * @returns one outcome for each training, in order
 * @throws {@link StalePreparation} before anything that could not be rolled back
 */
export async function swap(
  client: Queryable,
  target: WriteTarget,
  trainings: readonly PlannedTraining[],
  vectors: Vectors,
): Promise<SwapOutcome[]> {
  const outcomes = new Map<string, SwapOutcome>();
  // What was not there to be locked can have been made meanwhile: then it is there for the next look.
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
    const { text, values } = swapStatement(target, changed, replaced, version, vectors);
    const passed = await query<{ key: string | null }>(client, text, values);
    const done = outcomesOf(requireClaim(passed), version);
    for (const rows of version.further) {
      const passedRows = rows.filter(({ key }) => done.has(key));
      const insert = insertStatement(target, passedRows, version, vectors);
      await query(client, insert.text, insert.values);
    }
    for (const [key, outcome] of done) outcomes.set(key, outcome);
  }
  return trainings.map(({ key }) => outcomes.get(key) ?? supersededBy("newer"));
}

/** Of those that came through the fence, by key. */
function outcomesOf(passedKeys: readonly string[], { difference }: Version): Map<string, SwapOutcome> {
  const removed = groupBy(difference.removed, ({ key }) => key);
  return new Map(
    passedKeys.map((key) => [key, { status: "indexed", removed: removed.get(key)?.length ?? 0 }]),
  );
}

/**
 * Lets a newer call stand for versions that are stored already, without touching their chunks.
 *
 * @returns the keys of those that still stand so; another call has changed the others, or has overtaken this one
 */
export async function touch(
  connection: SwapConnection,
  database: Queryable,
  { layout, scope, claim }: WriteTarget,
  trainings: readonly UnchangedTraining[],
): Promise<Set<string>> {
  const values = [
    trainings.map(({ key }) => key),
    trainings.map(({ ticket }) => ticket),
    trainings.map(({ revision }) => revision),
    trainings.map(({ unchangedSince }) => unchangedSince),
    scope,
    claim,
  ];
  const touched = await queryWithKeptPlan<{ key: string | null }>(
    connection,
    database,
    sql.touchTrainings(layout),
    values,
  );
  return new Set(requireClaim(touched));
}

/** What stands of a training while its row is locked. */
interface LockedTraining {
  key: string;
  content_ticket: string | null;
  superseded_by: SupersededReason | null;
}

/** Locks the rows that are there, by key. */
async function lock(
  client: Queryable,
  { layout, scope, claim }: WriteTarget,
  trainings: readonly PlannedTraining[],
): Promise<Map<string, LockedTraining>> {
  const rows = await query<LockedTraining>(client, lockTrainings(layout), [
    trainings.map(({ key }) => key),
    trainings.map(({ ticket }) => ticket),
    trainings.map(({ revision }) => revision),
    scope,
    claim,
  ]);
  return new Map(rows.map((row) => [row.key, row]));
}

/**
 * What the preparation read is what stands, if it is of the version that is replaced; else it is read again, now under
 * the lock.
 */
async function readLockedChunks(
  client: Queryable,
  { layout }: WriteTarget,
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
  // Not `push(...chunks)`: a call takes some 100,000 arguments, and a training can have more chunks.
  return [...known, await readChunks(client, layout, unknown)].flat();
}

/** The chunks of trainings by their keys, ordered within each. */
async function readChunks(
  database: Queryable,
  layout: Layout,
  keys: readonly string[],
): Promise<StoredChunk[]> {
  return keys.length === 0 ? [] : query<StoredChunk>(database, sql.readChunks(layout), [keys]);
}
