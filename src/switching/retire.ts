import { checkCall } from "../calls/call-options.js";
import { namesOfProperties } from "../calls/checks.js";
import { withTimeLimit } from "../calls/time-limit.js";
import { query } from "../postgres/database.js";
import type { KnownSchema } from "../schema/known-schema.js";
import type { Layout } from "../schema/layout.js";
import { readProfiles } from "../schema/profiles.js";
import { withShortLocks, type LockParts } from "./short-locks.js";
import { dropProfile } from "./switch-sql.js";
import type { SwitchedModel } from "./switch-types.js";

/** Options of `retireModel`. */
export interface RetireOptions {
  signal?: AbortSignal | undefined;
  timeoutMs?: number | undefined;
}

const RETIRE_OPTIONS = namesOfProperties<RetireOptions>({ signal: true, timeoutMs: true });

/**
 * Drops the tables of the model that is not in use.
 *
 * @returns the model; `undefined` if there is none
 */
export async function retire(
  parts: Omit<LockParts, "signal"> & { knownSchema: KnownSchema },
  options: RetireOptions,
): Promise<SwitchedModel | undefined> {
  checkCall(options, RETIRE_OPTIONS, "retireModel");
  return withTimeLimit(options, async (signal) => {
    const { layout } = await parts.knownSchema.look(undefined, signal);
    const dropped = await withShortLocks({ ...parts, signal }, "dropping the other model", async (client) => {
      const profiles = await readProfiles(client, layout.schema);
      const active = profiles.find(({ state }) => state === "active");
      const other = profiles.find(({ state }) => state !== "active");
      if (!active || !other) return undefined;
      const layoutOf = ({ id }: { id: number }): Layout => ({ ...layout, profileId: id });
      for (const statement of dropProfile(layoutOf(active), layoutOf(other))) {
        await query(client, "switch-model", statement);
      }
      return { name: other.recorded?.model ?? "", dimensions: other.dimensions };
    });
    parts.knownSchema.forget();
    return dropped;
  });
}
