import type { DatabaseClient, DatabasePool } from "langchain-training-index";
import type pg from "pg";

/** A statement as it was sent to the database. */
export interface Statement {
  text: string;
  values: unknown[] | undefined;
}

/** The pool, and a growing list of all statements sent through it. */
export function recordingPool(pool: pg.Pool): { pool: DatabasePool; statements: Statement[] } {
  const statements: Statement[] = [];
  return {
    statements,
    pool: {
      query: (text, values) => {
        statements.push({ text, values });
        return pool.query(text, values);
      },
      connect: async () => {
        const client: DatabaseClient = await pool.connect();
        return new Proxy(client, {
          get: (target, property) => {
            if (property === "query") {
              return (text: string, values?: unknown[]) => {
                statements.push({ text, values });
                return target.query(text, values);
              };
            }
            const value: unknown = Reflect.get(target, property);
            return typeof value === "function" ? (value.bind(target) as unknown) : value;
          },
        });
      },
    },
  };
}

/** A statement without the comment that names it. */
export function withoutName(text: string): string {
  return text.replace(/ \/\*.*?\*\//, "");
}

/** The plan that Postgres makes for a statement, as text. */
export async function explain(
  pool: pg.Pool,
  { text, values }: Pick<Statement, "text"> & Partial<Statement>,
): Promise<string> {
  const { rows } = await pool.query<{ "QUERY PLAN": string }>(`EXPLAIN (COSTS OFF) ${text}`, values);
  const plan = rows.map((row) => row["QUERY PLAN"]).join("\n");
  return plan.replaceAll(SHARD_NUMBER, "");
}

/** What the names of tables and indexes end with in plans of a Citus cluster. */
const SHARD_NUMBER = /_\d{6}\b/g;

/** How many pages of 8 KB Postgres reads to run a statement. */
export async function pagesRead(pool: pg.Pool, { text, values }: Statement): Promise<number> {
  const { rows } = await pool.query<{ "QUERY PLAN": [{ Plan: Record<string, number> }] }>(
    `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${text}`,
    values,
  );
  const { "Shared Hit Blocks": hit = NaN, "Shared Read Blocks": read = NaN } = rows[0]?.["QUERY PLAN"][0].Plan ?? {};
  return hit + read;
}
