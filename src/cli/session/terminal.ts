import { once } from "node:events";
import type { Readable, Writable } from "node:stream";
import type pg from "pg";

/** Where a program writes to. */
export type Output = Writable & { isTTY?: boolean | undefined; columns?: number | undefined };

/** What a command knows of its process. */
export interface Terminal {
  env: Readonly<Record<string, string | undefined>>;
  /** The working folder: ids of files are relative to it. */
  cwd: string;
  stdin: Readable;
  stdout: Output;
  /** Errors and progress. */
  stderr: Output;
  /** Fires at Ctrl-C. */
  signal: AbortSignal;
  /** Adds the variables of a file to `env`, except those that it has; `undefined` before Node 20.12. */
  loadEnvFile: ((path: string) => void) | undefined;
  /** Opens a pool on a database, which the command ends. */
  openPool: (connectionString: string) => Promise<pg.Pool>;
  /** The version of this package. */
  version: () => string;
  /** The folder with the files of the console's page. */
  pageFolder: () => string;
}

/** Writes a line, and waits while the reader is slower. */
export async function printLine({ stdout, signal }: Terminal, line: string): Promise<void> {
  if (!stdout.write(`${line}\n`)) await once(stdout, "drain", { signal });
}

/** Writes a value as JSON, over several lines. */
export async function printJson(terminal: Terminal, value: unknown): Promise<void> {
  await printLine(terminal, JSON.stringify(value, plainValue, 2));
}

/** Writes a value as JSON in a single line. */
export async function printJsonLine(terminal: Terminal, value: unknown): Promise<void> {
  await printLine(terminal, JSON.stringify(value, plainValue));
}

/** Writes a line beside the output. On a terminal it takes the place of the progress bar, which is drawn again. */
export function printNote({ stderr }: Terminal, line: string): void {
  stderr.write(`${stderr.isTTY ? "\r\x1b[K" : ""}${line}\n`);
}

/** JSON has no bigint: its digits, as `pg` returns them. */
function plainValue(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? value.toString() : value;
}

/** Writes rows in columns. */
export async function printTable(terminal: Terminal, rows: readonly (readonly unknown[])[]): Promise<void> {
  const texts = rows.map((row) => row.map(String));
  const widths = (texts[0] ?? []).map((_, column) => Math.max(...texts.map((row) => row[column]?.length ?? 0)));
  for (const row of texts) {
    await printLine(
      terminal,
      row
        .map((text, column) => text.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    );
  }
}
