import type { EmbeddingError } from "../errors.js";

/** A failure of a request that can lie in one of its texts: the others could do without it. It never gets out of here. */
export class TextFailure extends Error {
  /** What the caller is told. */
  readonly failure: EmbeddingError;
  /** How often a request of several texts is worth sending before each half is sent by itself. */
  readonly attempts: number;

  constructor(failure: EmbeddingError, attempts = 1) {
    super(failure.message);
    this.failure = failure;
    this.attempts = attempts;
  }
}

/** What came of one text. */
export type TextOutcome = number[] | EmbeddingError;

/**
 * Sends texts, and when they fail for what can lie in one of them, each half by itself, until the one is found.
 *
 * @param deadline - as `performance.now()` counts: from then on a failure is that of all texts
 * @returns what came of each text, in order
 * @throws what is no {@link TextFailure}
 */
export async function bisect(
  texts: string[],
  send: (texts: string[]) => Promise<number[][]>,
  deadline: number,
): Promise<TextOutcome[]> {
  try {
    return await send(texts);
  } catch (error) {
    if (!(error instanceof TextFailure)) throw error;
    if (texts.length === 1) return [error.failure];
    if (performance.now() > deadline) throw error.failure;
    const middle = Math.ceil(texts.length / 2);
    const first = await bisect(texts.slice(0, middle), send, deadline);
    return [...first, ...(await bisect(texts.slice(middle), send, deadline))];
  }
}
