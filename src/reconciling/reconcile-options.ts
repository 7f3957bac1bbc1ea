import { checkCall } from "../calls/call-options.js";
import { checkFunction, checkInteger, checkNames, namesOfProperties } from "../calls/checks.js";
import { InvalidArgumentError } from "../errors.js";

/** More embeddings than a check of a sample is worth. */
const MAX_SAMPLE = 1_000_000;

/** The progress of `verify` and `reconcile`, in trainings. */
export interface ReconcileProgress {
  /** `listing` the stored trainings, `comparing` them with the source, or `deleting` orphans. */
  phase: "listing" | "comparing" | "deleting";
  /** Stored trainings, as far as they are listed. */
  stored: number;
  /** Trainings that were compared. */
  checked: number;
  missing: number;
  stale: number;
  orphaned: number;
  damaged: number;
  /** Only `reconcile`: trainings that were repaired. */
  repaired: number;
  /** Only `reconcile`: orphans that were deleted. */
  deleted: number;
}

/** Options of `verify`. */
export interface VerifyOptions {
  /**
   * About how many stored chunks to embed again, chosen at random, to check that their vectors belong to their texts. With
   * a `header` this needs a source of whole trainings. Default 0: nothing is embedded.
   */
  sample?: number | undefined;
  /** Ends the call early with `AbortError`. */
  signal?: AbortSignal | undefined;
  /** Time limit of the whole call in milliseconds. Default: none, but 60 s for a statement. */
  timeoutMs?: number | undefined;
  /** Called after each page of stored trainings and each batch of the source. */
  onProgress?: ((progress: ReconcileProgress) => void) | undefined;
}

/** Options of `reconcile`. */
export interface ReconcileOptions extends VerifyOptions {
  /** `true` changes nothing: the result says what would be repaired and deleted. Default `false`. */
  dryRun?: boolean | undefined;
  /**
   * The most orphans that may be deleted. If there are more, none is deleted, and the call ends with an
   * `InvalidArgumentError` that says how many there are. Default: 10 % of the stored trainings, rounded up.
   */
  maxDeletes?: number | undefined;
}

const VERIFY_OPTIONS = namesOfProperties<VerifyOptions>({
  sample: true,
  signal: true,
  timeoutMs: true,
  onProgress: true,
});
const RECONCILE_OPTIONS = namesOfProperties<ReconcileOptions>({
  ...{ sample: true, signal: true, timeoutMs: true, onProgress: true },
  dryRun: true,
  maxDeletes: true,
});

/** @throws {@link InvalidArgumentError} */
export function checkVerify(options: VerifyOptions): void {
  checkShared(options, VERIFY_OPTIONS, "verify");
}

/** @throws {@link InvalidArgumentError} */
export function checkReconcile(options: ReconcileOptions): void {
  checkShared(options, RECONCILE_OPTIONS, "reconcile");
  const { dryRun, maxDeletes } = options;
  if (dryRun !== undefined && typeof dryRun !== "boolean") {
    throw new InvalidArgumentError("dryRun", "must be true or false");
  }
  if (maxDeletes !== undefined) checkInteger("maxDeletes", maxDeletes, 0, Number.MAX_SAFE_INTEGER);
}

function checkShared(options: VerifyOptions, known: readonly string[], owner: string): void {
  checkNames(options, known, owner);
  const { onProgress, ...others } = options;
  checkCall(others, known, owner);
  checkFunction("onProgress", onProgress);
  if (options.sample !== undefined) checkInteger("sample", options.sample, 0, MAX_SAMPLE);
}
