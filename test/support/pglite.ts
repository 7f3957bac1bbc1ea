/**
 * PGlite whose new databases begin with the files of one that was made before. Making them again, as `initdb` does, takes four fifths of a
 * database's start: 2 s of a core, and 4 s for the first one of a process. `vitest.config.ts` puts this into the place of the package, for
 * tests in the process; programs that tests start have the package itself.
 */
import { existsSync, readFileSync } from "node:fs";
import { mkdir, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { PGliteOptions } from "@electric-sql/pglite";
import packageJson from "../../node_modules/@electric-sql/pglite/package.json" with { type: "json" };
import { PGlite as OriginalPGlite } from "../../node_modules/@electric-sql/pglite/dist/index.js";

/** Made once for each version. */
const FILES = fileURLToPath(
  new URL(`../../node_modules/.cache/pglite-files/${packageJson.version}.tar`, import.meta.url),
);

let files: Blob | undefined;

/** Begins with them if it is made by `new`, in memory or in an empty folder. */
export class PGlite extends OriginalPGlite {
  constructor(options: PGliteOptions = {}) {
    if (isNew(options.dataDir) && existsSync(FILES)) {
      files ??= new Blob([readFileSync(FILES)]);
      super({ loadDataDir: files, ...options });
    } else super(options);
  }
}

function isNew(dataDir: string | undefined): boolean {
  return dataDir === undefined || (!dataDir.includes("://") && !existsSync(join(dataDir, "PG_VERSION")));
}

/** Makes the files if there are none. */
export async function prepareFiles(): Promise<void> {
  if (existsSync(FILES)) return;
  const database = await OriginalPGlite.create();
  const dump = await database.dumpDataDir("none");
  await database.close();
  await mkdir(dirname(FILES), { recursive: true });
  const unfinished = `${FILES}.${process.pid}`;
  await writeFile(unfinished, Buffer.from(await dump.arrayBuffer()));
  await rename(unfinished, FILES);
}
