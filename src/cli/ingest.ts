import { InvalidArgumentError } from "../errors.js";
import type { RunProgress, RunSummary, Training, TrainingIndex } from "../index.js";
import type { Arguments } from "./session/arguments.js";
import {
  embedderOptions,
  exitCodes,
  filterOption,
  InputError,
  jsonOption,
  messageOf,
  schemaOption,
  UsageError,
  type Command,
  type ExitCode,
} from "./session/command.js";
import { withIndex } from "./session/connection.js";
import { Progress } from "./session/progress.js";
import { printJson, printLine, type Terminal } from "./session/terminal.js";
import { fileDetails, fileOptions, openSource, type TrainingFiles } from "./files/training-source.js";

/** How many failures are printed. */
const PRINTED_FAILURES = 20;

/** What an ingest did. */
interface IngestResult extends Omit<RunSummary, "failed"> {
  /** Chunks. */
  embedded: number;
  reused: number;
  /** Trainings without text, which have no chunks. */
  blank: number;
  failed: { count: number; first: { id: unknown; error: string }[] };
  /** Only with `--prune`. */
  deleted?: number;
}

/** Stores the trainings of files. */
export const ingest: Command = {
  name: "ingest",
  summary: "Stores the trainings of files; what is unchanged embeds nothing",
  positionals: "FILES...",
  positionalCount: { least: 1, most: Infinity },
  details: [
    ...fileDetails,
    "All files are checked before anything is written. A repeat continues an interrupted ingest.",
    "--prune deletes the trainings that match --filter and are not in FILES. verify with the same arguments lists them first.",
  ],
  options: {
    ...schemaOption,
    ...filterOption,
    ...fileOptions,
    prune: { type: "boolean", help: "deletes what is gone; needs --filter, which only trainings of these files match" },
    "max-deletes": {
      type: "string",
      value: "N",
      help: "how many --prune may delete; default 10 % of those that match",
    },
    ...embedderOptions,
    ...jsonOption,
  },
  examples: [
    "training-index ingest docs --filter origem=docs --prune",
    "training-index ingest faq.csv --id-column codigo --text-column resposta --delimiter ';'",
  ],
  async run(args, terminal) {
    const filter = args.filter();
    if (args.flag("prune") && filter === undefined) {
      throw new UsageError(
        "--prune needs --filter, which only the trainings of these files match: --filter origem=docs",
      );
    }
    const maxDeletes = args.number("max-deletes");
    return withIndex(args, terminal, { embeds: true, filter }, async ({ index, schema }) => {
      const files = await openSource(args, terminal, schema, filter);
      const result = await store(index, files, terminal);
      if (args.flag("prune") && result.failed.count === 0) {
        result.deleted = await prune(index, files, maxDeletes, terminal);
      }
      return printResult(result, args, terminal);
    });
  },
};

async function store(index: TrainingIndex, files: TrainingFiles, { stderr, signal }: Terminal): Promise<IngestResult> {
  const progress = new Progress(stderr, "stored", files.count);
  let last = { embedded: 0, reused: 0 };
  const onProgress = ({ trainings, embedded, reused }: RunProgress): void => {
    last = { embedded, reused };
    progress.update(trainings, `${embedded} chunks embedded`);
  };
  try {
    const summary = await index.upsertTrainings(files.trainings(), { onFailure: "continue", onProgress, signal });
    const first = summary.failed.first.map(({ id, error }) => ({ id, error: messageOf(error) }));
    return { ...summary, ...last, blank: files.blank, failed: { count: summary.failed.count, first } };
  } finally {
    progress.end();
  }
}

/** Deletes the trainings in the index's filter that the files do not have. Whatever is stored meanwhile stays. */
async function prune(
  index: TrainingIndex,
  files: TrainingFiles,
  maxDeletes: number | undefined,
  { signal }: Terminal,
): Promise<number> {
  try {
    const { deleted } = await index.reconcile(references(files.trainings()), { maxDeletes, signal });
    return deleted;
  } catch (error) {
    if (!InvalidArgumentError.is(error) || error.option !== "maxDeletes") throw error;
    throw new InputError(
      "all files are stored, but --prune deleted nothing: more trainings are gone than --max-deletes allows (default: 10 % of " +
        "those that match --filter). verify with the same FILES and --filter lists them as orphaned",
      { cause: error },
    );
  }
}

async function* references(
  trainings: AsyncIterable<Training>,
): AsyncGenerator<{ id: Training["id"]; load: () => undefined }> {
  // They have just been stored: one that is missing again has been deleted by someone else.
  for await (const { id } of trainings) yield { id, load: () => undefined };
}

async function printResult(result: IngestResult, args: Arguments, terminal: Terminal): Promise<ExitCode> {
  const { indexed, unchanged, superseded, failed, embedded, reused, blank, deleted } = result;
  if (args.flag("json")) await printJson(terminal, result);
  else {
    const pruned = deleted === undefined ? "" : `, ${deleted} deleted`;
    const counts = `${indexed} indexed, ${unchanged} unchanged, ${superseded} superseded, ${failed.count} failed${pruned}`;
    await printLine(terminal, `${counts}; chunks: ${embedded} embedded, ${reused} reused`);
    if (blank > 0)
      await printLine(terminal, `${blank} without text: stored without chunks, so that no search finds them`);
  }
  if (failed.count === 0) return exitCodes.fine;
  for (const { id, error } of failed.first.slice(0, PRINTED_FAILURES))
    terminal.stderr.write(`${String(id)}: ${error}\n`);
  if (args.flag("prune")) terminal.stderr.write("nothing was deleted, because trainings failed\n");
  return exitCodes.failure;
}
