import { InvalidArgumentError, TrainingIndexError } from "../errors.js";

/**
 * Runs a function that the host passed as an option. An error that it throws becomes a typed error that names the option;
 * errors of this library are rethrown unchanged.
 *
 * @throws {@link InvalidArgumentError} with the thrown value as its `cause`
 */
export function runHostCode<T>(option: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw hostFailure(option, error);
  }
}

/** Like {@link runHostCode}, for a function that returns a promise. */
export async function awaitHostCode<T>(option: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw hostFailure(option, error);
  }
}

function hostFailure(option: string, error: unknown): TrainingIndexError {
  if (error instanceof TrainingIndexError) return error;
  return new InvalidArgumentError(option, "threw an error, see the cause of this one", error);
}
