import type { Embedder } from "../embedding/embedder.js";
import {
  DatabaseError,
  EmbeddingError,
  InvalidArgumentError,
  orAbort,
  TrainingIndexError,
} from "../errors.js";

/**
 * Classes of SQLSTATE for which a row itself is to blame: data exception, integrity constraint violation, program limit
 * exceeded, an exception that a trigger raised.
 */
const STATES_OF_ROWS = new Set(["22", "23", "54", "P0"]);

/** A text that every embedder can embed. */
const PROBE = "test";

/**
 * Whether a training itself is to blame for a failure, so that others can do without it. An embedder that fails is asked for
 * a short text: if it cannot embed that either, it is not the training's fault.
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
  if (error instanceof EmbeddingError) return error.code === "TEXT_TOO_LONG" || answers(embedder, signal);
  // What the host's splitter or header throws.
  return !(error instanceof TrainingIndexError);
}

async function answers(embedder: Embedder, signal: AbortSignal | undefined): Promise<boolean> {
  try {
    await orAbort(() => embedder.embedDocuments([PROBE], { signal }), signal);
    return true;
  } catch {
    return false;
  }
}
