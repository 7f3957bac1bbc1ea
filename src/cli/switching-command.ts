import type { IndexStatus, SwitchProgress, SwitchResult } from "../index.js";
import type { Arguments } from "./session/arguments.js";
import {
  embedderOptions,
  exitCodes,
  jsonOption,
  PROGRAM,
  schemaOption,
  UsageError,
  type Command,
  type ExitCode,
} from "./session/command.js";
import { withIndex, type OpenedIndex } from "./session/connection.js";
import { embedderOf } from "./session/embedders.js";
import { printJson, printLine, printNote, printTable, type Terminal } from "./session/terminal.js";

const FLAGS = ["status", "back", "retire"] as const;
/** What only a switch to a new model takes. */
const MODEL_OPTIONS = ["model", "embedder", "dimensions"] as const;
/** What only a switch takes: `--retire --dry-run` must not drop anything. */
const BUILD_OPTIONS = ["dry-run", "concurrency", "max-texts-per-minute", "sample", "min-overlap"] as const;

const NUMBERS = ["dimensions", "concurrency", "max-texts-per-minute", "sample"] as const;

/** Switches the embedding model, and shows and ends what a switch leaves. */
export const switchCommand: Command = {
  name: "switch",
  summary: "Changes the embedding model without downtime",
  details: [
    "Embeds the stored chunks with the new model, and then makes it the one in use. A repeat continues an interrupted switch.",
    "Before, open the index with both models where it has to go on: initialize([oldModel, newModel], { pool }).",
  ],
  options: {
    ...schemaOption,
    ...embedderOptions,
    model: { type: "string", value: "MODEL", help: "Ollama's name of the new model" },
    dimensions: {
      type: "string",
      value: "N",
      help: "components of a vector of the new model; default those of its profile",
    },
    "dry-run": { type: "boolean", help: "only says what there is to do" },
    concurrency: { type: "string", value: "N", help: "batches that are embedded at the same time; default 2" },
    "max-texts-per-minute": { type: "string", value: "N", help: "leaves the embedder to others; default no limit" },
    sample: { type: "string", value: "N", help: "questions for the comparison of both models; default 20" },
    "min-overlap": {
      type: "string",
      value: "SHARE",
      help: "switches only if both models find at least this share of the same chunks, on average; default 0",
    },
    status: { type: "boolean", help: "shows the model that is built, or was in use before" },
    back: { type: "boolean", help: "switches back to the model that was in use before" },
    retire: { type: "boolean", help: "drops the model that is built, or was in use before" },
    ...jsonOption,
  },
  examples: [
    "training-index switch --model bge-m3 --dry-run",
    "training-index switch --model bge-m3 --max-texts-per-minute 600",
    "training-index switch --status",
    "training-index switch --back",
    "training-index switch --retire",
  ],
  run: async (args, terminal) => {
    const flags = FLAGS.filter((flag) => args.flag(flag));
    if (flags.length > 1) throw new UsageError(`--${flags.join(" and --")} cannot be combined`);
    const [flag] = flags;
    const foreign = flag === undefined ? [] : flag === "back" ? MODEL_OPTIONS : [...MODEL_OPTIONS, ...BUILD_OPTIONS];
    const given = foreign.find((name) => args.flag(name) || args.text(name) !== undefined);
    if (given !== undefined) throw new UsageError(`--${flag} and --${given} cannot be combined`);
    checkOverlap(args);
    for (const name of NUMBERS) args.number(name);
    const isNew = flag === undefined;
    const embeds = args.text("model") !== undefined || args.text("embedder") !== undefined;
    if (isNew && !embeds)
      throw new UsageError("--model is missing: name the new model, or use --status, --back or --retire");
    const isSwitch = isNew || flag === "back";
    return withIndex(args, terminal, { embeds: isSwitch ? "recorded" : false }, (opened) => {
      if (flag === "status") return showOther(args, terminal, opened);
      return flag === "retire" ? dropOther(args, terminal, opened) : switchTo(args, terminal, opened, flag === "back");
    });
  },
};

/** @throws {@link UsageError} */
function checkOverlap(args: Arguments): number {
  const least = args.number("min-overlap") ?? 0;
  if (least >= 0 && least <= 1) return least;
  throw new UsageError(`--min-overlap must be from 0 to 1, not ${least}`);
}

async function switchTo(
  args: Arguments,
  terminal: Terminal,
  { index, schema }: OpenedIndex,
  isBack: boolean,
): Promise<ExitCode> {
  const other = isBack ? (await index.status({ counts: false })).otherModel : undefined;
  if (isBack && other?.state !== "retired") throw new UsageError("--back: there is no model that was in use before");
  const dimensions = other?.dimensions ?? args.number("dimensions");
  const given = { dimensions: dimensions ?? schema.dimensions, recorded: undefined };
  const model = await embedderOf(args, terminal, given, other?.name);
  const least = checkOverlap(args);
  const result = await index.switchModel(model, {
    dimensions,
    dryRun: args.flag("dry-run"),
    concurrency: args.number("concurrency"),
    maxTextsPerMinute: args.number("max-texts-per-minute"),
    sample: args.number("sample"),
    check: ({ searches }) => (searches?.meanOverlap ?? 1) >= least,
    onProgress: (progress) => {
      printNote(terminal, `${PROGRAM}: ${describeProgress(progress)}`);
    },
    signal: terminal.signal,
  });
  if (args.flag("json")) await printJson(terminal, result);
  else await printTable(terminal, resultRows(result));
  return exitCodes.fine;
}

async function showOther(args: Arguments, terminal: Terminal, { index }: OpenedIndex): Promise<ExitCode> {
  const { model, otherModel } = await index.status({ counts: false, signal: terminal.signal });
  if (args.flag("json")) await printJson(terminal, { model, otherModel });
  else await printTable(terminal, otherRows(model, otherModel));
  return exitCodes.fine;
}

async function dropOther(args: Arguments, terminal: Terminal, { index }: OpenedIndex): Promise<ExitCode> {
  const dropped = await index.retireModel({ signal: terminal.signal });
  if (args.flag("json")) await printJson(terminal, { dropped });
  else
    await printLine(
      terminal,
      dropped ? `dropped ${dropped.name}, ${dropped.dimensions} dimensions` : "there is no other model",
    );
  return exitCodes.fine;
}

function describeProgress({ phase, trainings, remaining, texts, remainingMs }: SwitchProgress): string {
  const left = remainingMs === undefined ? "" : `, about ${Math.ceil(remainingMs / 60_000)} min left`;
  return `${phase}: ${trainings} trainings built, ${remaining} left, ${texts} texts embedded${left}`;
}

function resultRows({ status, from, to, plan, report, flip }: SwitchResult): string[][] {
  const models = [
    ["from", `${from.name}, ${from.dimensions} dimensions`],
    ["to", `${to.name}, ${to.dimensions} dimensions`],
    ["status", status],
  ];
  if (plan) {
    const { trainings, remaining, chunks, characters, needsSource, leastMs } = plan;
    return [
      ...models,
      ["trainings", `${trainings}, ${remaining} to build`],
      ["texts", `${chunks} chunks, ${characters} characters`],
      ...(needsSource ? [["source", "needed: the index has a header. Switch with index.switchModel and source"]] : []),
      ...(leastMs === undefined ? [] : [["time", `at least ${Math.ceil(leastMs / 60_000)} min`]]),
    ];
  }
  const { searches } = report ?? {};
  return [
    ...models,
    ["trainings", `${report?.trainings.stored ?? 0}`],
    ["chunks", `${report?.chunks.stored ?? 0} before, ${report?.chunks.built ?? 0} now`],
    ...(searches
      ? [
          [
            "same hits",
            `${(100 * searches.meanOverlap).toFixed(0)} % of ${searches.k}, for ${searches.questions} questions`,
          ],
        ]
      : []),
    ["writes waited", `${flip?.longestMs ?? 0} ms at most`],
  ];
}

function otherRows(model: IndexStatus["model"], other: IndexStatus["otherModel"]): string[][] {
  return [
    ["in use", `${model.name}, ${model.dimensions} dimensions`],
    [
      "other",
      other
        ? `${other.name}, ${other.dimensions} dimensions, ${other.state}, ${other.behind} trainings behind`
        : "none",
    ],
  ];
}
