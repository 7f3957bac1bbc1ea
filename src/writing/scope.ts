import type { NormalizedTraining } from "../chunking/training-input.js";
import { InvalidArgumentError } from "../errors.js";
import type { IndexFilter } from "../filtering/index-filter.js";
import type { Scope } from "../filtering/scope.js";
import type { Metadata } from "../types.js";

/** The problem of an id that another index's training has, in the error for `training.id`. */
export const ID_TAKEN = "is taken by a training outside the filter of this index";

/**
 * Refuses a write through an index that only reads.
 *
 * @throws {@link InvalidArgumentError}
 */
export function requireWritable({ readsOnly }: Pick<IndexFilter, "readsOnly">): void {
  if (readsOnly === undefined) return;
  throw new InvalidArgumentError(
    "filter",
    `of this index allows reads only: ${readsOnly}. Write through the index that withFilter was called on`,
  );
}

/**
 * Refuses what affects the whole schema through an index that sees only part of it.
 *
 * @throws {@link InvalidArgumentError}
 */
export function requireWhole({ condition }: Pick<IndexFilter, "condition">, method: string): void {
  if (condition === undefined) return;
  throw new InvalidArgumentError(
    "filter",
    `of this index does not allow ${method}, which affects all trainings of the schema`,
  );
}

/**
 * Refuses a training that the filter of its own index would hide.
 *
 * @param scope - the filter of the index, compiled
 * @throws {@link InvalidArgumentError} naming the metadata that does not meet the filter
 */
export function requireScope<Checked extends Pick<NormalizedTraining, "metadata" | "sources">>(
  training: Checked,
  scope: Scope,
  option = "training",
): Checked {
  const required = scope.flatMap((condition) => Object.entries(JSON.parse(condition) as Metadata));
  const check = (metadata: string, where: string): void => {
    const values = JSON.parse(metadata) as Metadata;
    const missing = required.find(([key, value]) => values[key] !== value);
    if (!missing) return;
    const key = JSON.stringify(missing[0]);
    throw new InvalidArgumentError(where, `must have the same value of ${key} as the filter of this index`);
  };
  if (required.length === 0) return training;
  check(training.metadata, `${option}.metadata`);
  training.sources.forEach(({ metadata }, index) => {
    check(metadata, `${option}.documents[${index}].metadata`);
  });
  return training;
}
