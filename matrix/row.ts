import type { Project } from "./project.js";

/** One cell of the table: a check in a runtime, on an entry of the package. */
export interface Row {
  runtime: string;
  entry: string;
  check: string;
  /** Throws if the check fails. */
  run(): Promise<void>;
}

/** Rows that share packages to install. */
export interface Group {
  name: string;
  /** Whether a quick run has the first row of this group: one of each kind. */
  isQuick: boolean;
  /** Installs what the rows need. */
  prepare(context: Context): Promise<Row[]>;
}

/** What is made once for the whole run. */
export interface Context {
  /** The path of the packed package. */
  tarball: string;
  /** A project with the package and the newest version of each peer. */
  newest: Project;
  /** An empty database for one row. It is dropped when the row has ended. */
  database(): Promise<string>;
  /** Removes a project at the end. */
  keep<T extends Project>(project: Promise<T>): Promise<T>;
}

/** @throws if a program did not print what it should */
export function expectOutput(output: string, expected: readonly string[]): void {
  const lines = output.trim().split("\n");
  let next = 0;
  for (const line of expected) {
    const found = lines.indexOf(line, next);
    if (found < 0) throw new Error(`expected ${JSON.stringify(line)} in what was printed:\n${output}`);
    next = found + 1;
  }
}
