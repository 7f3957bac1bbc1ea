import { fileURLToPath } from "node:url";
import { Readable, Writable } from "node:stream";
import { runProgram } from "../../src/cli/program.js";
import { openServerPool } from "../../src/cli/session/connection.js";
import type { Output, Terminal } from "../../src/cli/session/terminal.js";

const PAGE_FOLDER = fileURLToPath(new URL("../../src/console/page", import.meta.url));

/** What a run of the program in this process wrote, and its exit code. */
export interface ProgramRun {
  code: number;
  stdout: string;
  stderr: string;
}

/** An output that keeps what is written to it. */
export function recordedOutput(isTTY = false): Output & { text: string } {
  const output = new Writable({
    write(chunk: Buffer, _encoding, done) {
      recorded.text += chunk.toString();
      done();
    },
  });
  const recorded = Object.assign(output, { text: "", isTTY });
  return recorded;
}

/** Runs the program in this process. @param openPool - default: a pool on the server of `DATABASE_URL` */
export async function runHere(
  args: string[],
  env: Record<string, string> = {},
  cwd = "/",
  openPool: Terminal["openPool"] = openServerPool,
  stdin = "",
): Promise<ProgramRun> {
  const [stdout, stderr] = [recordedOutput(), recordedOutput()];
  const { signal } = new AbortController();
  const code = await runProgram(args, {
    env,
    cwd,
    stdin: Readable.from([Buffer.from(stdin)]),
    stdout,
    stderr,
    signal,
    loadEnvFile: undefined,
    openPool,
    version: () => "1.2.3",
    pageFolder: () => PAGE_FOLDER,
  });
  return { code, stdout: stdout.text, stderr: stderr.text };
}
