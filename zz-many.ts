import pg from "pg";
import { migrate } from "langchain-training-index/migrations";
import { TrainingIndex } from "langchain-training-index";
import { HashingEmbeddings } from "langchain-training-index/testing";

const COUNT = Number(process.argv[2] ?? 300);
const pool = new pg.Pool({ connectionString: "postgres://postgres:test@127.0.0.1:55450/postgres", max: 8 });
pool.on("error", () => undefined);
const embeddings = new HashingEmbeddings({ dimensions: 64 });
const name = (n: number): string => `many_${n}`;
const p50 = (values: number[]): string => (values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0).toFixed(1);
const timed = async (times: number[], work: () => Promise<unknown>): Promise<void> => {
  const at = performance.now();
  await work();
  times.push(performance.now() - at);
};
const log = (...parts: unknown[]): void => console.log(new Date().toISOString().slice(11, 19), ...parts);

const migrations: number[] = [];
const opens: number[] = [];
const upserts: number[] = [];
const searches: number[] = [];
const begin = performance.now();
let next = 0;
await Promise.all(
  Array.from({ length: 3 }, async () => {
    while (next < COUNT) {
      const schema = name(next++);
      await timed(migrations, () => migrate(pool, { schema, dimensions: 64, citus: "schema" }));
      await timed(opens, async () => {
        const index = await TrainingIndex.initialize(embeddings, { pool, schema });
        await timed(upserts, () => index.upsertTraining({ id: "a", content: `o prazo de ${schema}` }));
        await timed(searches, () => index.similar(`o prazo de ${schema}`, { k: 1 }));
      });
    }
  }),
);
log(`${COUNT} schemas in ${((performance.now() - begin) / 1000).toFixed(0)} s: migrate p50 ${p50(migrations)} ms, first upsert ${p50(upserts)}, first search ${p50(searches)}`);
const { rows } = await pool.query(
  "SELECT nodename, count(DISTINCT colocation_id)::integer AS schemas, count(*)::integer AS shards, sum(shard_size)::bigint AS bytes FROM citus_shards WHERE table_name::text LIKE 'many_%' GROUP BY 1 ORDER BY 1",
);
log(JSON.stringify(rows));

// A schema is moved while it is written and searched.
const schema = name(0);
const index = await TrainingIndex.initialize(embeddings, { pool, schema });
const at = await pool.query<{ n: string }>("SELECT DISTINCT nodename AS n FROM citus_shards WHERE table_name::text LIKE $1", [`${schema}.%`]);
const target = at.rows[0]?.n === "citus-w1" ? "citus-w2" : "citus-w1";
let isMoved = false;
let writes = 0;
let failures = 0;
let longest = 0;
const load = Array.from({ length: 4 }, async (_, writer) => {
  for (let n = 0; !isMoved; n++) {
    const started = performance.now();
    try {
      await index.upsertTraining({ id: `${writer}-${n % 50}`, content: `texto ${writer} ${n}` });
      const [hit] = await index.similar(`texto ${writer} ${n}`, { k: 1 });
      if (hit?.content !== `texto ${writer} ${n}`) failures++;
      writes++;
    } catch (error) {
      failures++;
      console.log("failure", String(error), String((error as Error).cause));
    }
    longest = Math.max(longest, performance.now() - started);
  }
});
await new Promise((resolve) => setTimeout(resolve, 2000));
const moving = performance.now();
await pool.query("SELECT citus_schema_move($1, $2, 5432, 'force_logical')", [schema, target]);
const took = performance.now() - moving;
isMoved = true;
await Promise.all(load);
log(`moved to ${target} in ${took.toFixed(0)} ms; ${writes} writes with a search each meanwhile, ${failures} failures, longest ${longest.toFixed(0)} ms`);
await pool.end();
