import { namesOf } from "./layout.js";
import type { NamedStatements } from "./named-statements.js";
import { SchemaChanged } from "./schema-change.js";
import { versionOf, type ServingState } from "./serving-state.js";

/**
 * Runs the statements of searches. Each has the condition that the schema, in the statement's own snapshot, is the one that the
 * statement was written for, and returns no rows otherwise. Only an answer without rows costs another round trip, which finds
 * out why there are none.
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
   * @throws {@link SchemaChanged} when the schema is another one than is known
   * @throws {@link DatabaseError} | {@link SchemaError}
   */
  async query<Row>(text: string, values: unknown[], options: { keepsPlan: boolean }): Promise<Row[]> {
    const { acceptedVersions } = this.#state;
    const rows = await this.#statements.query<Row>(
      this.#guarded(text, values.length + 1),
      [...values, acceptedVersions],
      options,
    );
    if (rows.length === 0) await this.#requireCurrent();
    return rows;
  }

  /**
   * The statement with the condition on the version, which Postgres checks once, before anything else. Cached: a search asks
   * for the same text again and again, and to concatenate and hash it takes about 8 us.
   */
  #guarded(text: string, parameter: number): string {
    const { layout, chunkOid, guarded } = this.#state;
    const known = guarded.get(text);
    if (known !== undefined) return known;
    const statement = `
SELECT page.* FROM (${text}
) page WHERE (${versionOf(layout, chunkOid)}) = ANY ($${parameter}::text[])`;
    if (guarded.size < MOST_GUARDED && text.length < MOST_CHARACTERS) guarded.set(text, statement);
    return statement;
  }

  async #requireCurrent(): Promise<void> {
    const { layout, chunkOid, acceptedVersions, version } = this.#state;
    // Of an empty schema it does not matter whose it was; but its rows are of the model that is recorded with them.
    const rows = await this.#statements.query(
      `
SELECT FROM (${versionOf(layout, chunkOid)}) current
WHERE version = ANY ($1::text[]) OR version = $2 AND NOT EXISTS (SELECT FROM ${namesOf(layout).chunk})`,
      [acceptedVersions, version],
      { keepsPlan: true },
    );
    if (rows.length === 0) throw new SchemaChanged();
  }
}

/** How many texts are cached, and up to how many characters: a filter's condition may be much longer. */
const MOST_GUARDED = 1000;
const MOST_CHARACTERS = 5000;
