import { namesOf } from "./layout.js";
import type { NamedStatements } from "./named-statements.js";
import { SchemaChanged } from "./schema-change.js";
import { versionOf, type ServingState } from "./serving-state.js";

/**
 * Runs the statements of searches in the schema that they were written for: each reads the version of the schema in its own
 * snapshot, and finds nothing in another one. That costs no round trip, but for an answer without rows, which is looked at
 * again.
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
   * The statement with a condition on the version, which Postgres looks at once, before all else. Statements that are kept in
   * mind are asked for again and again: of these the text is kept too, as to put it together and to hash it takes a while.
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

/** How many texts are kept in mind, and of how many characters: a filter's condition may have very many. */
const MOST_GUARDED = 1000;
const MOST_CHARACTERS = 5000;
