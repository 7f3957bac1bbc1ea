/** The SQL of this recipe; the files beside it can be run by psql or any migration tool as they are. */
import { readFile } from "node:fs/promises";

/** The host's table, as Django makes it. */
export const tableSql = await readSql("table.sql");
/** What makes each write to it enqueue a job. */
export const triggerSql = await readSql("trigger.sql");
/** What takes that back. */
export const triggerDownSql = await readSql("trigger-down.sql");

function readSql(file: string): Promise<string> {
  return readFile(new URL(file, import.meta.url), "utf8");
}
