import { once } from "node:events";
import { readPage } from "../console/page.js";
import { startConsole, type RunningConsole } from "../console/server.js";
import { DEFAULT_SCHEMA } from "../schema/layout.js";
import type { Arguments } from "./session/arguments.js";
import { embedderOptions, exitCodes, messageOf, schemaOption, UsageError, type Command } from "./session/command.js";
import { openIndex, withPool } from "./session/connection.js";
import { printLine, printNote, type Terminal } from "./session/terminal.js";

const DEFAULT_PORT = 4080;
const HIGHEST_PORT = 65_535;

/** Serves a page to look at an index. */
export const openConsole: Command = {
  name: "console",
  summary: "Serves a page to search, read and, with --write, change the trainings of an index",
  details: [
    "Only this machine's browsers can open it, and only by the printed address, which is new at each start. Ctrl-C ends it.",
    "A database that is down, or a schema that is not migrated, is shown on the page.",
  ],
  options: {
    ...schemaOption,
    write: { type: "boolean", help: "lets the page create, edit and delete trainings; default: it only reads" },
    port: {
      type: "string",
      value: "N",
      help: `where to listen on 127.0.0.1; 0 for any free port; default ${DEFAULT_PORT}`,
    },
    ...embedderOptions,
  },
  examples: ["training-index console", "training-index console --write --schema loja --port 0"],
  run: (args, terminal) =>
    withPool(terminal, async (pool) => {
      const writable = args.flag("write");
      const page = await readPage(terminal.pageFolder());
      const running = await start(args, {
        page,
        writable,
        schema: args.text("schema") ?? DEFAULT_SCHEMA,
        open: async () => {
          const { index, schema } = await openIndex(pool, args, terminal, { embeds: true });
          return { index, pool, schema: schema.name, idType: schema.idType };
        },
        onError: (error) => {
          printNote(terminal, messageOf(error));
        },
      });
      try {
        await printLine(terminal, running.url);
        printNote(terminal, `${writable ? "The page can change trainings" : "The page only reads"}; Ctrl-C ends it`);
        await untilInterrupted(terminal);
        return exitCodes.fine;
      } finally {
        await running.close();
      }
    }),
};

async function start(args: Arguments, options: Parameters<typeof startConsole>[0]): Promise<RunningConsole> {
  const port = args.number("port") ?? DEFAULT_PORT;
  if (!Number.isInteger(port) || port < 0 || port > HIGHEST_PORT) {
    throw new UsageError(`--port must be a whole number from 0 to ${HIGHEST_PORT}`);
  }
  try {
    return await startConsole(options, port);
  } catch (error) {
    const { code } = error as { code?: unknown };
    if (code === "EADDRINUSE") throw new UsageError(`port ${port} is in use: --port chooses another, 0 any free one`);
    if (code === "EACCES") throw new UsageError(`port ${port} may not be used: --port chooses another, 0 any free one`);
    throw error;
  }
}

async function untilInterrupted({ signal }: Terminal): Promise<void> {
  if (!signal.aborted) await once(signal, "abort");
}
