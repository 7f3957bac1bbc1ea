import type { IndexStatus } from "../index.js";
import { exitCodes, filterOption, jsonOption, schemaOption, type Command } from "./session/command.js";
import { withIndex } from "./session/connection.js";
import { printJson, printLine, printTable } from "./session/terminal.js";

/** Reports the state of an index. */
export const status: Command = {
  name: "status",
  summary: "Reports what is stored, its size, versions, and what to do",
  details: ["Ends with exit code 3 if there are warnings."],
  options: { ...schemaOption, ...filterOption, ...jsonOption },
  examples: ["training-index status", "training-index status --json | jq .counts"],
  run: (args, terminal) =>
    withIndex(args, terminal, { embeds: false, filter: args.filter() }, async ({ index }) => {
      const found = await index.status({ signal: terminal.signal });
      if (args.flag("json")) await printJson(terminal, found);
      else {
        await printTable(terminal, statusRows(found));
        for (const { code, message } of found.warnings) await printLine(terminal, `warning ${code}: ${message}`);
      }
      return found.warnings.length === 0 ? exitCodes.fine : exitCodes.attention;
    }),
};

/** Measures what searches by the vector index miss. */
export const recall: Command = {
  name: "recall",
  summary: "Measures how many of the nearest chunks searches find, by efSearch",
  options: {
    ...schemaOption,
    ...filterOption,
    k: { type: "string", value: "N", help: "how many nearest chunks to compare; default 10" },
    "ef-search": { type: "string", value: "N,N...", help: "what to measure; default 40,100,200,400" },
    sample: { type: "string", value: "N", help: "how many stored vectors to use as questions; default 100" },
    target: { type: "string", value: "SHARE", help: "the recall that the suggestion should reach; default 0.95" },
    "max-ms": { type: "string", value: "MS", help: "begins no further question after this time; default 30000" },
    ...jsonOption,
  },
  examples: ["training-index recall", "training-index recall --k 5 --ef-search 20,40,80 --json"],
  run: (args, terminal) => {
    const numbers = { k: args.number("k"), sample: args.number("sample"), target: args.number("target") };
    const options = {
      ...numbers,
      maxMs: args.number("max-ms"),
      efSearch: args.numbers("ef-search"),
      filter: args.filter(),
    };
    return withIndex(args, terminal, { embeds: false }, async ({ index }) => {
      const report = await index.recall({ ...options, signal: terminal.signal });
      if (args.flag("json")) await printJson(terminal, report);
      else {
        const rows = report.rows.map((row) => [
          row.efSearch,
          row.recall.toFixed(3),
          row.p50Ms.toFixed(1),
          row.p95Ms.toFixed(1),
        ]);
        if (rows.length > 0) await printTable(terminal, [["efSearch", "recall", "p50 ms", "p95 ms"], ...rows]);
        await printLine(terminal, report.suggestion);
      }
      return exitCodes.fine;
    });
  },
};

function statusRows({
  schema,
  model,
  otherModel,
  counts,
  sizes,
  vectorIndex,
  textSearch,
  server,
}: IndexStatus): string[][] {
  const about = counts?.exact === false ? "about " : "";
  const { trainings = 0, chunks = 0, tombstones = 0 } = counts ?? {};
  const state = vectorIndex.valid ? "valid" : vectorIndex.exists ? "invalid" : "missing";
  return [
    ["schema", `${schema.name}, version ${schema.version} of ${schema.latest}`],
    ["model", `${model.name}, ${model.dimensions} dimensions${model.recorded ? "" : ", not recorded yet"}`],
    ...(otherModel
      ? [["other model", `${otherModel.name}, ${otherModel.state}, ${otherModel.behind} trainings behind`]]
      : []),
    ["stored", `${about}${trainings} trainings, ${chunks} chunks, ${tombstones} deleted`],
    ["size", `${megabytes(sizes.total)}: tables ${megabytes(sizes.tables)}, indexes ${megabytes(sizes.indexes)}`],
    ["vector index", `${vectorIndex.type}, ${state}, ${megabytes(vectorIndex.bytes)}, ${vectorIndex.use}`],
    ["text search", textSearch ?? "none"],
    ["server", `Postgres ${server.postgres}, pgvector ${server.pgvector}${server.isStandby ? ", standby" : ""}`],
  ];
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
