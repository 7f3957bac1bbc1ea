import { resolve } from "node:path";
import { isObject } from "../../calls/checks.js";
import { InvalidArgumentError, throwIfAborted } from "../../errors.js";
import type { Filter, Metadata, Training } from "../../index.js";
import { encodeTrainingId } from "../../schema/training-id.js";
import type { Arguments } from "../session/arguments.js";
import { InputError, UsageError, type CommandOptions } from "../session/command.js";
import type { FoundSchema } from "../session/connection.js";
import type { Terminal } from "../session/terminal.js";
import { findFiles, readTrainings, type FileFormat } from "./training-files.js";

/** Options of commands that read files. */
export const fileOptions = {
  base: {
    type: "string",
    value: "DIR",
    help: "ids of txt and md are paths relative to DIR; default the working folder",
  },
  "id-column": { type: "string", value: "NAME", help: "column of csv, or key of jsonl, with the id; default id" },
  "text-column": { type: "string", value: "NAME", help: "column or key with the text; default content" },
  delimiter: { type: "string", value: "CHAR", help: "between the fields of csv, or tab; default ," },
} as const satisfies CommandOptions;

/** How files are read, for the help. */
export const fileDetails: readonly string[] = [
  "FILES are txt and md (a training each), jsonl and csv (one a line), and folders of them, all in UTF-8. Other columns of csv",
  "become metadata; lines of jsonl can have metadata and revision. The values of --filter are added to the metadata of each.",
];

/** The trainings of files that have been read once, without an error. */
export interface TrainingFiles {
  count: number;
  /** How many of them have no text. */
  blank: number;
  /** Reads them again. */
  trainings: () => AsyncGenerator<Training, void, undefined>;
}

/**
 * Reads all files once, so that nothing is written if one of them is wrong.
 *
 * @param options - whether each training must have its text
 * @throws {@link InputError} naming file and line, also for an id that is invalid or occurs twice
 */
export async function openSource(
  args: Arguments,
  { cwd, signal }: Terminal,
  { idType }: FoundSchema,
  filter: Filter | undefined,
  { needsText = false } = {},
): Promise<TrainingFiles> {
  const format = readFormat(args, cwd);
  const paths = await findFiles(args.positionals, cwd);
  const ids = new Set<string>();
  let blank = 0;
  for (const path of paths) {
    for await (const { training, place } of readTrainings(path, cwd, format)) {
      throwIfAborted(signal);
      const id = checkedId(training, idType, place);
      if (ids.has(id)) throw new InputError(`${place} has the id ${JSON.stringify(id)}, which occurs twice`);
      ids.add(id);
      if (needsText && !hasText(training)) {
        throw new InputError(`${place} has no ${format.textColumn}: only verify takes ids and revisions alone`);
      }
      if (typeof training.content === "string" && training.content.trim() === "") blank += 1;
    }
  }
  if (ids.size === 0) throw new InputError("there are no trainings in the given files");
  const added = plainValues(filter);
  const read = async function* (): AsyncGenerator<Training, void, undefined> {
    for (const path of paths) {
      for await (const { training } of readTrainings(path, cwd, format)) {
        yield hasText(training) ? withMetadata(training, added) : training;
      }
    }
  };
  return { count: ids.size, blank, trainings: read };
}

/** Lines of jsonl can have ids and revisions alone. */
function hasText({ content, documents }: Partial<Record<"content" | "documents", unknown>>): boolean {
  return content !== undefined || documents !== undefined;
}

function readFormat(args: Arguments, cwd: string): FileFormat {
  const given = args.text("delimiter") ?? ",";
  const delimiter = given === "tab" ? "\t" : given;
  if (delimiter.length !== 1 || /["\r\n]/.test(delimiter)) {
    throw new UsageError("--delimiter must be one character, or tab");
  }
  return {
    base: resolve(cwd, args.text("base") ?? "."),
    idColumn: args.text("id-column") ?? "id",
    textColumn: args.text("text-column") ?? "content",
    delimiter,
  };
}

function checkedId({ id }: Training, idType: FoundSchema["idType"], place: string): string {
  try {
    return encodeTrainingId(id, idType, "id");
  } catch (error) {
    if (!InvalidArgumentError.is(error)) throw error;
    throw new InputError(`${place}: ${error.message}`);
  }
}

/** Another value of the same key, and metadata that are no object, are left for the library to refuse. */
function withMetadata(training: Training, added: Metadata): Training {
  const { metadata = {} } = training;
  return isObject(metadata) && !Array.isArray(metadata)
    ? { ...training, metadata: { ...added, ...metadata } }
    : training;
}

/** The values that a filter by equality requires. */
function plainValues(filter: Filter | undefined): Metadata {
  return Object.fromEntries(Object.entries(filter ?? {}).filter(([, value]) => typeof value !== "object"));
}
