import { checkInteger } from "../calls/checks.js";
import { checkPool, type DatabasePool } from "../calls/host-database.js";
import type { Notify } from "../calls/notices.js";
import { InvalidArgumentError } from "../errors.js";
import { boundedPool, type BoundedPool } from "../postgres/bounded-database.js";
import { NamedStatements } from "../postgres/named-statements.js";
import type { Layout } from "../schema/layout.js";
import type { KnownSchema } from "../schema/known-schema.js";
import { Standby } from "../standby/standby.js";
import { StandbyCheck } from "../standby/standby-check.js";
import type { TrainingIndexOptions } from "./index-options.js";

const DEFAULT_LAG_MS = 10_000;
const LAG_RANGE_MS = [100, 2 ** 31 - 1] as const;

/** The checked options about standbys. */
export interface CheckedReaders {
  readPool: DatabasePool | undefined;
  maxLagMs: number;
  tokens: boolean;
}

/** @throws {@link InvalidArgumentError} */
export function checkReaders(
  { readPool: given, maxLagMs, tokens }: Pick<TrainingIndexOptions, "readPool" | "maxLagMs" | "tokens">,
  pool: DatabasePool,
): CheckedReaders {
  const readPool = given === undefined ? undefined : checkPool(given, "readPool");
  if (readPool === pool) throw new InvalidArgumentError("readPool", "must be another pool than pool: leave it out");
  if (maxLagMs !== undefined && !readPool) throw new InvalidArgumentError("maxLagMs", "needs a readPool");
  if (tokens !== undefined && typeof tokens !== "boolean") {
    throw new InvalidArgumentError("tokens", "must be true or false");
  }
  const isBounded = maxLagMs !== undefined && maxLagMs !== Infinity;
  return {
    readPool,
    maxLagMs: isBounded ? checkInteger("maxLagMs", maxLagMs, ...LAG_RANGE_MS) : (maxLagMs ?? DEFAULT_LAG_MS),
    tokens: tokens ?? readPool !== undefined,
  };
}

/** @throws {@link InvalidArgumentError} for a standby of the coordinator of a cluster, which does not have the trainings */
export function refuseStandby({ readPool }: Pick<CheckedReaders, "readPool">, { citus }: Pick<Layout, "citus">): void {
  if (!readPool || citus !== "tables") return;
  throw new InvalidArgumentError(
    "readPool",
    "cannot be used with trainings that are spread over a Citus cluster, since a standby of the coordinator does not have them: leave it out",
  );
}

/**
 * The standby of an index; `undefined` without a `readPool`.
 *
 * @param know - makes what is known of the schema on a server
 * @throws as `StandbyCheck.open`
 */
export async function openStandby(
  { readPool, maxLagMs }: CheckedReaders,
  { primary, know, notify }: { primary: NamedStatements; know: (database: BoundedPool) => KnownSchema; notify: Notify },
): Promise<Standby | undefined> {
  if (!readPool) return undefined;
  const pool = boundedPool(readPool, {}, notify);
  const statements = new NamedStatements(pool, notify);
  const check = new StandbyCheck({ primary, standby: statements, maxLagMs, notify });
  await check.open();
  return new Standby({ pool, statements, knownSchema: know(pool), check, notify });
}
