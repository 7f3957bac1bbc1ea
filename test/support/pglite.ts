/**
 * PGlite whose new databases begin with the files of one that was made before, and with a small cache: a database starts in .5 s of a core
 * instead of 3 s, and the first one of a process in 2 s instead of 5 s. Making the files, as `initdb` does, takes most of that, and preparing
 * a cache of 128 MB .6 s. `vitest.config.ts` puts this into the place of the package for tests in the process, `bundleProgram` for programs.
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
  new URL(`../../node_modules/.cache/pglite-files/${packageJson.version}-checkpoint.tar`, import.meta.url),
);

/** The databases of tests are small, and most of them in memory: a large cache gains nothing. */
const SMALL_CACHE = ["-c", "shared_buffers=16MB"];

/** A file that gives out its bytes as they are. A `Blob` of Node copies them piece by piece, for .4 s of a core. */
class LoadedFile extends Blob {
  readonly #bytes: ArrayBuffer;

  constructor(path: string) {
    super([]);
    this.#bytes = new Uint8Array(readFileSync(path)).buffer;
  }

  override arrayBuffer(): Promise<ArrayBuffer> {
    return Promise.resolve(this.#bytes);
  }
}

let files: LoadedFile | undefined;

/** Begins with them if it is made by `new`, in memory or in an empty folder. */
export class PGlite extends OriginalPGlite {
  constructor(options: PGliteOptions = {}) {
    const startParams = [...(options.startParams ?? OriginalPGlite.defaultStartParams), ...SMALL_CACHE];
    if (isNew(options.dataDir) && existsSync(FILES)) {
      files ??= new LoadedFile(FILES);
      super({ loadDataDir: files, ...options, startParams });
    } else super({ ...options, startParams });
  }
}

function isNew(dataDir: string | undefined): boolean {
  return dataDir === undefined || (!dataDir.includes("://") && !existsSync(join(dataDir, "PG_VERSION")));
}

/** Makes the files if there are none. */
export async function prepareFiles(): Promise<void> {
  if (existsSync(FILES)) return;
  const database = await OriginalPGlite.create();
  await database.exec("CHECKPOINT"); // a database that begins with the files has nothing to recover
  const dump = await database.dumpDataDir("none");
  await database.close();
  await mkdir(dirname(FILES), { recursive: true });
  const unfinished = `${FILES}.${process.pid}`;
  await writeFile(unfinished, Buffer.from(await dump.arrayBuffer()));
  await rename(unfinished, FILES);
}
