/**
 * Checks that the contract's tests can fail: removes one mechanism at a time from a copy of the sources, and expects the
 * tests of its clause to fail.
 *
 *   npm run test:mutations [-- NAME]
 *
 * Needs the real server that `npm test` uses. Exits with 1 if a removal goes unnoticed.
 */
import { spawnSync } from "node:child_process";
import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { fileURLToPath } from "node:url";
import { table } from "../tooling/table.js";
import { mutations, type Mutation } from "./mutations.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const copy = ".mutant";
const { positionals } = parseArgs({ allowPositionals: true });
const chosen = mutations.filter(({ name }) => positionals.every((word) => name.includes(word)));
const rows = chosen.map((mutation) => [mutation.name, mutation.noticedBy.join(", "), isNoticed(mutation)]);
rmSync(join(root, copy), { recursive: true, force: true });
console.log(table(["removed mechanism", "tests", "noticed"], rows, [74, 18, 9]));
if (rows.some(([, , noticed]) => noticed !== "yes")) process.exitCode = 1;

/** `yes` if each of the test files fails without the mechanism. */
function isNoticed({ name, noticedBy, file, from, to }: Mutation): string {
  rmSync(join(root, copy), { recursive: true, force: true });
  cpSync(join(root, "src"), join(root, copy), { recursive: true });
  const path = join(root, copy, file);
  const source = readFileSync(path, "utf8");
  if (source.split(from).length !== 2) throw new Error(`${file} must contain this exactly once: ${from}`);
  writeFileSync(
    path,
    source.replace(from, () => to),
  );
  const tsconfig = writeTsconfig();
  const missed = noticedBy.filter((test) => {
    const { status, stdout } = spawnSync(
      "npx",
      [
        "vitest",
        "run",
        "--project",
        "integration",
        test.includes("/") ? test : `test/contract/${test}`,
        "--bail",
        "1",
        "--reporter",
        "dot",
      ],
      {
        cwd: root,
        env: { ...process.env, CONTRACT_SOURCES: copy, CHILD_TSCONFIG: tsconfig },
        encoding: "utf8",
      },
    );
    // A run without tests proves nothing.
    if (!/Tests .*\d+ (passed|failed)/.test(stripColours(stdout))) throw new Error(`${name}: no test ran\n${stdout}`);
    return status === 0;
  });
  console.log(`${missed.length === 0 ? "noticed" : `MISSED by ${missed.join(", ")}`}: ${name}`);
  return missed.length === 0 ? "yes" : "NO";
}

/** Makes processes that tests start use the copy of the sources, too. */
function writeTsconfig(): string {
  const { paths } = (
    JSON.parse(readFileSync(join(root, "tsconfig.json"), "utf8")) as {
      compilerOptions: { paths: Record<string, string[]> };
    }
  ).compilerOptions;
  const copied = Object.entries(paths).map(([name, files]) => [name, files.map((file) => file.replace("./src", "."))]);
  const path = join(root, copy, "tsconfig.json");
  const options = {
    extends: "../tsconfig.json",
    compilerOptions: { paths: Object.fromEntries(copied) as unknown },
  };
  writeFileSync(path, JSON.stringify(options));
  return path;
}

function stripColours(text: string): string {
  // eslint-disable-next-line no-control-regex -- matches the escape character
  return text.replace(/\u001b\[\d+m/g, "");
}
