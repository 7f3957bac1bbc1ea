import { InvalidArgumentError } from "../errors.js";
import type { IndexingProgress } from "../types.js";
import { checkFunction, checkInteger, checkOptions } from "./checks.js";
import { checkClient, type Queryable } from "./host-database.js";

/** What a timer of Node takes: 24 days. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/** What the options of any call can have. */
interface CallOptions {
  signal?: AbortSignal | undefined;
  timeoutMs?: number | undefined;
  client?: Queryable | undefined;
  onProgress?: ((progress: IndexingProgress) => void) | undefined;
}

/**
 * What each call begins with, whichever of these options it has.
 *
 * @param known - the names of its options
 * @param owner - the name of the call, for errors
 * @throws {@link InvalidArgumentError} for options that are no object, for a name that is not known, and for an option
 * that is not usable
 */
export function checkCall(options: CallOptions, known: readonly string[], owner: string): void {
  checkOptions(options, known, owner);
  checkClient(options.client);
  checkSignal(options.signal);
  if (options.timeoutMs !== undefined) checkInteger("timeoutMs", options.timeoutMs, 1, MAX_TIMEOUT_MS);
  checkFunction("onProgress", options.onProgress);
}

function checkSignal(signal: AbortSignal | null | undefined): void {
  if (signal === undefined) return;
  const listens =
    typeof signal?.addEventListener === "function" && typeof signal.removeEventListener === "function";
  if (!listens || typeof signal.aborted !== "boolean") {
    throw new InvalidArgumentError("signal", "must be an AbortSignal");
  }
}
