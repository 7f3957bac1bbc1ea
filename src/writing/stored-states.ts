import type { NormalizedTraining } from "../chunking/training-input.js";
import type { Queryable } from "../postgres/database.js";
import { queryWithKeptPlan, type SwapConnection } from "../storing/swap.js";
import type { WriteTarget } from "../storing/write-target.js";
import * as sql from "../storing/write-sql.js";
import type { StoredState } from "./batch-item.js";

/**
 * What is stored of trainings, in order.
 *
 * @param ticket - of a call that includes this one; decides which stored versions supersede it
 */
export async function readStates(
  { target, connection }: { target: WriteTarget; connection: SwapConnection },
  database: Queryable,
  trainings: readonly Pick<NormalizedTraining, "key" | "revision">[],
  ticket: string,
): Promise<StoredState[]> {
  const values = [
    trainings.map(({ key }) => key),
    trainings.map(({ revision }) => revision),
    target.scope,
    trainings.map(() => ticket),
  ];
  const read = (): Promise<StoredState[]> =>
    queryWithKeptPlan(connection, database, sql.readStates(target.layout), values);
  const states = await connection.knownSchema.follow(read, { writes: true });
  return states.map((state) => ({ ...state, ticket }));
}
