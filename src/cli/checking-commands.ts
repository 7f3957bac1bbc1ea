import { InvalidArgumentError } from "../errors.js";
import type { Drift, Finding, ReconcileProgress, Reconciliation } from "../index.js";
import { fileDetails, fileOptions, openSource } from "./files/training-source.js";
import type { Arguments } from "./session/arguments.js";
import {
  embedderOptions,
  exitCodes,
  filterOption,
  InputError,
  jsonOption,
  schemaOption,
  type Command,
  type CommandOptions,
} from "./session/command.js";
import { withIndex } from "./session/connection.js";
import { Progress } from "./session/progress.js";
import { printJson, printLine, type Terminal } from "./session/terminal.js";

/** How many ids of each finding are printed; `--json` has up to 1,000. */
const PRINTED_IDS = 20;

const sampleOption = {
  sample: {
    type: "string",
    value: "N",
    help: "embeds about N stored chunks again, to check their vectors; default 0",
  },
} as const satisfies CommandOptions;

/** Looks for damage, and compares the index with files. */
export const verify: Command = {
  name: "verify",
  summary: "Looks for damage, and compares the index with files if some are given",
  positionals: "[FILES...]",
  positionalCount: { least: 0, most: Infinity },
  details: [
    "Changes nothing. Ends with exit code 3 if something differs. Orphaned trainings are those that ingest --prune and reconcile",
    "would delete.",
    ...fileDetails,
  ],
  options: {
    ...schemaOption,
    ...filterOption,
    ...fileOptions,
    ...sampleOption,
    ...embedderOptions,
    ...jsonOption,
  },
  examples: ["training-index verify", "training-index verify docs --filter origem=docs --json"],
  run(args, terminal) {
    const sample = args.number("sample");
    const embeds = args.positionals.length > 0 || (sample ?? 0) > 0;
    const filter = args.filter();
    return withIndex(args, terminal, { embeds, filter }, async ({ index, schema }) => {
      const source =
        embeds && args.positionals.length > 0 ? await openSource(args, terminal, schema, filter) : undefined;
      const { onProgress, end } = showProgress(terminal, "verified", source?.count);
      const options = { sample, onProgress, signal: terminal.signal };
      const drift = await index.verify(source?.trainings(), options).finally(end);
      await printDrift(args, terminal, drift);
      return countOf(drift) === 0 ? exitCodes.fine : exitCodes.attention;
    });
  },
};

/** Makes the index equal to files. */
export const reconcile: Command = {
  name: "reconcile",
  summary: "Stores what is missing, stale or damaged, and deletes what the files do not have",
  positionals: "FILES...",
  positionalCount: { least: 1, most: Infinity },
  details: [
    "FILES must have all trainings that match --filter; without one, all of the index. What others store or delete meanwhile stays.",
    "--dry-run, or verify with the same arguments, says what would be done. Ends with exit code 3 if something is left to do.",
    ...fileDetails,
  ],
  options: {
    ...schemaOption,
    ...filterOption,
    ...fileOptions,
    "dry-run": { type: "boolean", help: "changes nothing" },
    "max-deletes": {
      type: "string",
      value: "N",
      help: "the most trainings that may be deleted; default 10 % of those that match --filter",
    },
    ...sampleOption,
    ...embedderOptions,
    ...jsonOption,
  },
  examples: [
    "training-index reconcile docs --filter origem=docs --dry-run",
    "training-index reconcile docs --filter origem=docs --max-deletes 50",
  ],
  run(args, terminal) {
    const filter = args.filter();
    const options = {
      dryRun: args.flag("dry-run"),
      maxDeletes: args.number("max-deletes"),
      sample: args.number("sample"),
      signal: terminal.signal,
    };
    return withIndex(args, terminal, { embeds: true, filter }, async ({ index, schema }) => {
      const source = await openSource(args, terminal, schema, filter, { needsText: true });
      const { onProgress, end } = showProgress(terminal, "compared", source.count);
      const result = await index
        .reconcile(source.trainings(), { ...options, onProgress })
        .catch((error: unknown) => {
          throw tooManyDeletes(error);
        })
        .finally(end);
      await printDrift(args, terminal, result);
      if (!args.flag("json")) {
        await printLine(terminal, options.dryRun ? "nothing was changed" : describeRepairs(result));
      }
      return isLeft(result, options.dryRun) ? exitCodes.attention : exitCodes.fine;
    });
  },
};

/** @returns the callback of the library, and what removes the bar */
function showProgress(
  { stderr }: Terminal,
  done: string,
  total: number | undefined,
): { onProgress: (progress: ReconcileProgress) => void; end: () => void } {
  const progress = new Progress(stderr, done, total);
  return {
    onProgress: ({ checked }) => {
      progress.update(checked);
    },
    end: () => {
      progress.end();
    },
  };
}

function tooManyDeletes(error: unknown): unknown {
  if (!InvalidArgumentError.is(error) || error.option !== "maxDeletes") return error;
  return new InputError(
    `${error.message.replace("maxDeletes", "--max-deletes").replace(/ If the source is.*/, "")} What is missing, ` +
      "stale or damaged has been repaired. If FILES are complete, raise --max-deletes",
    { cause: error },
  );
}

function describeRepairs({ repaired, deleted }: Reconciliation): string {
  return `repaired ${repaired}, deleted ${deleted}`;
}

/** Whether something is still as it should not be. */
function isLeft(result: Reconciliation, isDryRun: boolean): boolean {
  if (isDryRun) return countOf(result) > 0;
  const { repaired, deleted, missing, stale, damaged, orphaned, schema } = result;
  // A training can be stale and damaged at the same time.
  const toRepair = missing.count + Math.max(stale.count, damaged.count);
  return schema.length > 0 || repaired < toRepair || deleted < orphaned.count;
}

function countOf({ missing, stale, orphaned, damaged, schema }: Drift): number {
  return missing.count + stale.count + orphaned.count + damaged.count + schema.length;
}

async function printDrift(args: Arguments, terminal: Terminal, drift: Drift): Promise<void> {
  const { checked, missing, stale, orphaned, damaged, schema } = drift;
  const findings = { missing, stale, orphaned, damaged };
  const found = countOf(drift);
  if (args.flag("json")) await printJson(terminal, drift);
  else {
    await printLine(
      terminal,
      `checked ${checked} trainings: ${found === 0 ? "all as it should be" : `${found} findings`}`,
    );
    for (const [name, finding] of Object.entries(findings)) await printFinding(terminal, name, finding);
    for (const { id, kinds } of damaged.problems.slice(0, PRINTED_IDS)) {
      await printLine(terminal, `  ${String(id)}: ${kinds.join(", ")}`);
    }
    for (const { part, problem } of schema) await printLine(terminal, `schema: ${part}: ${problem}`);
  }
}

async function printFinding(terminal: Terminal, name: string, { count, ids }: Finding): Promise<void> {
  if (count === 0) return;
  const more = count > PRINTED_IDS ? ", ..." : "";
  await printLine(terminal, `${name} ${count}: ${ids.slice(0, PRINTED_IDS).map(String).join(", ")}${more}`);
}
