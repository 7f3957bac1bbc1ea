import { TrainingIndexError } from "../../errors.js";
import type { Arguments } from "./arguments.js";
import type { Terminal } from "./terminal.js";

/** The name of the program. */
export const PROGRAM = "training-index";

/** What the process ends with. Documented in docs/command-line.md. */
export const exitCodes = {
  fine: 0,
  /** The command failed: the database, the embedder, or a file. */
  failure: 1,
  /** The call is wrong: an unknown command, an invalid option, or a missing setting. */
  usage: 2,
  /** The command succeeded, and found something to look at: drift, or warnings. */
  attention: 3,
  /** Ctrl-C or SIGTERM. */
  interrupted: 130,
} as const;

/** One of {@link exitCodes}. */
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** An option of a command. */
export interface CommandOption {
  type: "string" | "boolean";
  /** The placeholder of the value in the help: `N`, `FILE`. Only for strings. */
  value?: string;
  help: string;
}

/** The options of a command, by their names without dashes. */
export type CommandOptions = Readonly<Record<string, CommandOption>>;

/** A command of the program. */
export interface Command {
  name: string;
  /** One line, for the list of commands. */
  summary: string;
  /** The arguments besides options, as the help shows them: `ID`, `FILES...`. */
  positionals?: string;
  /** How many of them there can be. Default: none. */
  positionalCount?: { least: number; most: number };
  /** Further lines of the help. */
  details?: readonly string[];
  options: CommandOptions;
  /** Complete command lines. */
  examples: readonly string[];
  run: (args: Arguments, terminal: Terminal) => Promise<ExitCode>;
}

/** The call itself is wrong; the message says how to correct it. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** A file cannot be used, or a setting of the machine is missing; the message has no text of a training. */
export class InputError extends Error {
  override readonly name = "InputError";
}

/** The message of an error in one line, without texts, vectors and connection strings. */
export function messageOf(error: unknown): string {
  const isOwn = TrainingIndexError.is(error) || error instanceof UsageError || error instanceof InputError;
  if (isOwn) return error.message.replace(/\s*\n\s*/g, " ");
  const { code, message } = (error ?? {}) as { code?: unknown; message?: string };
  const [, missing] = /^Cannot find package '([^']+)'/.exec(message ?? "") ?? [];
  if (missing !== undefined) return `the package ${missing} is not installed: npm install ${missing}`;
  // Messages of Node and of packages can quote texts.
  return `unexpected error${typeof code === "string" ? ` ${code}` : ""}; set DEBUG=1 to see it`;
}

/** Options of every command. */
export const sharedOptions = {
  "env-file": {
    type: "string",
    value: "FILE",
    help: "reads environment variables from FILE; default .env, if it exists",
  },
  help: { type: "boolean", help: "prints this" },
} as const satisfies CommandOptions;

/** Of commands that use an index. */
export const schemaOption = {
  schema: { type: "string", value: "NAME", help: "the schema of the index; default training_index" },
} as const satisfies CommandOptions;

/** Of commands that print data. */
export const jsonOption = {
  json: { type: "boolean", help: "prints JSON, for other programs" },
} as const satisfies CommandOptions;

/** Of commands that read or write only some trainings. */
export const filterOption = {
  filter: { type: "string", value: "FILTER", help: 'KEY=VALUE, or the filter language as JSON: {"grupo":"loja"}' },
} as const satisfies CommandOptions;

/** Of commands that search by the vector index. */
export const efSearchOption = {
  "ef-search": {
    type: "string",
    value: "N",
    help: "candidates of the vector index; default HNSW_EF_SEARCH, then 40",
  },
} as const satisfies CommandOptions;

/** Of commands that can need an embedding model. */
export const embedderOptions = {
  embedder: { type: "string", value: "NAME", help: "ollama (default), or hashing, a built-in one for trials" },
  model: {
    type: "string",
    value: "MODEL",
    help: "Ollama's name of the model; default EMBEDDINGS_MODEL, then the recorded one",
  },
  "ollama-url": { type: "string", value: "URL", help: "default OLLAMA_BASE_URL, then http://localhost:11434" },
} as const satisfies CommandOptions;
