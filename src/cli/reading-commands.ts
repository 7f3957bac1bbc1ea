import { searchModes } from "../hit-types.js";
import type { StoredTraining } from "../index.js";
import {
  efSearchOption,
  embedderOptions,
  exitCodes,
  filterOption,
  InputError,
  jsonOption,
  schemaOption,
  type Command,
} from "./session/command.js";
import { withIndex } from "./session/connection.js";
import { printJson, printJsonLine, printLine, printTable } from "./session/terminal.js";

/** Lists trainings. */
export const list: Command = {
  name: "list",
  summary: "Lists the stored trainings in the order of their ids",
  details: [
    "With --json one object a line. Without it: id, chunks, revision (- without one), time of the last upsert, metadata.",
  ],
  options: {
    ...schemaOption,
    ...filterOption,
    after: { type: "string", value: "ID", help: "begins after this id" },
    limit: { type: "string", value: "N", help: "how many at most; default all" },
    ...jsonOption,
  },
  examples: ["training-index list --filter grupo=loja --limit 20", "training-index list --json | wc -l"],
  run: (args, terminal) =>
    withIndex(args, terminal, { embeds: false }, async ({ index }) => {
      const options = { filter: args.filter(), after: args.text("after"), limit: args.number("limit") };
      for await (const training of index.list({ ...options, signal: terminal.signal })) {
        if (args.flag("json")) await printJsonLine(terminal, training);
        else await printLine(terminal, describeTraining(training).join("\t"));
      }
      return exitCodes.fine;
    }),
};

/** Prints a training with its chunks. */
export const get: Command = {
  name: "get",
  summary: "Prints a stored training and its chunks",
  positionals: "ID",
  positionalCount: { least: 1, most: 1 },
  details: ["Fails with exit code 1 if it is not stored."],
  options: { ...schemaOption, ...jsonOption },
  examples: ["training-index get docs/frete.md", "training-index get 17 --json"],
  run: (args, terminal) =>
    withIndex(args, terminal, { embeds: false }, async ({ index }) => {
      const [id = ""] = args.positionals;
      const { signal } = terminal;
      const training = await index.get(id, { signal });
      if (!training) throw new InputError(`there is no training ${JSON.stringify(id)}`);
      const chunks = await index.chunks(id, { signal });
      if (args.flag("json")) await printJson(terminal, { ...training, chunks });
      else {
        await printLine(terminal, describeTraining(training).join("  "));
        for (const { position, start, end, content } of chunks) {
          await printLine(terminal, `\n[${position}] ${start}-${end}\n${content}`);
        }
      }
      return exitCodes.fine;
    }),
};

/** Finds passages for a question. */
export const search: Command = {
  name: "search",
  summary: "Finds the passages that answer a question",
  positionals: "QUESTION",
  positionalCount: { least: 1, most: 1 },
  options: {
    ...schemaOption,
    ...filterOption,
    k: { type: "string", value: "N", help: "how many at most; default 5" },
    mode: { type: "string", value: "MODE", help: `${searchModes.join(", ")}; default vector` },
    "min-score": { type: "string", value: "SCORE", help: "leaves out passages with a lower score" },
    ...efSearchOption,
    ...embedderOptions,
    ...jsonOption,
  },
  examples: [
    'training-index search "Qual é o prazo de entrega?"',
    "training-index search frete --mode text --k 3 --json",
  ],
  run(args, terminal) {
    const mode = args.choice("mode", searchModes) ?? "vector";
    const numbers = { k: args.number("k"), minScore: args.number("min-score"), efSearch: args.number("ef-search") };
    const options = { mode, filter: args.filter(), ...numbers, signal: terminal.signal };
    return withIndex(args, terminal, { embeds: mode !== "text" }, async ({ index }) => {
      const hits = await index.similar(args.positionals[0] ?? "", options);
      if (args.flag("json")) await printJson(terminal, hits);
      else {
        const rows = hits.map(({ score, trainingId, content }) => [
          score.toFixed(3),
          trainingId,
          content.replace(/\s+/g, " "),
        ]);
        await printTable(terminal, rows);
      }
      return exitCodes.fine;
    });
  },
};

function describeTraining({ id, chunks, revision, updatedAt, metadata }: StoredTraining): string[] {
  return [String(id), String(chunks), String(revision ?? "-"), updatedAt.toISOString(), JSON.stringify(metadata)];
}
