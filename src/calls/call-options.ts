import { InvalidArgumentError } from "../errors.js";
import type { IndexingProgress } from "../types.js";
import { checkFunction, checkInteger, checkOptions } from "./checks.js";
import { checkClient } from "./host-database.js";
import type { TransactionClient } from "./orm-transactions.js";

/** The longest delay of a Node timer, 24 days. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/** The options that public methods share. */
interface CallOptions {
  signal?: AbortSignal | undefined;
  timeoutMs?: number | undefined;
  client?: TransactionClient | undefined;
  onProgress?: ((progress: IndexingProgress) => void) | undefined;
}

/**
 * Checks the options of a public method, whichever of the shared ones it has.
 *
 * @param known - the names of the method's options
 * @param owner - the name of the method, for errors
 * @throws {@link InvalidArgumentError} if the options are not an object, have an unknown name, or an invalid value
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
  const hasListeners =
    typeof signal?.addEventListener === "function" && typeof signal.removeEventListener === "function";
  if (!hasListeners || typeof signal.aborted !== "boolean") {
    throw new InvalidArgumentError("signal", "must be an AbortSignal");
  }
}
