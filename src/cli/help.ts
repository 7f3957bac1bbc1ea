import { PROGRAM, sharedOptions, type Command, type CommandOptions } from "./session/command.js";

/** What the program prints with `--help`. */
export function programHelp(commands: readonly Command[]): string {
  return [
    `usage: ${PROGRAM} COMMAND [options]`,
    "",
    "Migrates, fills, searches and checks an index of trainings in Postgres.",
    "",
    ...columns(commands.map(({ name, positionals = "", summary }) => [`${name} ${positionals}`.trim(), summary])),
    "",
    `${PROGRAM} COMMAND --help has the options and examples of a command; ${PROGRAM} --version prints the version.`,
    "",
    "environment, also from the file .env:",
    ...columns([
      ["DATABASE_URL", "postgres://user:password@host/database"],
      ["OLLAMA_BASE_URL", "default http://localhost:11434"],
      ["EMBEDDINGS_MODEL", "default: the recorded model, then mxbai-embed-large"],
      ["HNSW_EF_SEARCH", "of searches; HNSW_M and HNSW_EF_CONSTRUCTION of migrate"],
      ["DEBUG", "prints the stack and causes of errors, which can contain texts"],
    ]),
    "",
    "exit codes: 0 fine, 1 failed, 2 wrong usage, 3 drift or warnings found, 130 interrupted",
  ].join("\n");
}

/** What the program prints with `COMMAND --help`. */
export function commandHelp({ name, positionals, summary, details = [], options, examples }: Command): string {
  return [
    `usage: ${[PROGRAM, name, positionals, "[options]"].filter(Boolean).join(" ")}`,
    "",
    `${summary}.`,
    ...details,
    "",
    "options:",
    ...columns(optionRows({ ...options, ...sharedOptions })),
    "",
    "examples:",
    ...examples.map((example) => `  ${example}`),
  ].join("\n");
}

function optionRows(options: CommandOptions): [string, string][] {
  return Object.entries(options).map(([name, { value = "", help }]) => [`--${name} ${value}`.trim(), help]);
}

function columns(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`);
}
