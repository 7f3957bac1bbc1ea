import { mkdir, readdir, readFile, rm, stat } from "node:fs/promises";
import { join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build, type BuildOptions, type Plugin } from "esbuild";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** Below `node_modules`, so that the bundle finds the packages that it imports. */
const FOLDER = join(ROOT, "node_modules/.cache/test-programs/");

const DAY_MS = 86_400_000;

const bundles = new Map<string, Promise<string>>();

interface BundleOptions {
  /**
   * Also bundles the packages, which halves the time of a start again: for programs that are started many times. Packages that read files
   * of their own cannot be bundled, such as PGlite.
   */
  withPackages?: boolean;
}

/**
 * Bundles a program that tests start, with our sources and without the packages: its process starts in a third of the time that `tsx` needs
 * to transform the sources one by one and to look at each file of the packages. An embedded database in it begins with prepared files. A
 * second call for the same program returns the same bundle.
 *
 * @returns the path of a module that `node` runs
 */
export function bundleProgram(entry: URL, { withPackages = false }: BundleOptions = {}): Promise<string> {
  const path = fileURLToPath(entry);
  const bundle = bundles.get(path) ?? makeBundle(path, withPackages ? PACKAGES_TOO : PACKAGES_APART);
  bundles.set(path, bundle);
  return bundle;
}

/** Removes the bundles of earlier runs. Younger ones can be those of a run that goes on. */
export async function removeOldBundles(): Promise<void> {
  for (const name of await readdir(FOLDER).catch(() => [])) {
    const path = join(FOLDER, name);
    const changedAt = await stat(path).then(
      ({ mtimeMs }) => mtimeMs,
      () => Infinity, // another run has removed it
    );
    if (changedAt < Date.now() - DAY_MS) await rm(path, { force: true });
  }
}

const PACKAGES_APART: BuildOptions = { packages: "external" };
const PACKAGES_TOO: BuildOptions = {
  external: ["pg-native"],
  // CommonJS among them requires the modules of Node.
  banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
};

async function makeBundle(path: string, packages: BuildOptions): Promise<string> {
  const name = relative(ROOT, path).replaceAll(/\W/g, "-");
  const outfile = join(FOLDER, `${name}-${process.pid}.mjs`);
  await mkdir(FOLDER, { recursive: true });
  await build({
    entryPoints: [path],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    ...packages,
    plugins: [preparedDatabase, addresses],
    // `scripts/contract-mutations.ts` has its children run changed sources.
    tsconfig: process.env["CHILD_TSCONFIG"] ?? "tsconfig.json",
    logLevel: "error",
  });
  return outfile;
}

const preparedDatabase: Plugin = {
  name: "prepared-database",
  setup(bundler) {
    bundler.onResolve({ filter: /^@electric-sql\/pglite$/ }, () => ({
      path: join(ROOT, "test/support/prepared-pglite.ts"),
    }));
  },
};

/** What modules find by their own address they find as if they were not bundled: files beside them, and those of packages. */
const addresses: Plugin = {
  name: "addresses",
  setup(bundler) {
    bundler.onLoad({ filter: /\.ts$/ }, async ({ path }) => ({
      loader: "ts",
      contents: (await readFile(path, "utf8")).replaceAll("import.meta.url", JSON.stringify(pathToFileURL(path).href)),
    }));
    bundler.onResolve({ filter: /^\.{1,2}\/.*node_modules\/.*\.js$/ }, ({ path, resolveDir }) => ({
      path: pathToFileURL(join(resolveDir, path)).href,
      external: true,
    }));
  },
};
