import { execFile } from "node:child_process";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

/** What the build is made of. A folder is as new as its last addition or removal. */
const SOURCES = ["src", "package.json", "package-lock.json", "tsconfig.json", "tsup.config.ts"];
const ENTRIES = ["index", "migrations", "ollama", "embedded", "testing", "http", "telemetry", "cli"];
/** What it makes, declarations last. */
const RESULTS = [
  "console",
  ...ENTRIES.flatMap((entry) => ["js", "cjs", "d.ts", "d.cts"].map((ending) => `${entry}.${ending}`)),
];

/** Builds the package, unless `dist` is newer than all that it is made of. A build takes 25 s, and CI has made one. */
export async function buildIfOutdated(root: string): Promise<void> {
  const results = await Promise.all(RESULTS.map((name) => changedAt(join(root, "dist", name))));
  const sources = await Promise.all(SOURCES.map((name) => newestIn(join(root, name))));
  if (Math.min(...results) > Math.max(...sources)) return;
  await promisify(execFile)("npm", ["run", "build", "--silent"], { cwd: root, maxBuffer: 64 * 1024 * 1024 });
}

/** In milliseconds; 0 if there is no such file. */
async function changedAt(path: string): Promise<number> {
  return stat(path).then(
    ({ mtimeMs }) => mtimeMs,
    () => 0,
  );
}

async function newestIn(path: string): Promise<number> {
  const entries = await readdir(path, { recursive: true }).catch(() => []);
  return Math.max(...(await Promise.all(["", ...entries].map((entry) => changedAt(join(path, entry))))));
}
