#!/usr/bin/env node
import { realpathSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { exitCodes } from "./session/command.js";
import { openServerPool } from "./session/connection.js";
import { runProgram } from "./program.js";

const interrupted = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) {
  process.on(name, () => {
    // The second time: whatever still runs ends with the process, and a repeat of the command completes it.
    if (interrupted.signal.aborted) process.exit(exitCodes.interrupted);
    interrupted.abort();
  });
}
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  // The reader has seen enough, such as `head`.
  process.exit(error.code === "EPIPE" ? exitCodes.fine : exitCodes.failure);
});

function readVersion(): string {
  const require = createRequire(realpathSync(process.argv[1] ?? "."));
  return (require("langchain-training-index/package.json") as { version: string }).version;
}

/** The build puts the page beside the program. */
function pageFolder(): string {
  return join(dirname(realpathSync(process.argv[1] ?? ".")), "console");
}

const { loadEnvFile } = process as Partial<Pick<typeof process, "loadEnvFile">>;
void runProgram(process.argv.slice(2), {
  env: process.env,
  cwd: process.cwd(),
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  signal: interrupted.signal,
  loadEnvFile,
  openPool: openServerPool,
  version: readVersion,
  pageFolder,
}).then((code) => {
  process.exitCode = code;
});
