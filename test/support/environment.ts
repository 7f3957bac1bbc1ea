import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";

/** The variables of a program that a test starts: those that a newcomer has, and the given ones. */
export function newcomersEnvironment(variables: Record<string, string> = {}): Record<string, string> {
  const { PATH = "", HOME = "" } = process.env;
  return { PATH, HOME, ...variables };
}

const PREPARED = "node_modules/.cache/prepared-pglite/tsconfig.json";

/**
 * The same for a program in TypeScript on the embedded database, which starts in half of the time: it imports `prepared-pglite.ts` in place
 * of the package. `tsx` reads that from a `tsconfig.json` that is like ours otherwise.
 */
export function preparedEnvironment(variables: Record<string, string> = {}): Record<string, string> {
  const { compilerOptions } = JSON.parse(readFileSync("tsconfig.json", "utf8")) as {
    compilerOptions: { paths: Record<string, string[]> };
  };
  const given = { ...compilerOptions.paths, "@electric-sql/pglite": ["./test/support/prepared-pglite.ts"] };
  const paths = Object.fromEntries(
    Object.entries(given).map(([name, files]) => [name, files.map((file) => resolve(file))]),
  );
  mkdirSync(dirname(PREPARED), { recursive: true });
  // Renamed into its place: a program that another test has started may be reading it.
  const unfinished = `${PREPARED}.${process.pid}`;
  writeFileSync(unfinished, JSON.stringify({ compilerOptions: { ...compilerOptions, paths } }));
  renameSync(unfinished, PREPARED);
  return newcomersEnvironment({ TSX_TSCONFIG_PATH: resolve(PREPARED), ...variables });
}
