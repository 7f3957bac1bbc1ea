/**
 * The claim of a schema: which model made its vectors. The first write claims the schema for the model of its index,
 * and every write checks the claim in its own statement (`claimedProfile`). A schema without chunks can be claimed for
 * another model.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { SchemaError } from "../errors.js";
import type { Notice, Notify } from "../calls/notices.js";
import { requireActiveProfile } from "../schema/catalog.js";
import { query, type DatabasePool, type Queryable } from "../postgres/database.js";
import { namesOf, type Layout } from "../schema/layout.js";
import { write } from "./write-transaction.js";

/** Vectors can be compared if all of these are equal: model, query prefix, document prefix, dimensions. */
export type Claim = readonly [model: string, queryPrefix: string, documentPrefix: string, dimensions: string];

/** The schema to claim, and the claim. */
export interface ClaimTarget {
  layout: Layout;
  claim: Claim;
}

/** How often a claim is tried while the profile is locked, and the pause between two attempts. */
const MAX_ATTEMPTS = 10;
const PAUSE_MS = 20;

const CLAIM_IN_TRANSACTION: Notice = {
  code: "LATE_CLAIM",
  message:
    "The pool has no spare client, or others keep the record of the model locked, so the host's transaction records the model: " +
    "until it ends, all other writers of the schema wait",
};

/** Internal: the schema is not claimed for the model of a write. Nothing has been stored. */
export class MissingClaim extends Error {}

/** The claim of an index with this model. */
export function claimOf(profile: {
  model: string;
  queryPrefix: string;
  documentPrefix: string;
  dimensions: number;
}): Claim {
  return [profile.model, profile.queryPrefix, profile.documentPrefix, profile.dimensions.toString()];
}

/**
 * The ids that a write statement admitted.
 *
 * @param rows - the statement's rows; one without an id means that the schema is not claimed for the model
 * @throws {@link MissingClaim}
 */
export function requireClaim(rows: readonly { key: string | null }[]): string[] {
  return rows.map(({ key }) => {
    if (key === null) throw new MissingClaim();
    return key;
  });
}

/**
 * Claims the schema for a model. The schema must be unclaimed or without chunks. If the pool has a spare client, the
 * claim commits in its own transaction: in the host's transaction it would block all other writers until that ends. If
 * others keep the profile locked, the claim falls back to the host's transaction, where Postgres can detect a deadlock.
 *
 * @param client - a client in the host's transaction, if the host gave one
 * @throws {@link SchemaError} `PROFILE_MISMATCH` if the schema holds vectors of another model
 */
export async function claimSchema(
  pool: DatabasePool & { host: DatabasePool },
  client: Queryable | undefined,
  target: ClaimTarget,
  notify: Notify,
): Promise<void> {
  if (client && hasSpareClient(pool.host)) {
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
      if (await write(pool, undefined, notify, (database) => claimUnlocked(database, target))) return;
      await sleep(PAUSE_MS);
    }
  }
  await write(pool, client, notify, async (database) => {
    // Of many writers that find a new schema at the same time, most see it claimed here and need no lock.
    if (await isClaimed(database, target)) return;
    if (client) notify(CLAIM_IN_TRANSACTION);
    await claimLocked(database, target);
  });
}

/**
 * Like {@link claimSchema}, but gives up if the profile is locked. The host's own transaction may hold the lock:
 * waiting for it on a second client would never end, and Postgres cannot detect such a deadlock.
 *
 * @returns whether the schema is now claimed
 */
async function claimUnlocked(database: Queryable, target: ClaimTarget): Promise<boolean> {
  if (await isClaimed(database, target)) return true;
  const { profile } = namesOf(target.layout);
  if (target.layout.citus === "tables") {
    await claimOnce(database, target);
    return true;
  }
  const [free] = await query(
    database,
    "claim-model",
    `SELECT FROM ${profile} WHERE id = ${target.layout.profileId} FOR UPDATE SKIP LOCKED`,
  );
  if (free) await claimLocked(database, target);
  return free !== undefined;
}

async function isClaimed(database: Queryable, { layout, claim }: ClaimTarget): Promise<boolean> {
  const { id, dimensions, recorded } = await requireActiveProfile(database, layout.schema);
  if (recorded === undefined || id !== layout.profileId) return false;
  return claimOf({ ...recorded, dimensions }).every((part, index) => part === claim[index]);
}

/** Whether a `pg.Pool` can hand out a client without waiting for one to be released. */
function hasSpareClient(pool: DatabasePool): boolean {
  const { idleCount, totalCount, waitingCount, options } = pool as Partial<
    Record<"idleCount" | "totalCount" | "waitingCount", number>
  > & { options?: { max?: number } };
  return waitingCount === 0 && ((idleCount ?? 0) > 0 || (totalCount ?? 0) < (options?.max ?? 0));
}

/**
 * Like {@link claimSchema}, in the transaction that `client` is in. No one else can claim the schema until it ends: if
 * several models write into an empty schema at the same time, one of them succeeds.
 */
export async function claimLocked(client: Queryable, target: ClaimTarget): Promise<void> {
  const { layout, claim } = target;
  const { profile } = namesOf(layout);
  if (layout.citus === "tables") return claimOnce(client, target);
  // Writes lock this row until they commit: from here on no write is in progress, and all stored chunks are visible.
  await query(client, "claim-model", `SELECT FROM ${profile} WHERE id = ${layout.profileId} FOR UPDATE`);
  if (await isClaimed(client, target)) return; // claimed by another call while this one waited for the lock
  const { id, dimensions, recorded } = await requireActiveProfile(client, layout.schema);
  const [model, queryPrefix, documentPrefix, ownDimensions] = claim;
  const isFree = recorded === undefined || !(await mayHoldChunks(client, layout));
  if (id !== layout.profileId || dimensions.toString() !== ownDimensions || !isFree) {
    throw mismatch(
      target,
      { model: recorded?.model, dimensions },
      "open the index again with the recorded model, or migrate a new schema for this one",
    );
  }
  await query(
    client,
    "claim-model",
    `UPDATE ${profile} SET model = $1, query_prefix = $2, document_prefix = $3 WHERE id = ${layout.profileId}`,
    [model, queryPrefix, documentPrefix],
  );
}

/**
 * Claims a schema whose trainings are spread over a cluster. That is done once: so writes on all nodes can rely on a claim that they read without a lock.
 *
 * @throws {@link SchemaError} `PROFILE_MISMATCH` if the schema is claimed for another model, also if it is empty
 */
async function claimOnce(client: Queryable, target: ClaimTarget): Promise<void> {
  const { layout, claim } = target;
  const { profile } = namesOf(layout);
  const [model, queryPrefix, documentPrefix, dimensions] = claim;
  await query(
    client,
    "claim-model",
    `UPDATE ${profile} SET model = $1, query_prefix = $2, document_prefix = $3
    WHERE id = ${layout.profileId} AND model IS NULL AND dimensions = $4::integer`,
    [model, queryPrefix, documentPrefix, dimensions],
  );
  if (await isClaimed(client, target)) return;
  const found = await requireActiveProfile(client, layout.schema);
  throw mismatch(
    target,
    { model: found.recorded?.model, dimensions: found.dimensions },
    "a schema whose trainings are spread over a cluster keeps its first model, also when it is empty. Migrate a new schema for this one",
  );
}

function mismatch(
  { layout, claim: [model, , , dimensions] }: ClaimTarget,
  recorded: { model: string | undefined; dimensions: number },
  remedy: string,
): SchemaError {
  return new SchemaError(
    "PROFILE_MISMATCH",
    `Schema ${JSON.stringify(layout.schema)} now belongs to another embedding model: ` +
      `${JSON.stringify(recorded.model ?? null)} with ${recorded.dimensions} dimensions is recorded, this index uses ` +
      `${JSON.stringify(model)} with ${dimensions}, or other prefixes. Vectors of two models cannot be compared, so ` +
      `nothing was stored: ${remedy}`,
  );
}

/**
 * Whether the schema may hold chunks of its recorded model. At REPEATABLE READ the answer is always yes: the snapshot hides chunks that
 * others have stored since the transaction began.
 */
export async function mayHoldChunks(database: Queryable, layout: Layout): Promise<boolean> {
  if (layout.citus === "tables") return true; // its claim stays, see `claimOnce`
  const rows = await query(
    database,
    "find-any-chunk",
    `SELECT WHERE EXISTS (SELECT 1 FROM ${namesOf(layout).chunk})
      OR pg_catalog.current_setting('transaction_isolation') IN ('repeatable read', 'serializable')`,
  );
  return rows.length > 0;
}
