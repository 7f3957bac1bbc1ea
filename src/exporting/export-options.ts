import { checkCall } from "../calls/call-options.js";
import { checkFunction, checkIterable, checkNames, namesOfProperties } from "../calls/checks.js";
import { InvalidArgumentError } from "../errors.js";
import type { WriteToken } from "../types.js";

/** The progress of an export or an import, in trainings. */
export interface ExportProgress {
  /** Trainings that were written or read so far. */
  trainings: number;
  /** Trainings of the export. */
  total: number;
}

/** Options of `exportTrainings`. */
export interface ExportOptions {
  /** Ends the export early with `AbortError`. */
  signal?: AbortSignal | undefined;
  /** Called after each training. */
  onProgress?: ((progress: ExportProgress) => void) | undefined;
}

/** Options of `importTrainings`. */
export interface ImportOptions {
  /**
   * `true` also replaces what is stored, and deletes what the export has deleted, as calls that start now would: only a higher revision
   * stays. Default `false`: what the index has, or has deleted, stays, unless its revision is lower.
   */
  overwrite?: boolean | undefined;
  /**
   * `true` drops the vector index, and builds it when everything is stored, as `bulkLoad` does. For an index without chunks, and a role that
   * owns the tables. Default `false`.
   */
  bulk?: boolean | undefined;
  /** Ends the import early with `AbortError`. */
  signal?: AbortSignal | undefined;
  /** Called after each training. */
  onProgress?: ((progress: ExportProgress) => void) | undefined;
}

/** What an import did. */
export interface ImportSummary {
  /** Trainings that were stored. */
  indexed: number;
  /** Trainings that the index had, with the same chunks. */
  unchanged: number;
  /** Trainings that were not stored: the index has another version, has deleted them, or the host's row is missing. */
  superseded: number;
  /** Trainings that were deleted, because the export has deleted them. */
  deleted: number;
  /** See {@link WriteToken}. */
  token?: WriteToken | undefined;
}

/** The parts of an export in order, cut anywhere: what `exportTrainings` returned, or a stream of the file. */
export type ExportSource = Iterable<string | Uint8Array> | AsyncIterable<string | Uint8Array>;

const EXPORT_OPTIONS = namesOfProperties<ExportOptions>({ signal: true, onProgress: true });
const IMPORT_OPTIONS = namesOfProperties<ImportOptions>({
  overwrite: true,
  bulk: true,
  signal: true,
  onProgress: true,
});

/** @throws {@link InvalidArgumentError} */
export function checkExport(options: ExportOptions): void {
  checkShared(options, EXPORT_OPTIONS, "exportTrainings");
}

/** @throws {@link InvalidArgumentError} */
export function checkImport(source: ExportSource, options: ImportOptions): void {
  if (typeof source === "string") {
    throw new InvalidArgumentError(
      "source",
      "must be a stream or a list of the parts of an export, not a string: a file is createReadStream(path)",
    );
  }
  checkIterable("source", source);
  checkShared(options, IMPORT_OPTIONS, "importTrainings");
  for (const name of ["overwrite", "bulk"] as const) {
    if (options[name] !== undefined && typeof options[name] !== "boolean") {
      throw new InvalidArgumentError(name, "must be true or false");
    }
  }
}

function checkShared(options: ExportOptions, known: readonly string[], owner: string): void {
  checkNames(options, known, owner);
  const { onProgress, ...others } = options;
  checkCall(others, known, owner);
  checkFunction("onProgress", onProgress);
}
