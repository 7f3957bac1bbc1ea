/**
 * A process that migrates, for `processes.int.test.ts`:
 *
 *   migrate-child.ts SCHEMA [VECTOR_INDEX]
 *
 * Prints `ready` once it has a connection, waits for a line, migrates, and prints the result.
 */
import { once } from "node:events";
import { migrate, type VectorIndexType } from "langchain-training-index/migrations";
import pg from "pg";

const [schema = "", type = ""] = process.argv.slice(2);
const vectorIndex = type === "" ? undefined : (type as VectorIndexType);
const pool = new pg.Pool({ connectionString: process.env["DATABASE_URL"], max: 1 });
await pool.query("SELECT 1");
console.log("ready");
await once(process.stdin, "data");
console.log(JSON.stringify(await migrate(pool, { schema, vectorIndex })));
await pool.end();
process.stdin.destroy();
