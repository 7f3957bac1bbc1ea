/**
 * Installs the packed package into projects as users have them, and prints a table of what works where. `--quick` runs one
 * row of each kind, `--built` takes the build that is there; other arguments choose groups by a part of their name. `TEST_DATABASE_URL` chooses the server, else it is
 * a container.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { table } from "../tooling/table.js";
import { postgresContainer } from "../tooling/postgres-container.js";
import { temporaryDatabase } from "../tooling/temporary-database.js";
import { ORM_GROUPS } from "./orms.js";
import { Project, run } from "./project.js";
import type { Context, Group } from "./row.js";
import { LOWEST_PEERS, RUNTIMES } from "./runtimes.js";
import { ESBUILD, NEWEST_PEERS, NEXT, TEST_RUNNERS, TYPESCRIPT } from "./tools.js";

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const GROUPS: readonly Group[] = [...RUNTIMES, LOWEST_PEERS, TYPESCRIPT, ESBUILD, NEXT, ...TEST_RUNNERS, ...ORM_GROUPS];
const TYPES = ["@types/node@20", "@types/pg"];

const args = process.argv.slice(2);
const isQuick = args.includes("--quick");
const names = args.filter((argument) => !argument.startsWith("--"));
const groups = GROUPS.filter(
  ({ name, isQuick: isOfQuickRun }) =>
    (!isQuick || isOfQuickRun) &&
    (names.length === 0 || names.some((part) => name.toLowerCase().includes(part.toLowerCase()))),
);

const begun = Date.now();
const cleanUps: (() => Promise<unknown>)[] = [];
const results: string[][] = [];
const failures: string[] = [];

try {
  const context = await openContext();
  for (const group of groups) await runGroup(group, context);
} finally {
  for (const cleanUp of cleanUps.reverse()) await cleanUp();
}

console.log(table(["runtime", "entry", "check", "result", "seconds"], results));
for (const failure of failures) console.error(`\n${failure}`);
const seconds = Math.round((Date.now() - begun) / 1000);
console.log(`${results.length - failures.length} passed, ${failures.length} failed, in ${seconds} seconds`);
process.exitCode = failures.length === 0 && results.length > 0 ? 0 : 1;

async function openContext(): Promise<Context> {
  const folder = await mkdtemp(join(tmpdir(), "matrix-package-"));
  cleanUps.push(() => rm(folder, { recursive: true, force: true }));
  if (!args.includes("--built")) await run("npm", ["run", "build", "--silent"], ROOT);
  const packed = await run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", folder], ROOT);
  const [{ filename } = { filename: "" }] = JSON.parse(packed) as { filename: string }[];
  const tarball = join(folder, filename);
  const serverUrl = process.env["TEST_DATABASE_URL"] ?? (await startContainer());
  const keep = async <T extends Project>(making: Promise<T>): Promise<T> => {
    const project = await making;
    cleanUps.push(() => project.remove());
    return project;
  };
  const newest = await keep(Project.create("newest", [tarball, ...NEWEST_PEERS, ...TYPES]));
  const database = async (): Promise<string> => {
    const { url, drop } = await temporaryDatabase(serverUrl, "matrix");
    cleanUps.push(drop);
    return url;
  };
  return { tarball, newest, database, keep };
}

async function startContainer(): Promise<string> {
  const image = process.env["TEST_POSTGRES_IMAGE"] ?? "pgvector/pgvector:pg17";
  const container = await postgresContainer(image).start();
  cleanUps.push(() => container.stop());
  return container.getConnectionUri();
}

async function runGroup(group: Group, context: Context): Promise<void> {
  let rows;
  try {
    rows = await group.prepare(context);
  } catch (error) {
    results.push([group.name, "", "installation", "FAILED", ""]);
    failures.push(`${group.name}, installation: ${messageOf(error)}`);
    return;
  }
  for (const row of isQuick ? rows.slice(0, 1) : rows) {
    const { runtime, entry, check } = row;
    const start = Date.now();
    const failure = await row.run().then(() => undefined, messageOf);
    const took = ((Date.now() - start) / 1000).toFixed(1);
    results.push([runtime, entry, check, failure === undefined ? "ok" : "FAILED", took]);
    if (failure !== undefined) failures.push(`${runtime}, ${entry}, ${check}: ${failure}`);
    console.error(`${failure === undefined ? "ok" : "FAILED"}  ${runtime}  ${entry}  ${check}  ${took} s`);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
