import { DatabaseError, SchemaError } from "../errors.js";
import { DATA_EXCEPTION, isSchemaChange, sqlStateOf } from "../postgres/database.js";

/**
 * A statement has found another schema than it was written for. The statement is rewritten and run again, so callers see
 * this error only if that keeps happening.
 */
export class SchemaChanged extends DatabaseError {
  constructor(cause?: unknown) {
    super("The schema of the index has changed while the call ran: call again", {
      code: "CONFLICT",
      retryable: true,
      cause,
    });
  }
}

/** syntax_error, feature_not_supported: how Citus refuses a statement that was written for tables of the server itself */
const REFUSED_BY_CITUS = new Set(["42601", "0A000"]);
/** invalid_binary_representation: the oid of a parameter's type has changed */
const INVALID_BINARY = "22P03";

/**
 * Whether a statement may have failed because the schema has changed since the statement was written. Not certain:
 * pgvector reports other dimensions and a damaged index with the same SQLSTATE.
 */
export function mayBeSchemaChange(error: unknown): boolean {
  const state = sqlStateOf(error);
  const isRetired = error instanceof SchemaError && error.code === "PROFILE_RETIRED";
  return (
    error instanceof SchemaChanged ||
    isRetired ||
    isSchemaChange(error) ||
    state === DATA_EXCEPTION ||
    state === INVALID_BINARY ||
    REFUSED_BY_CITUS.has(state ?? "")
  );
}
