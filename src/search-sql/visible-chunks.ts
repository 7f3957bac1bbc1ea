import { numberedFrom } from "../filtering/condition.js";
import { namesOf, type Layout } from "../schema/layout.js";

/**
 * Whether the planner may use the filter's condition to find rows, or only to test rows found otherwise; or whether it is to expect few
 * rows, whatever the values are.
 */
export type ConditionUse = "may find rows" | "finds few rows" | "tests rows";

/**
 * The chunks that a search may see: those that match both the index's filter and the search's. Every search statement reads
 * chunks through this class, so whatever is returned with a hit (neighbors, the other chunks of a training) passes
 * the same filter as the hit itself.
 */
export class VisibleChunks {
  readonly layout: Layout;
  /** With its parameters numbered as in the statement. */
  readonly #condition: string | undefined;

  /**
   * @param condition - on the metadata, with parameters from `$1`; `undefined` without a filter
   * @param firstParameter - number of the condition's first parameter in the statement
   */
  constructor(layout: Layout, condition: string | undefined, firstParameter: number) {
    this.layout = layout;
    this.#condition = condition === undefined ? undefined : numberedFrom(firstParameter, condition);
  }

  /**
   * SQL that selects visible chunks. Unqualified columns in it are the chunk's.
   *
   * @param use - `tests rows` hides the condition from the planner in a CASE, which no index serves and which the planner
   * assumes to match half of the rows. `finds few rows` hides its `jsonb` values, each in a subquery: the planner assumes that one row in a
   * thousand contains one, and a kept plan looks as cheap to Postgres as one that is made for the values
   */
  select(columns: string, where: string, use: ConditionUse = "tests rows"): string {
    return `SELECT ${columns} FROM ${namesOf(this.layout).chunk}
    WHERE ${where}${this.#and(use)}`;
  }

  /** SQL of whether metadata meets the filters: those of the row that the column `metadata` is of. */
  get isVisible(): string {
    return this.#condition ?? "true";
  }

  /**
   * SQL of a training's own metadata. A document's metadata can differ from its training's, so the filter may match a chunk
   * and exclude the training's metadata. Then only the entries that the found chunk has too are returned.
   *
   * @param chunk - the name of the found chunk in the statement, with columns `training_id` and `metadata`
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
    const condition = this.#condition;
    if (condition === undefined) return "";
    if (use === "tests rows") return `\n    AND CASE WHEN ${condition} THEN true ELSE false END`;
    return `\n    AND ${use === "finds few rows" ? condition.replace(/\$\d+::jsonb/g, "(SELECT $&)") : condition}`;
  }
}
