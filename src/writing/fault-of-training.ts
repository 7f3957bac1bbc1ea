import type { Embedder } from "../embedding/embedder.js";
import { DatabaseError, EmbeddingError, InvalidArgumentError, orAbort, TrainingIndexError } from "../errors.js";

/**
 * SQLSTATE classes that blame the row: data exception, integrity constraint violation, program limit exceeded,
 * exception raised by a trigger.
 */
const STATES_OF_ROWS = new Set(["22", "23", "54", "P0"]);

/** A text that every embedder can embed. */
const PROBE = "test";

/**
 * Whether the training itself caused a failure, so that the others can be indexed without it. If the embedder failed,
 * it is asked to embed a short text: if that fails too, the embedder is down and the training is not at fault.
 */
export async function isFaultOfTraining(
  error: unknown,
  embedder: Embedder,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  if (error instanceof InvalidArgumentError) return true;
  if (error instanceof DatabaseError) {
    return error.code === "CONFLICT" || STATES_OF_ROWS.has(error.sqlState?.slice(0, 2) ?? "");
  }
  if (error instanceof EmbeddingError) return error.code === "TEXT_TOO_LONG" || canEmbed(embedder, signal);
  // Any other error comes from the host's splitter or header.
  return !(error instanceof TrainingIndexError);
}

async function canEmbed(embedder: Embedder, signal: AbortSignal | undefined): Promise<boolean> {
  try {
    await orAbort(() => embedder.embedDocuments([PROBE], { signal }), signal);
    return true;
  } catch {
    return false;
  }
}
