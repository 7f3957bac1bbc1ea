import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { inspect } from "node:util";
import { nearestName } from "../calls/checks.js";
import { AbortError, InvalidArgumentError, TrainingIndexError } from "../errors.js";
import { parseCommand } from "./session/arguments.js";
import { exitCodes, messageOf, PROGRAM, UsageError, type Command, type ExitCode } from "./session/command.js";
import { commandHelp, programHelp } from "./help.js";
import { ingest } from "./ingest.js";
import { reconcile, verify } from "./checking-commands.js";
import { openConsole } from "./console-command.js";
import { evaluate } from "./evaluation.js";
import { exportIndex, importIndex } from "./moving-commands.js";
import { recall, status } from "./operating-commands.js";
import { get, list, search } from "./reading-commands.js";
import { migrate, sql } from "./schema-commands.js";
import { switchCommand } from "./switching-command.js";
import { printLine, type Terminal } from "./session/terminal.js";

/** All commands, in the order of the help. */
export const commands: readonly Command[] = [
  ...[migrate, sql, status, verify, recall, list, get, search, openConsole, ingest],
  ...[reconcile, evaluate, exportIndex, importIndex, switchCommand],
];

/** Runs the program. Never throws: errors are printed to stderr. @param args - without the program's name */
export async function runProgram(args: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const [name, ...rest] = args;
  const command = commands.find((candidate) => candidate.name === name);
  try {
    return command ? await runCommand(command, rest, terminal) : await runWithoutCommand(name, rest, terminal);
  } catch (error) {
    return report(error, command, terminal);
  }
}

async function runCommand(command: Command, given: string[], terminal: Terminal): Promise<ExitCode> {
  const args = parseCommand(command, given);
  if (args.flag("help")) {
    await printLine(terminal, commandHelp(command));
    return exitCodes.fine;
  }
  loadEnvFile(args.text("env-file"), terminal);
  return command.run(args, terminal);
}

async function runWithoutCommand(name: string | undefined, rest: string[], terminal: Terminal): Promise<ExitCode> {
  if (name === "--version") {
    await printLine(terminal, terminal.version());
    return exitCodes.fine;
  }
  if (name === "--help" || name === "-h" || name === "help") {
    const named = commands.find((command) => command.name === rest[0]);
    await printLine(terminal, named ? commandHelp(named) : programHelp(commands));
    return exitCodes.fine;
  }
  if (name === undefined) throw new UsageError(`name a command; ${PROGRAM} --help lists them`);
  const nearest = nearestName(
    name,
    commands.map((command) => command.name),
  );
  const hint = nearest === undefined ? `${PROGRAM} --help lists them` : `did you mean ${nearest}?`;
  throw new UsageError(`there is no command ${JSON.stringify(name)}; ${hint}`);
}

function loadEnvFile(named: string | undefined, terminal: Terminal): void {
  const path = resolve(terminal.cwd, named ?? ".env");
  if (!existsSync(path)) {
    if (named !== undefined) throw new UsageError(`there is no file ${named}`);
    return;
  }
  if (terminal.loadEnvFile) terminal.loadEnvFile(path);
  else terminal.stderr.write(`${PROGRAM}: ${path} was not read: that needs Node 20.12 or newer\n`);
}

/** Prints an error in one line; with `DEBUG` all that is known of it. */
function report(error: unknown, command: Command | undefined, { env, stderr, signal }: Terminal): ExitCode {
  if (AbortError.is(error) || signal.aborted) {
    stderr.write(`${PROGRAM}: interrupted\n`);
    return exitCodes.interrupted;
  }
  stderr.write(`${PROGRAM}: ${describe(error, command)}\n`);
  if (env["DEBUG"]) stderr.write(`${inspect(error)}\n`);
  return error instanceof UsageError || InvalidArgumentError.is(error) ? exitCodes.usage : exitCodes.failure;
}

function describe(error: unknown, command: Command | undefined): string {
  if (InvalidArgumentError.is(error)) return withOptionName(error, command);
  const remedy = TrainingIndexError.is(error) ? REMEDIES[error.code] : undefined;
  return `${messageOf(error)}${remedy ?? ""}`;
}

/** The library calls it `maxDeletes`, this program `--max-deletes`. */
function withOptionName(error: InvalidArgumentError, command: Command | undefined): string {
  const { option } = error;
  const message = messageOf(error);
  const name = option.replace(/^hnsw\./, "").replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  return Object.hasOwn(command?.options ?? {}, name) ? message.replace(option, `--${name}`) : message;
}

/** What the messages of the library say in TypeScript. */
const REMEDIES: Partial<Record<string, string>> = {
  SCHEMA_OUTDATED: ` (here: ${PROGRAM} migrate)`,
  SCHEMA_DAMAGED: ` (here: ${PROGRAM} migrate)`,
  PROFILE_MISMATCH: " (here: --model or --embedder)",
};
