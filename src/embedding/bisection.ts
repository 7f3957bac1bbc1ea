import type { EmbeddingError } from "../errors.js";

/** A failed request that a single one of its texts may have caused. Internal: callers get the `failure`. */
export class TextFailure extends Error {
  /** The error for the caller. */
  readonly failure: EmbeddingError;
  /** How many times to send a request of several texts before {@link bisect} splits it. */
  readonly attempts: number;

  constructor(failure: EmbeddingError, attempts = 1) {
    super(failure.message);
    this.failure = failure;
    this.attempts = attempts;
  }
}

/** The vector of a text, or the reason why it has none. */
export type TextOutcome = number[] | EmbeddingError;

/**
 * Sends texts in one request. After a {@link TextFailure}, sends each half by itself, recursively, until the texts at fault
 * are isolated.
 *
 * @param deadline - on the clock of `performance.now()`: later failures are thrown as the failure of all texts
 * @param onSplit - called before texts are sent again in halves
 * @returns one outcome for each text, in order
 * @throws any error other than a {@link TextFailure}
 */
export async function bisect(
  texts: string[],
  send: (texts: string[]) => Promise<number[][]>,
  deadline: number,
  onSplit?: (failure: EmbeddingError) => void,
): Promise<TextOutcome[]> {
  try {
    return await send(texts);
  } catch (error) {
    if (!(error instanceof TextFailure)) throw error;
    if (texts.length === 1) return [error.failure];
    if (performance.now() > deadline) throw error.failure;
    onSplit?.(error.failure);
    const middle = Math.ceil(texts.length / 2);
    const first = await bisect(texts.slice(0, middle), send, deadline, onSplit);
    return [...first, ...(await bisect(texts.slice(middle), send, deadline, onSplit))];
  }
}
