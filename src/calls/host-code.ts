import { InvalidArgumentError, TrainingIndexError } from "../errors.js";

/**
 * Runs a function of the host's that was given as an option. What it throws becomes a typed error that names the option;
 * errors of this library pass as they are.
 *
 * @throws {@link InvalidArgumentError} with what was thrown as its cause
 */
export function runHostCode<T>(option: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw hostFailure(option, error);
  }
}

/** The same for one that returns a promise, or should. */
export async function awaitHostCode<T>(option: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw hostFailure(option, error);
  }
}

function hostFailure(option: string, error: unknown): TrainingIndexError {
  if (error instanceof TrainingIndexError) return error;
  return new InvalidArgumentError(option, "threw an error, which is the cause of this one", error);
}
