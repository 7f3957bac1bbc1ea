/** The file `.env` of this repository, for its scripts. Copy `.env.example` to make one. */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const DEFAULT_FILE = fileURLToPath(new URL("../.env", import.meta.url));

/**
 * Reads variables from `.env`, or from the file that `ENV_FILE` names; an empty `ENV_FILE` means none. Variables that are
 * set already keep their values. Only a script that is started calls this: whatever is imported must leave the environment
 * alone.
 */
export function loadEnvFile(): void {
  const named = process.env["ENV_FILE"];
  const file = named ?? DEFAULT_FILE;
  if (file === "" || (named === undefined && !existsSync(file))) return;
  // Node has it since 20.12, and the library runs from 20.3 on.
  const { loadEnvFile: load } = process as Partial<Pick<typeof process, "loadEnvFile">>;
  if (load) load(file);
  else console.error(`${file} was not read: that needs Node 20.12 or newer`);
}
