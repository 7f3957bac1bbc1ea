import { numberedFrom } from "../filtering/condition.js";
import { namesOf, type Layout } from "../schema/layout.js";

/** Whether the planner may find chunks by the condition, or only by what else is asked of them. */
export type ConditionUse = "may find rows" | "tests rows";

/**
 * The chunks that a search may see: those that the filter of the index and that of the search let through. Every
 * statement of a search reads chunks through here, so whatever comes along with a hit (neighbors, the best chunks of a
 * training, its mean) has the same filter as the hit itself.
 */
export class VisibleChunks {
  readonly layout: Layout;
  /** With its parameters as they are numbered in the statement. */
  readonly #condition: string | undefined;

  /**
   * @param condition - on the metadata, with parameters from `$1`; `undefined` where nothing narrows the search
   * @param firstParameter - the number that the condition's first parameter has in the statement
   */
  constructor(layout: Layout, condition: string | undefined, firstParameter: number) {
    this.layout = layout;
    this.#condition = condition === undefined ? undefined : numberedFrom(firstParameter, condition);
  }

  /**
   * SQL of visible chunks. The columns of the chunk need no qualifier in it, and no other table has its names there.
   *
   * @param use - a condition that only tests rows is hidden from the planner by a CASE, which is taken to match half of
   * the rows and is served by no index
   */
  select(columns: string, where: string, use: ConditionUse = "tests rows"): string {
    return `SELECT ${columns} FROM ${namesOf(this.layout).chunk}
    WHERE ${where}${this.#and(use)}`;
  }

  /**
   * SQL of a training's own metadata. Where the condition excludes that, as the metadata of a document can differ from
   * its training's, only what the found chunk has too is returned.
   *
   * @param chunk - the name of the found chunk in the statement, with `training_id` and `metadata`
   */
  metadataOfTraining(chunk: string): string {
    const own = `SELECT ${this.#condition === undefined ? "metadata" : this.#sharedUnlessVisible(chunk)}`;
    return `(${own} FROM ${namesOf(this.layout).training} WHERE id = ${chunk}.training_id)`;
  }

  #sharedUnlessVisible(chunk: string): string {
    return `CASE WHEN ${this.#condition ?? "true"} THEN metadata ELSE (
      SELECT coalesce(jsonb_object_agg(entry.key, entry.value), '{}') FROM jsonb_each(metadata) AS entry
      WHERE ${chunk}.metadata -> entry.key = entry.value) END`;
  }

  #and(use: ConditionUse): string {
    if (this.#condition === undefined) return "";
    return `\n    AND ${use === "tests rows" ? `CASE WHEN ${this.#condition} THEN true ELSE false END` : this.#condition}`;
  }
}
