import { checkCall } from "../calls/call-options.js";
import { withTimeLimit } from "../calls/time-limit.js";
import { compileFilter } from "../filtering/filter.js";
import type { IndexFilter } from "../filtering/index-filter.js";
import type { Layout } from "../schema/layout.js";
import { decodeTrainingId, encodeTrainingIds } from "../schema/training-id.js";
import type { DeleteResult, TrainingSelection } from "../types.js";
import type { Remover } from "./remover.js";
import { requireWritable } from "./scope.js";
import { checkSelection, DELETE_MANY_OPTIONS, type DeleteOptions } from "./write-options.js";

/** Dependencies of {@link deleteSelection}. */
interface DeleteParts {
  layout: Layout;
  filter: IndexFilter;
  remover: Remover;
}

/**
 * Deletes trainings by id, or those that a filter matches.
 *
 * @returns one result for each given id, or for each training that was found
 * @throws {@link InvalidArgumentError} before anything is deleted
 */
export async function deleteSelection(
  { layout, filter: own, remover }: DeleteParts,
  selection: TrainingSelection,
  options: Omit<DeleteOptions, "revision">,
): Promise<DeleteResult[]> {
  const { ids, filter } = checkSelection(selection, "deleteTrainings");
  requireWritable(own);
  checkCall(options, DELETE_MANY_OPTIONS, "deleteTrainings");
  if (ids === undefined) {
    const condition = compileFilter(filter);
    const found = await withTimeLimit(options, (signal) => remover.removeMatching(condition, { ...options, signal }));
    return found.map(({ key, outcome }) => ({ id: decodeTrainingId(key, layout.idType), ...outcome }));
  }
  const keys = encodeTrainingIds(ids, layout.idType);
  const distinct = [...new Set(keys)];
  const outcomes = await withTimeLimit(options, (signal) => remover.remove(distinct, { ...options, signal }));
  const byKey = new Map(distinct.map((key, index) => [key, outcomes[index]]));
  const absent = { status: "absent", removed: 0 } as const;
  return ids.map((id, index) => ({ id, ...(byKey.get(keys[index] ?? "") ?? absent) }));
}
