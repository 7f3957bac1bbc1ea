import { DatabaseError } from "../errors.js";
import { DATA_EXCEPTION, isSchemaChange, sqlStateOf } from "../postgres/database.js";

/**
 * A statement that ran, and has found another schema than it was written for. Seen by callers only when that keeps
 * happening.
 */
export class SchemaChanged extends DatabaseError {
  constructor(cause?: unknown) {
    super("The schema of the index was changed while the call ran", {
      code: "CONFLICT",
      retryable: true,
      cause,
    });
  }
}

/** invalid_binary_representation: a parameter of a type that has another number now */
const INVALID_BINARY = "22P03";

/**
 * Whether a statement may have failed because it was written for a schema which has changed since. What pgvector says of
 * vectors of other dimensions it also says of an index that is broken.
 */
export function mayBeSchemaChange(error: unknown): boolean {
  const state = sqlStateOf(error);
  return (
    error instanceof SchemaChanged ||
    isSchemaChange(error) ||
    state === DATA_EXCEPTION ||
    state === INVALID_BINARY
  );
}
