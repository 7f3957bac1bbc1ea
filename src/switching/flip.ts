import { setTimeout as sleep } from "node:timers/promises";
import { DatabaseError, throwIfAborted } from "../errors.js";
import { query, type Queryable } from "../postgres/database.js";
import { namesOf } from "../schema/layout.js";
import { readProfiles } from "../schema/profiles.js";
import type { SwitchTarget } from "./begin.js";
import type { Builder } from "./builder.js";
import { withShortLocks, type LockParts } from "./short-locks.js";
import * as sql from "./switch-sql.js";

/** How often it is tried while writes leave something behind. */
const MAX_ATTEMPTS = 100;
/** From this attempt on a few trainings are built while writes wait. */
const LAST_RESORT = 3;
const MOST_WITHIN = 20;
/** How long writes wait at most for trainings that are built meanwhile, in milliseconds. */
const MAX_HELD_MS = 500;
const PAUSE_MS = 100;

/** Internal: trainings are behind, so the transaction is rolled back. */
class Behind extends Error {}

/** What a flip took. */
export interface FlipMeasure {
  /** How long writes had to wait at most: for the lock, and while it was held. */
  longestMs: number;
  attempts: number;
}

/**
 * Makes the new profile the active one, at a moment at which it has every training. Writes wait for it, at most about a second; searches do
 * not wait.
 *
 * @throws {@link DatabaseError} `CONFLICT` if writes never leave a moment, or an open transaction of the host does not end; the profile in
 * use is unchanged
 */
export async function flip(
  parts: LockParts,
  target: SwitchTarget,
  { builder, model }: { builder: Builder; model: string },
): Promise<FlipMeasure> {
  const { signal } = parts;
  const measure: FlipMeasure = { longestMs: 0, attempts: 0 };
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
    await builder.catchUp(signal);
    await builder.buildRest(signal);
    try {
      await withShortLocks(parts, "the switch to the new model", async (client) => {
        measure.attempts += 1;
        const began = performance.now();
        try {
          await flipLocked(client, target, { builder, model, isLastResort: attempt >= LAST_RESORT });
        } finally {
          measure.longestMs = Math.max(measure.longestMs, performance.now() - began);
        }
      });
      return measure;
    } catch (error) {
      // The connection may have been lost while Postgres was committing.
      if (!(error instanceof Behind)) {
        if (await isFlipped(parts, target)) return measure;
        throw error;
      }
    }
    throwIfAborted(signal);
    if (attempt > LAST_RESORT) await sleep(PAUSE_MS);
  }
  throw new DatabaseError(
    "Trainings are written faster than the new model embeds them, so the index was not switched and nothing has changed: write less for a " +
      "while, or use a faster embedder, and call switchModel again",
    { code: "CONFLICT", retryable: true },
  );
}

async function flipLocked(
  client: Queryable,
  { active, building }: SwitchTarget,
  { builder, model, isLastResort }: { builder: Builder; model: string; isLastResort: boolean },
): Promise<void> {
  const names = namesOf(active);
  await query(client, "switch-model", sql.lockProfiles(names));
  const limit = isLastResort ? MOST_WITHIN : 0;
  const end = AbortSignal.timeout(MAX_HELD_MS);
  const isComplete = await builder.buildWithin(client, limit, end).catch((error: unknown) => {
    if (end.aborted) return false;
    throw error;
  });
  if (!isComplete) throw new Behind();
  const retired = await query(client, "switch-model", sql.retireProfile(names), [active.profileId]);
  const activated = await query(client, "switch-model", sql.activateProfile(names), [building.profileId, model]);
  if (retired.length + activated.length < 2) {
    throw new DatabaseError("Another process has switched the model, or discarded the new one, meanwhile", {
      code: "CONFLICT",
      retryable: true,
    });
  }
}

async function isFlipped({ pool }: LockParts, { active, building }: SwitchTarget): Promise<boolean> {
  const profiles = await readProfiles(pool, active.schema).catch(() => []);
  return profiles.some(({ id, state }) => id === building.profileId && state === "active");
}
