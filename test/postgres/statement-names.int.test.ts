import { TrainingIndex } from "langchain-training-index";
import pg from "pg";
import { expect, it, onTestFinished } from "vitest";
import { describeOnServer, requireServerUrl } from "../support/databases.js";
import { CountingEmbeddings, migratedSchema } from "../support/index.js";

/** A statement of more than the 1,024 bytes that pg_stat_activity keeps. */
const NAMED = /^\s*SELECT \/\* langchain-training-index:search-exactly \*\/ /;

describeOnServer("the name of a statement", (database) => {
  it("is shown by auto_explain, pg_stat_activity and pg_stat_statements", async () => {
    const schema = await migratedSchema(database);
    const connect = (): pg.Pool => {
      const pool = new pg.Pool({ connectionString: requireServerUrl(), max: 1 }); // a superuser, who may LOAD
      onTestFinished(() => pool.end());
      return pool;
    };
    const [pool, observer] = [connect(), connect()];
    const plans: string[] = [];
    pool.on("connect", (client) => client.on("notice", ({ message = "" }) => plans.push(message)));
    const { rows } = await pool.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
    await pool.query("LOAD 'auto_explain'; SET auto_explain.log_min_duration = 0; SET client_min_messages = log");
    await pool.query("SET pg_stat_statements.track = 'all'"); // without the module a setting that nothing reads
    const index = await TrainingIndex.initialize(new CountingEmbeddings(), { pool, schema });
    await index.similar("frete");

    const explained = plans.map((plan) => /Query Text: (.*)/s.exec(plan)?.[1] ?? "");
    expect(explained.filter((text) => NAMED.test(text))).toHaveLength(1);
    const read = async (text: string, values: unknown[] = []): Promise<string[]> =>
      (await observer.query<{ query: string }>(text, values)).rows.map(({ query }) => query);
    const [active = ""] = await read("SELECT query FROM pg_stat_activity WHERE pid = $1", [rows[0]?.pid]);
    expect(active).toMatch(NAMED);
    expect(active.length).toBeLessThan(1024); // cut off

    const [preloaded = ""] = await read("SELECT current_setting('shared_preload_libraries') AS query");
    if (!preloaded.includes("pg_stat_statements")) return; // a server of TEST_DATABASE_URL that was not started with it
    await observer.query("CREATE EXTENSION IF NOT EXISTS pg_stat_statements");
    const kept = await read("SELECT query FROM pg_stat_statements WHERE query LIKE '%' || $1 || '%'", [schema]);
    expect(kept.filter((text) => NAMED.test(text))).toHaveLength(1);
  });
});
