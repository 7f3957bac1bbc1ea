/** The programs that are run: what a user's first program does, in each way to load the package. */

const NAMES = {
  pg: "pg",
  "{ TrainingIndex }": "langchain-training-index",
  "{ migrate }": "langchain-training-index/migrations",
  "{ HashingEmbeddings }": "langchain-training-index/testing",
  "{ similarityHandler }": "langchain-training-index/http",
  "{ ollamaEmbeddings }": "langchain-training-index/ollama",
};
const EMBEDDED = {
  "{ embeddedPool }": "langchain-training-index/embedded",
  "{ instrument }": "langchain-training-index/telemetry",
};

/** The kinds of modules. */
export type ModuleKind = "esm" | "cjs";

function loading(kind: ModuleKind, names: Record<string, string>): string {
  return Object.entries(names)
    .map(([name, specifier]) =>
      kind === "esm" ? `import ${name} from "${specifier}";` : `const ${name} = require("${specifier}");`,
    )
    .join("\n");
}

const MAIN_JOB = `
async function mainJob(pool) {
  await migrate(pool);
  const index = await TrainingIndex.initialize(new HashingEmbeddings(), { pool });
  const { status } = await index.upsertTraining({ id: "delivery", content: "We deliver in three days." });
  const [hit] = await index.similar("When do you deliver?", { k: 1 });
  const request = new Request("http://localhost/similar", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ query: "deliver" }),
  });
  const response = await similarityHandler(index)(request);
  const { model } = ollamaEmbeddings({ model: "mxbai-embed-large" }).profile;
  const deleted = await index.deleteTraining("delivery");
  return [status, hit.trainingId, response.status, model, deleted.status].join(" ");
}
`;

/** What {@link MAIN_JOB} returns. */
export const EXPECTED = "indexed delivery 200 mxbai-embed-large deleted";

const ON_SERVER = `
async function onServer() {
  const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL });
  try {
    return await mainJob(pool);
  } finally {
    await pool.end();
  }
}
`;

const ON_EMBEDDED = `
async function onEmbedded() {
  const stop = instrument();
  const pool = embeddedPool();
  try {
    await pool.query("SELECT 1"); // its start, which on a busy machine takes longer than the library waits
    return await mainJob(pool);
  } finally {
    await pool.end();
    stop();
  }
}
`;

const print = (call: string): string => `
${call}.then(console.log, (error) => {
  console.error(error);
  process.exitCode = 1;
});
`;

/** The main job on the server of `DATABASE_URL`. It prints {@link EXPECTED}. */
export function serverProgram(kind: ModuleKind): string {
  return loading(kind, NAMES) + MAIN_JOB + ON_SERVER + print("onServer()");
}

/** The main job on an embedded database, with telemetry. It prints {@link EXPECTED}. */
export function embeddedProgram(kind: ModuleKind): string {
  return loading(kind, { ...NAMES, ...EMBEDDED }) + MAIN_JOB + ON_EMBEDDED + print("onEmbedded()");
}

/** A test file for Jest or Vitest, with both. */
export function testFile(kind: ModuleKind, imported: Record<string, string> = {}): string {
  return `${loading(kind, { ...NAMES, ...EMBEDDED, ...imported })}${MAIN_JOB}${ON_SERVER}${ON_EMBEDDED}
test("on a server", async () => expect(await onServer()).toBe("${EXPECTED}"), 180_000);
test("on the embedded database", async () => expect(await onEmbedded()).toBe("${EXPECTED}"), 180_000);
`;
}

/** A route of Next.js that does the main job. */
export const NEXT_ROUTE = `${loading("esm", NAMES)}${MAIN_JOB}${ON_SERVER}
export const runtime = "nodejs";
export const dynamic = "force-dynamic";
export async function GET() {
  return new Response(await onServer());
}
`;

/** A TypeScript file that uses every entry. Its last line is an error, which the compiler must find. */
export const TYPED_CONSUMER = `
import type { BaseRetriever } from "@langchain/core/retrievers";
import * as pg from "pg";
import { TrainingIndex, type ChunkHit, type TransactionClient } from "langchain-training-index";
import { embeddedPool } from "langchain-training-index/embedded";
import { similarityHandler } from "langchain-training-index/http";
import { migrate, type MigrateResult } from "langchain-training-index/migrations";
import { ollamaEmbeddings } from "langchain-training-index/ollama";
import { instrument } from "langchain-training-index/telemetry";
import { HashingEmbeddings } from "langchain-training-index/testing";

export const stop: () => void = instrument({ recordQueryText: true });
export async function search(pool: pg.Pool = embeddedPool()): Promise<ChunkHit[]> {
  const { schema }: MigrateResult = await migrate(pool, { dimensions: 64 });
  await TrainingIndex.initialize(ollamaEmbeddings({ model: "mxbai-embed-large" }), { pool });
  const index = await TrainingIndex.initialize(new HashingEmbeddings({ dimensions: 64 }), { pool, schema });
  const retriever: BaseRetriever = index.asRetriever({ k: 3 });
  await retriever.invoke("deliver");
  const handler: (request: Request) => Promise<Response> = similarityHandler(index, { maxK: 10 });
  await handler(new Request("http://localhost/x"));
  const client: TransactionClient = await pool.connect();
  return index.similar("deliver", { k: 5, client });
}
export const wrong: number = search();
`;
