/**
 * This library, `PGVectorStore` as its documentation shows it, and bare SQL, side by side in one run on one server:
 *
 *   npm run bench -- [--chunks 10000] [--queries 200]
 *
 * On the server of `DATABASE_URL`, else in a container. Compare the ratios: the milliseconds are this machine's.
 */
import { randomBytes } from "node:crypto";
import os from "node:os";
import { parseArgs } from "node:util";
import { PGVectorStore } from "@langchain/community/vectorstores/pgvector";
import { Document } from "@langchain/core/documents";
import { FakeEmbeddings } from "@langchain/core/utils/testing";
import { PostgreSqlContainer } from "@testcontainers/postgresql";
import { configFromEnv, TrainingIndex } from "langchain-training-index";
import { migrate } from "langchain-training-index/migrations";
import pg from "pg";
import { table } from "../examples/support/table.js";
import { ClusteredVectors, randomNumbers, text } from "./vectors.js";

const DIMENSIONS = 1024;
const TEXT_LENGTH = 800;
const K = 5;
const SEED = 20_261_122;

const { values } = parseArgs({
  options: { chunks: { type: "string", default: "10000" }, queries: { type: "string", default: "200" } },
});
const chunkCount = Number(values.chunks);
const queryCount = Number(values.queries);

const vectors = new ClusteredVectors(DIMENSIONS, 100, SEED);
const random = randomNumbers(SEED);
const documents = Array.from(
  { length: chunkCount },
  (_, index) =>
    new Document({ pageContent: text(random, TEXT_LENGTH), metadata: { grupo: `g${index % 10}` } }),
);
const documentVectors = documents.map(() => vectors.next());
const queries = Array.from({ length: queryCount }, () => vectors.next());

const { databaseUrl } = configFromEnv(process.env);
const container =
  databaseUrl === undefined
    ? await new PostgreSqlContainer("pgvector/pgvector:pg17").withSharedMemorySize(1024 ** 3).start()
    : undefined;
const pool = new pg.Pool({ connectionString: databaseUrl ?? container?.getConnectionUri() });
const name = `bench_${randomBytes(4).toString("hex")}`;
try {
  await pool.query("CREATE EXTENSION IF NOT EXISTS vector");
  await pool.query(`CREATE SCHEMA ${name}`);
  const library = await openLibrary();
  const store = await openPgVectorStore();
  await prepareBareSql();
  await pool.query("ANALYZE");

  const filter = { grupo: "g7" };
  const rows: [string, Timing][] = [
    ["bare SQL, index used", await measure(searchBareSql)],
    ["this library", await measure((query) => library.similar(query, { k: K }))],
    ["PGVectorStore", await measure((query) => store.similaritySearchVectorWithScore(query, K))],
    ["this library, filter 10 %", await measure((query) => library.similar(query, { k: K, filter }))],
    [
      "PGVectorStore, filter 10 %",
      await measure((query) => store.similaritySearchVectorWithScore(query, K, filter)),
    ],
  ];
  await print(rows);
} finally {
  await pool.query(`DROP SCHEMA IF EXISTS ${name}, ${name}_index CASCADE`);
  await pool.end();
  await container?.stop();
}

async function openLibrary(): Promise<TrainingIndex> {
  const schema = `${name}_index`;
  await migrate(pool, { schema, dimensions: DIMENSIONS });
  const profile = { model: "bench", dimensions: DIMENSIONS };
  const index = await TrainingIndex.initialize(new FakeEmbeddings(), { pool, schema, profile });
  await index.vectorStore.addVectors(documentVectors, documents);
  return index;
}

/** As https://js.langchain.com/docs/integrations/vectorstores/pgvector shows it. */
async function openPgVectorStore(): Promise<PGVectorStore> {
  const store = await PGVectorStore.initialize(new FakeEmbeddings(), {
    pool,
    tableName: "documents",
    schemaName: name,
    dimensions: DIMENSIONS,
    distanceStrategy: "cosine",
  });
  store.client?.release(); // it keeps one, and a pool with a client out cannot end
  await store.addVectors(documentVectors, documents);
  await store.createHnswIndex({ dimensions: DIMENSIONS });
  return store;
}

/** The same rows in a table without anything else, and the planner told to use the index. */
async function prepareBareSql(): Promise<void> {
  await pool.query(
    `CREATE TABLE ${name}.bare AS SELECT id, content, metadata, embedding FROM ${name}_index.chunk_1`,
  );
  await pool.query(`CREATE INDEX ON ${name}.bare USING hnsw (embedding vector_cosine_ops)`);
}

async function searchBareSql(query: number[]): Promise<{ length: number }> {
  const client = await pool.connect();
  try {
    await client.query("SET enable_seqscan = off");
    const started = performance.now();
    const { rows } = await client.query({
      name: "bare",
      text: `SELECT id, content, metadata, embedding <=> $1::vector AS distance FROM ${name}.bare
        ORDER BY embedding <=> $1::vector LIMIT ${K}`,
      values: [binaryVector(query)],
    });
    return { length: rows.length, ...{ milliseconds: performance.now() - started } };
  } finally {
    await client.query("RESET enable_seqscan");
    client.release();
  }
}

function binaryVector(vector: number[]): Buffer {
  const buffer = Buffer.alloc(4 + 4 * vector.length);
  buffer.writeInt16BE(vector.length, 0);
  vector.forEach((component, index) => buffer.writeFloatBE(component, 4 + 4 * index));
  return buffer;
}

interface Timing {
  p50: number;
  p95: number;
  rows: number;
}

/** Times one query after the other; a search that knows better how long it took says so. */
async function measure(
  search: (query: number[]) => Promise<{ length: number; milliseconds?: number }>,
): Promise<Timing> {
  const times: number[] = [];
  let rows = 0;
  for (const query of queries) {
    const started = performance.now();
    const found = await search(query);
    times.push(found.milliseconds ?? performance.now() - started);
    rows += found.length;
  }
  times.sort((left, right) => left - right);
  const at = (share: number): number => times[Math.floor(times.length * share)] ?? 0;
  return { p50: at(0.5), p95: at(0.95), rows: rows / queries.length };
}

async function print(rows: [string, Timing][]): Promise<void> {
  const { rows: versions } = await pool.query<{ version: string }>(
    `SELECT 'Postgres ' || current_setting('server_version') || ', pgvector ' || extversion AS version
      FROM pg_extension WHERE extname = 'vector'`,
  );
  console.log(
    `${versions[0]?.version ?? "?"}, Node ${process.version}, ${os.cpus().length} x ${os.cpus()[0]?.model ?? "?"}`,
  );
  console.log(
    `${chunkCount} chunks x ${DIMENSIONS} dimensions, k = ${K}, ${queryCount} queries one after the other`,
  );
  const base = rows[0]?.[1].p50 ?? 1;
  const cells = rows.map(([label, { p50, p95, rows: found }]) => [
    label,
    p50.toFixed(2),
    p95.toFixed(2),
    found.toFixed(2),
    (p50 / base).toFixed(2),
  ]);
  console.log(table(["", "p50 ms", "p95 ms", "rows", "x bare SQL"], cells));
}
