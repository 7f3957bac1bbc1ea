/**
 * Whose vectors a schema holds. The first write claims the schema for the model of its index, and every write checks the
 * claim in its own statement (`claimedProfile`). A schema that holds no chunks may be claimed anew for another model.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { SchemaError } from "../errors.js";
import type { Notify } from "../calls/notices.js";
import { requireActiveProfile } from "../schema/catalog.js";
import { query, type DatabasePool, type Queryable } from "../postgres/database.js";
import { namesOf, type Layout } from "../schema/layout.js";
import { write } from "./write-transaction.js";

/** What decides whether vectors can be compared: model, query prefix, document prefix, dimensions. */
export type Claim = readonly [model: string, queryPrefix: string, documentPrefix: string, dimensions: string];

/** What is claimed, and for whom. */
export interface ClaimTarget {
  layout: Layout;
  claim: Claim;
}

/** How often a claim is tried while the profile is locked, and the pause between two attempts. */
const MAX_ATTEMPTS = 10;
const PAUSE_MS = 20;

/** Thrown inside when a write finds that the schema is not claimed for its model; nothing has been stored. */
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
 * The ids that a statement let through.
 *
 * @param rows - of a statement that says by a row without an id that it found no claim
 * @throws {@link MissingClaim}
 */
export function requireClaim(rows: readonly { key: string | null }[]): string[] {
  return rows.map(({ key }) => {
    if (key === null) throw new MissingClaim();
    return key;
  });
}

/**
 * Claims the schema for a model: one that nobody has claimed, or one that holds no chunks. In a transaction of its own where
 * the pool has a client to spare: a host's transaction would hold up all other writers until it ends. If the profile stays
 * locked by others, it is claimed in the host's transaction after all, where Postgres sees who waits for whom.
 *
 * @param client - in a transaction of the host's, for a pool that has no other
 * @throws {@link SchemaError} `PROFILE_MISMATCH` when it holds vectors of another model
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
    // Of many that find a fresh schema at once, most find it claimed here, and need no lock.
    if (!(await isClaimed(database, target))) await claimLocked(database, target);
  });
}

/**
 * As {@link claimSchema}, unless the profile is locked. It may be the host's own transaction that has locked it: to wait for
 * that on a second client would never end, and Postgres does not detect such a deadlock.
 *
 * @returns whether the schema is claimed now
 */
async function claimUnlocked(database: Queryable, target: ClaimTarget): Promise<boolean> {
  if (await isClaimed(database, target)) return true;
  const { profile } = namesOf(target.layout);
  const [free] = await query(
    database,
    `SELECT FROM ${profile} WHERE id = ${target.layout.profileId} FOR UPDATE SKIP LOCKED`,
  );
  if (free) await claimLocked(database, target);
  return free !== undefined;
}

async function isClaimed(database: Queryable, { layout, claim }: ClaimTarget): Promise<boolean> {
  const { id, dimensions, recorded } = await requireActiveProfile(database, layout.schema);
  if (recorded === undefined || id !== layout.profileId) return false;
  return claimOf({ ...recorded, dimensions }).every((part, place) => part === claim[place]);
}

/** Whether a `pg.Pool` hands out a client at once. */
function hasSpareClient(pool: DatabasePool): boolean {
  const { idleCount, totalCount, waitingCount, options } = pool as Partial<
    Record<"idleCount" | "totalCount" | "waitingCount", number>
  > & { options?: { max?: number } };
  return waitingCount === 0 && ((idleCount ?? 0) > 0 || (totalCount ?? 0) < (options?.max ?? 0));
}

/**
 * As {@link claimSchema}, in the transaction that `client` is in. Nobody else can claim the schema before that has ended: of
 * several models that write into an empty schema at once, one gets on.
 */
export async function claimLocked(client: Queryable, target: ClaimTarget): Promise<void> {
  const { layout, claim } = target;
  const { profile } = namesOf(layout);
  // Writes hold this row until they commit: from here on none is under way, and what they have stored can be seen.
  await query(client, `SELECT FROM ${profile} WHERE id = ${layout.profileId} FOR UPDATE`);
  if (await isClaimed(client, target)) return; // by now
  const { id, dimensions, recorded } = await requireActiveProfile(client, layout.schema);
  const [model, queryPrefix, documentPrefix, ownDimensions] = claim;
  const isFree = recorded === undefined || !(await mayHoldChunks(client, layout));
  if (id !== layout.profileId || dimensions.toString() !== ownDimensions || !isFree) {
    throw new SchemaError(
      "PROFILE_MISMATCH",
      `Schema ${JSON.stringify(layout.schema)} is for another embedding model by now: ` +
        `${JSON.stringify(recorded?.model ?? null)} with ${dimensions} dimensions is recorded, this index has ` +
        `${JSON.stringify(model)} with ${ownDimensions}, or has other prefixes. Such vectors cannot be compared, and ` +
        "nothing was stored: open the index again with the model that is recorded, or migrate a new schema for this one",
    );
  }
  await query(
    client,
    `UPDATE ${profile} SET model = $1, query_prefix = $2, document_prefix = $3 WHERE id = ${layout.profileId}`,
    [model, queryPrefix, documentPrefix],
  );
}

/**
 * Whether the schema holds chunks. At REPEATABLE READ nobody can tell, as others may have stored some since the transaction
 * began: then it may.
 */
export async function mayHoldChunks(database: Queryable, layout: Layout): Promise<boolean> {
  const rows = await query(
    database,
    `SELECT WHERE EXISTS (SELECT FROM ${namesOf(layout).chunk})
      OR pg_catalog.current_setting('transaction_isolation') IN ('repeatable read', 'serializable')`,
  );
  return rows.length > 0;
}
