import { sqlStateOf } from "../postgres/database.js";
import { namesOf } from "../schema/layout.js";
import type { NamedStatements } from "../postgres/named-statements.js";
import { SchemaChanged } from "../schema/schema-change.js";
import { cacheOf } from "./search-cache.js";
import { versionOf, type SchemaState } from "../schema/schema-state.js";

/**
 * Runs the statements of searches. Each has the condition that the schema, in the statement's own snapshot, is the one that the
 * statement was written for, and fails otherwise: so it costs no round trip to know that an answer without rows is right.
 */
export class CurrentStatements {
  readonly #statements: Pick<NamedStatements, "areKept" | "explain" | "query">;
  readonly #state: SchemaState;

  constructor(statements: Pick<NamedStatements, "areKept" | "explain" | "query">, state: SchemaState) {
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
    const { acceptedVersions, version } = this.#state;
    const guarded = this.#guarded(text, values.length);
    try {
      return await this.#statements.query<Row>(guarded, [...values, acceptedVersions, version], options);
    } catch (error) {
      throw isOtherSchema(error) ? new SchemaChanged(error) : error;
    }
  }

  /**
   * The statement with the condition on the version, which Postgres checks once, before anything else. Cached: a search asks
   * for the same text again and again, and to concatenate and hash it takes about 8 us.
   */
  #guarded(text: string, parameters: number): string {
    const { layout, chunkOid } = this.#state;
    const { guarded } = cacheOf(this.#state);
    const known = guarded.get(text);
    if (known !== undefined) return known;
    // Of an empty schema it does not matter whose it was; but its rows are of the model that is recorded with them.
    const statement = `
SELECT page.* FROM (${text}
) page WHERE (SELECT CASE WHEN version = ANY ($${parameters + 1}::text[]) THEN true
    WHEN version = $${parameters + 2} AND NOT EXISTS (SELECT FROM ${namesOf(layout).chunk} any_chunk) THEN true
    ELSE pg_catalog.concat('${OTHER_SCHEMA}', version)::boolean END
  FROM (SELECT (${versionOf(layout, chunkOid)}) AS version OFFSET 0) current)`; // OFFSET 0: the version is read once
    if (guarded.size < MOST_GUARDED && text.length < MOST_CHARACTERS) guarded.set(text, statement);
    return statement;
  }
}

/** What Postgres is asked to read as a boolean where the schema is another one: SQL has no other way to make a statement fail. */
const OTHER_SCHEMA = "another schema than the statement was written for: ";

function isOtherSchema(error: unknown): boolean {
  if (sqlStateOf(error) !== INVALID_TEXT) return false;
  const { cause } = error as Error;
  return cause instanceof Error && cause.message.includes(OTHER_SCHEMA);
}

/** invalid_text_representation */
const INVALID_TEXT = "22P02";
/** How many texts are cached, and up to how many characters: a filter's condition may be much longer. */
const MOST_GUARDED = 1000;
const MOST_CHARACTERS = 5000;
