import { setTimeout as sleep } from "node:timers/promises";
import { DatabaseError } from "../errors.js";
import { readCatalog } from "../schema/catalog.js";
import type { DatabasePool, Queryable } from "../postgres/database.js";
import { boundedPool } from "../postgres/bounded-database.js";
import { withoutTimeouts } from "../postgres/timeouts.js";
import { vectorIndexTypes, type VectorIndexType } from "../schema/vector-index.js";
import { dropVectorIndex } from "../schema/vector-index-sql.js";
import type { VectorIndexPlan } from "./options.js";
import { run } from "./run.js";
import { buildVectorIndex, resetParallelWorkers } from "./vector-index-build.js";
import { claimBuild, recordReplacement, releaseBuild } from "./vector-index-record.js";

/** A change of the type takes four; the rest allows for interference by other processes. */
const MAX_STEPS = 20;
/** How often a process that waits for its turn checks again. */
const POLL_MS = 200;

/**
 * Makes the vector index match its record. Each step starts from the current catalog, so it does not matter where an
 * earlier call was killed or how many run at once. Builds an index that is missing (a host's migration tool may drop
 * indexes that it does not know) or invalid, which Postgres never uses. Drops an index of another type once its
 * successor is valid. Reads and writes continue.
 */
export async function ensureVectorIndex(
  pool: DatabasePool,
  plan: VectorIndexPlan,
): Promise<"kept" | "built" | "building"> {
  const unbounded = <T>(work: (client: Queryable) => Promise<T>): Promise<T> => withoutTimeouts(pool, work);
  const drop = (type: VectorIndexType): Promise<void> =>
    unbounded((client) => run(client, dropVectorIndex(plan.names, plan.names.profileId, type)));
  let outcome: "kept" | "built" = "kept";
  let isOurTurn = false;
  try {
    for (let steps = 0; steps < MAX_STEPS;) {
      const catalog = await readCatalog(pool, plan.schema, plan.names.profileId);
      const { vectorIndex, vectorIndexStates: states, recordedHnsw = plan.hnsw } = catalog;
      const wanted = vectorIndex.next ?? vectorIndex.type;
      const replaced = vectorIndexTypes.find(
        (type) => type !== wanted && (states[type] === "valid" || states[type] === "invalid"),
      );
      if (states[wanted] === "building") return "building";
      if (states[wanted] === "invalid" || states[wanted] === "missing") {
        const hadTurn: boolean = isOurTurn;
        isOurTurn = await unbounded((client) => claimBuild(client, plan, hadTurn));
        if (!isOurTurn) await sleep(POLL_MS);
        if (!hadTurn) continue; // another process may have done this before the claim: read the catalog again
        if (states[wanted] === "invalid") await drop(wanted);
        else {
          const definition = { type: wanted, dimensions: plan.dimensions, ...recordedHnsw, method: plan.method };
          const built = await buildVectorIndex(pool, plan, catalog, definition);
          if (built === "locked") {
            const message = `Table ${plan.names.chunk} is locked, so the build of its vector index is tried again`;
            boundedPool(pool).notify({ code: "RETRY", message });
            continue;
          }
          if (built === "built") outcome = "built";
        }
      } else if (vectorIndex.next) {
        await unbounded((client) => recordReplacement(client, plan, wanted));
      } else if (replaced) {
        await drop(replaced);
      } else {
        if (catalog.parallelWorkers === 0) await resetParallelWorkers(pool, plan); // an earlier call was killed
        return outcome;
      }
      steps += 1;
    }
  } finally {
    if (isOurTurn) await releaseBuild(pool, plan);
  }
  throw new DatabaseError("Other sessions keep changing the vector index: run migrate again when they have finished", {
    code: "CONFLICT",
    retryable: true,
  });
}
