import type { NamedStatements } from "./named-statements.js";
import { SchemaChanged } from "./schema-change.js";
import { versionOf, type ServingState } from "./serving-state.js";

/** A row of a search with the version of the schema that it was found in; `found` is null where there is none. */
type VersionedRow<Row> = Row & { version: string; found: string | null };

/**
 * Runs the statements of searches, and sees from each one's own snapshot whether the schema still is what the statement
 * was written for: a page from another one is never passed on, be it full, short or empty. It costs no round trip.
 */
export class CurrentStatements {
  readonly #statements: Pick<NamedStatements, "areKept" | "explain" | "query">;
  readonly #state: ServingState;

  constructor(statements: Pick<NamedStatements, "areKept" | "explain" | "query">, state: ServingState) {
    this.#statements = statements;
    this.#state = state;
  }

  /** As `NamedStatements` has it. */
  get areKept(): boolean {
    return this.#statements.areKept;
  }

  /** As `NamedStatements` has it. */
  async explain(text: string, values: unknown[]): Promise<string> {
    return this.#statements.explain(text, values);
  }

  /**
   * @throws {@link SchemaChanged} when the rows are of another schema than the one that is known
   * @throws {@link DatabaseError} | {@link SchemaError}
   */
  async query<Row>(text: string, values: unknown[], options: { keepsPlan: boolean }): Promise<Row[]> {
    const { layout, chunkOid } = this.#state;
    // The outer side is one row, so the page keeps its order.
    const versioned = `
SELECT current.version, page.* FROM (${versionOf(layout, chunkOid)}) current
LEFT JOIN (SELECT 'true' AS found, page.* FROM (${text}
) page) page ON true`;
    const rows = await this.#statements.query<VersionedRow<Row>>(versioned, values, options);
    const [row] = rows;
    if (!row || !isOf(row, this.#state)) throw new SchemaChanged();
    return row.found === null ? [] : rows;
  }
}

/** Of an empty schema it does not matter whose it was; but its rows are of the model that is recorded with them. */
function isOf({ version, found }: VersionedRow<unknown>, state: ServingState): boolean {
  return state.isCurrent(version) || (found === null && version === state.version);
}
