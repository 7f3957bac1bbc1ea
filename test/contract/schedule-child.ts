/**
 * A process that runs the commands of schedules for `schedules-processes.int.test.ts` until its parent disconnects:
 *
 *   schedule-child.ts SCHEMA
 */
import pg from "pg";
import { ScheduleWorker, type Command } from "./schedule-worker.js";

const [schema = ""] = process.argv.slice(2);
const pool = new pg.Pool({ connectionString: process.env["DATABASE_URL"], max: 5 });
pool.on("error", () => undefined);

const worker = await ScheduleWorker.open(pool, schema, (report) => process.send?.(report));
process.on("message", (command) => {
  worker.take(command as Command);
});
process.on("disconnect", () => {
  process.exit();
});
process.send?.("ready");
