/**
 * Opens an embedded database in a process of its own, for `embedded.int.test.ts`, and leaves its pool open. Bundled, and run by `node`:
 *
 *   embedded-child.ts stay|leave FOLDER
 *
 * With `stay` it prints `open`, and runs until it is killed.
 */
import { embeddedPool } from "langchain-training-index/embedded";

const [mode, folder] = process.argv.slice(2);
const pool = embeddedPool(folder);
await pool.query(mode === "stay" ? "CREATE TABLE note (text text)" : "SELECT");
if (mode === "stay") {
  console.log("open");
  setInterval(() => undefined, 1000);
}
