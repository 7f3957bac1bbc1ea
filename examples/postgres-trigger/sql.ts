/** The SQL of this recipe. The files can also be run by psql or any migration tool. */
import { readFile } from "node:fs/promises";

/** The host's table, as Django creates it. */
export const tableSql = await readSql("table.sql");
/** The triggers that enqueue a job for each write. */
export const triggerSql = await readSql("trigger.sql");
/** Removes the triggers. */
export const triggerDownSql = await readSql("trigger-down.sql");

function readSql(file: string): Promise<string> {
  return readFile(new URL(file, import.meta.url), "utf8");
}
