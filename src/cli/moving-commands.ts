import { createReadStream, createWriteStream } from "node:fs";
import { rename, rm, stat } from "node:fs/promises";
import { resolve } from "node:path";
import type { Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { InvalidArgumentError, SchemaError } from "../errors.js";
import type { ExportProgress, ImportSummary } from "../index.js";
import type { ExportedProfile } from "../exporting/export-format.js";
import { peekHeader } from "../exporting/export-header.js";
import { exitCodes, filterOption, InputError, jsonOption, schemaOption, type Command } from "./session/command.js";
import { withIndex } from "./session/connection.js";
import { Progress } from "./session/progress.js";
import { printJson, printLine, printNote, type Terminal } from "./session/terminal.js";

/** The FILE that means stdin or stdout. */
const STANDARD = "-";

/** Writes an index to a file. */
export const exportIndex: Command = {
  name: "export",
  summary: "Writes the trainings with their vectors to a file, for import",
  positionals: "FILE",
  positionalCount: { least: 1, most: 1 },
  details: [
    "FILE is jsonl, or - for stdout: a header, and a line for each training and each chunk. It is a snapshot: what is stored meanwhile",
    "is not in it. A FILE that exists is replaced when everything is written.",
  ],
  options: { ...schemaOption, ...filterOption },
  examples: ["training-index export index.jsonl", "training-index export - --schema loja | gzip > loja.jsonl.gz"],
  run: (args, terminal) =>
    withIndex(args, terminal, { embeds: false, filter: args.filter() }, async ({ index }) => {
      const [file = ""] = args.positionals;
      const { signal, stderr } = terminal;
      const progress = new Progress(stderr, "exported", undefined);
      let written = 0;
      const onProgress = ({ trainings, total }: ExportProgress): void => {
        written = trainings;
        progress.update(trainings, "", total);
      };
      try {
        await writeTo(file, terminal, (output, end) =>
          pipeline(index.exportTrainings({ signal, onProgress }), output, { signal, end }),
        );
      } finally {
        progress.end();
      }
      printNote(terminal, `exported ${written} trainings`);
      return exitCodes.fine;
    }),
};

/** Stores what an export has written. */
export const importIndex: Command = {
  name: "import",
  summary: "Stores the trainings of an export with their vectors; embeds nothing",
  positionals: "FILE",
  positionalCount: { least: 1, most: 1 },
  details: [
    "FILE is what export wrote, or - for stdin. The schema must be migrated for the same dimensions; its vector index, text search and",
    "name may be others. What it has, or has deleted, stays, unless its revision is lower. A repeat continues an interrupted import.",
  ],
  options: {
    ...schemaOption,
    ...filterOption,
    overwrite: {
      type: "boolean",
      help: "replaces and deletes as calls that start now would: only higher revisions stay",
    },
    bulk: { type: "boolean", help: "builds the vector index at the end, which is faster; for an index without chunks" },
    ...jsonOption,
  },
  examples: [
    "training-index import index.jsonl --bulk",
    'training-index export - | DATABASE_URL="$TARGET_URL" training-index import - --schema loja',
  ],
  async run(args, terminal) {
    const [file = ""] = args.positionals;
    const filter = args.filter();
    const options = { overwrite: args.flag("overwrite"), bulk: args.flag("bulk"), signal: terminal.signal };
    const name = file === STANDARD ? "stdin" : file;
    const input = file === STANDARD ? terminal.stdin : createReadStream(resolve(terminal.cwd, file));
    let profile: ExportedProfile | undefined;
    try {
      const { header, source } = await peekHeader(input);
      profile = header.profile ?? undefined;
      return await withIndex(args, terminal, { embeds: false, filter, profile }, async ({ index }) => {
        const progress = new Progress(terminal.stderr, "imported", header.trainings);
        const onProgress = ({ trainings }: ExportProgress): void => {
          progress.update(trainings);
        };
        const summary = await index.importTrainings(source, { ...options, onProgress }).finally(() => {
          progress.end();
        });
        if (args.flag("json")) await printJson(terminal, summary);
        else await printLine(terminal, describe(summary));
        return exitCodes.fine;
      });
    } catch (error) {
      throw SchemaError.is(error) && error.code === "PROFILE_MISMATCH" && profile
        ? otherModel(name, profile, error)
        : namingFile(error, name);
    } finally {
      input.destroy(); // what is left of it keeps the process alive
    }
  },
};

/** Gives the command an output to write to: stdout, or a file that takes the place of FILE only when it is complete. */
async function writeTo(
  file: string,
  { cwd, stdout }: Terminal,
  write: (output: Writable, end: boolean) => Promise<void>,
): Promise<void> {
  if (file === STANDARD) {
    await write(stdout, false);
    return;
  }
  const path = resolve(cwd, file);
  const isSpecial = await stat(path).then(
    (found) => !found.isFile(), // a pipe or a device cannot be replaced
    () => false,
  );
  const target = isSpecial ? path : `${path}.partial`;
  try {
    await write(createWriteStream(target), true);
    if (!isSpecial) await rename(target, path);
  } catch (error) {
    if (!isSpecial) await rm(target, { force: true });
    const { code, syscall } = error as NodeJS.ErrnoException;
    if (syscall === undefined) throw error;
    throw new InputError(`${file} cannot be written: ${code ?? "unknown"}`, { cause: error });
  }
}

function describe({ indexed, unchanged, superseded, deleted }: ImportSummary): string {
  return `${indexed} imported, ${unchanged} unchanged, ${superseded} superseded, ${deleted} deleted`;
}

function otherModel(name: string, { model, dimensions }: ExportedProfile, cause: unknown): InputError {
  return new InputError(
    `${name} has vectors of ${model} with ${dimensions} dimensions, the schema has those of another model, or of other dimensions or ` +
      `prefixes: import it into a new schema, migrated with --dimensions ${dimensions}`,
    { cause },
  );
}

/** The library calls a file `source`. */
function namingFile(error: unknown, name: string): unknown {
  if (InvalidArgumentError.is(error) && /^source\b/.test(error.option)) {
    return new InputError(error.message.replace(/^source/, name), { cause: error });
  }
  const { code, syscall } = (error ?? {}) as NodeJS.ErrnoException;
  if (syscall === undefined) return error;
  return new InputError(
    `${name} cannot be read: ${code === "ENOENT" ? "there is no such file" : (code ?? "unknown")}`,
    {
      cause: error,
    },
  );
}
