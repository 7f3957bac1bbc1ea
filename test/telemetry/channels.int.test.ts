import { readFileSync } from "node:fs";
import { inspect } from "node:util";
import { TrainingIndex, type Reranker, type StatementTrace } from "langchain-training-index";
import { healthHandler, similarityHandler } from "langchain-training-index/http";
import { migrate, migrationStatus } from "langchain-training-index/migrations";
import { describe, expect, it } from "vitest";
import { readTraining } from "../../src/console/editing.js";
import { nameOfStatement, STATEMENT_NAMES } from "../../src/postgres/statement-names.js";
import { subscribeAll, subscribeNotices, TRACING_CHANNELS } from "../support/channels.js";
import { describeOnServer, uniqueName, type TestDatabase } from "../support/databases.js";
import { CountingEmbeddings, DIMENSIONS, dropAtEnd, inHostTransaction } from "../support/index.js";
import { otherModel } from "../support/other-model.js";
import { recordingPool, type Statement } from "../support/recording-pool.js";

/** In every text, question and value of the calls below. */
const SECRET = "segredo";
const QUESTION = `qual é o ${SECRET} do frete`;
/** What Postgres and its tools know without a comment. */
const PLAIN = /^(BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE)\b/;

/** Statements that need a large table or training, a damaged sequence, or a build that takes a while, as on a busy machine. */
const RARE = ["search-by-vector", "plan-search", "insert-chunks", "repair-tickets", "read-build-progress"];

const paragraph = (place: number): string => `O parágrafo ${place} do ${SECRET} fala de frete. `.repeat(15);
const content = (first: string): string => [first, ...Array.from({ length: 6 }, (_, n) => paragraph(n))].join("\n\n");

describeOnServer("all public calls", (database) => {
  it("send only statements that carry their names, and publish them without texts", async () => {
    const heard = Object.fromEntries(TRACING_CHANNELS.map((name) => [name, subscribeAll(name)]));
    const notices = subscribeNotices();
    const sent = await callEverything(database);

    const statements = heard["langchain-training-index:statement"]?.filter(({ event }) => event === "start") ?? [];
    const texts = statements.map(({ message }) => (message as StatementTrace).text);
    expect(sent.filter(({ text }) => !texts.includes(text))).toEqual([]); // of a host's client more are published than recorded
    const named = texts.filter((text) => !PLAIN.test(text));
    expect(named.filter((text) => !text.includes("/* langchain-training-index:"))).toEqual([]);
    const names = new Set(named.map(nameOfStatement));
    expect([...names].filter((name) => !(name in STATEMENT_NAMES))).toEqual([]);
    expect(Object.keys(STATEMENT_NAMES).filter((name) => !names.has(name) && !RARE.includes(name))).toEqual([]);

    for (const [name, messages] of Object.entries(heard)) {
      expect(messages.length, name).toBeGreaterThan(0);
      const ends = messages.filter(({ event }) => event === "asyncEnd");
      expect(ends.length, name).toBe(messages.filter(({ event }) => event === "start").length);
    }
    expect(notices.length).toBeGreaterThan(0);
    expect(leaksOf([...Object.values(heard).flat(), ...notices])).toEqual([]);
  });
});

/** The published messages that hold the secret, a vector or the pool. */
function leaksOf(published: readonly unknown[]): string[] {
  return published
    .map((message) => inspect(message, { depth: 10, showHidden: true, maxArrayLength: 5 }))
    .filter((text) => /segredo|Float32Array|<Buffer|password|postgres:\/\//i.test(text));
}

/** Makes every public call at least once. @returns the statements that the library sent */
async function callEverything({ owner }: TestDatabase): Promise<Statement[]> {
  const { pool, statements } = recordingPool(owner);
  const schema = uniqueName();
  const host = `host_${schema}`;
  dropAtEnd(owner, schema);
  await owner.query(`CREATE TABLE ${host} (id text PRIMARY KEY)`);
  await owner.query(`INSERT INTO ${host} SELECT unnest(string_to_array('a,b,c,d,e,f,g,boleto', ','))`);
  await migrate(pool, { schema, dimensions: DIMENSIONS });
  await migrate(pool, { schema, textSearch: "portuguese", vectorIndex: "halfvec", trainings: { table: host } });
  await migrationStatus(pool, { schema });
  const embeddings = new CountingEmbeddings();
  const index = await TrainingIndex.initialize(embeddings, { pool, schema });
  await inHostTransaction(owner, "COMMIT", async (client) => {
    await index.upsertTraining({ id: "a", content: content(SECRET), metadata: { grupo: SECRET } }, { client });
  });
  await index.upsertTraining({ id: "a", content: content(`outro ${SECRET}`), metadata: { grupo: SECRET } });
  await index.upsertTraining({
    id: "a",
    content: content(`${paragraph(9)}\n\n${paragraph(8)}`),
    metadata: { grupo: SECRET },
  });
  await index.upsertTraining({ id: "a", content: `outro ${SECRET}`, metadata: { grupo: SECRET } });
  await index.upsertTraining({ id: "a", content: `outro ${SECRET}`, metadata: { grupo: SECRET } });
  await (await index.prepareTraining({ id: "b", content: content(SECRET) })).commit();
  const many = ["c", "d", "missing"].map((id) => ({ id, content: `${id} ${SECRET}`, metadata: { grupo: SECRET } }));
  await index.upsertTrainings(many, { onFailure: "continue" });
  await index.bulkLoad([{ id: "e", content: SECRET }], { rebuild: true, maintenanceWorkMem: "64MB" });

  await index.importTrainings(index.exportTrainings());

  const by: Reranker = () => {
    throw new Error(SECRET);
  };
  await index.similar(QUESTION, { filter: { grupo: SECRET }, neighbors: { before: 1 } });
  await index.similar(QUESTION, { strategy: "trainings", mode: "text" });
  await index.similar("qual o segrdo do frte", { mode: "hybrid", k: 3 });
  await index.similar(QUESTION, { mmr: {}, k: 2 });
  await index.similar(QUESTION, { rerank: { by, onFailure: "continue" } });
  await index.asRetriever({ perTraining: 1 }).invoke(QUESTION);
  await index.asTool({ name: "busca", description: "Busca." }).invoke({ query: QUESTION });
  const failing = await TrainingIndex.initialize(
    { embedDocuments: embeddings.embedDocuments.bind(embeddings), embedQuery: () => Promise.reject(new Error(SECRET)) },
    { pool, schema, profile: embeddings.profile },
  );
  await failing.similar(QUESTION, { mode: "hybrid", onTextOnly: () => undefined });
  await expect(failing.similar(QUESTION)).rejects.toThrow("failed");

  await index.get("a");
  await index.chunks("a");
  await readTraining({ index, pool, schema, idType: "text" }, "a", new AbortController().signal);
  await index.count();
  for await (const { id } of index.list()) expect(id).toBeDefined();
  await index.status();
  await index.recall({ sample: 2 });
  const listed = ["a", "b", "c", "d", "e"].map((id) => ({ id }));
  await index.verify(listed, { sample: 100 }); // more than there are: all of them
  await owner.query(`DELETE FROM ${schema}.indexed_1 WHERE training_id = 'c'`);
  await owner.query(`UPDATE ${schema}.training SET deleted_at = now() WHERE id = 'd'`);
  const current = listed.slice(0, 4).map(({ id }) => ({ id, load: () => Promise.resolve({ id, content: SECRET }) }));
  await index.reconcile(current, { maxDeletes: 5 });

  const store = index.vectorStore;
  await store.addDocuments([{ pageContent: SECRET, metadata: {} }], { ids: ["boleto"] });
  await store.similaritySearchWithScore(QUESTION, 2);
  await store.getByIds(["boleto"]);
  await store.delete({ ids: ["boleto"] });
  const url = "http://localhost/";
  const body = JSON.stringify({ query: QUESTION });
  await similarityHandler(index, { authorize: () => true })(new Request(url, { method: "POST", body }));
  await healthHandler(index)(new Request(url));

  await index.token();
  const next = otherModel(32);
  const both = await TrainingIndex.initialize([embeddings, next], { pool, schema });
  await both.switchModel(next, { dryRun: true });
  await both.switchModel(next, { questions: [QUESTION] });
  await both.switchModel(embeddings);
  await both.retireModel();

  await index.deleteTraining("a", { revision: 1 });
  await index.deleteTraining("a", { revision: 0 });
  await inHostTransaction(owner, "COMMIT", async (client) => {
    await index.deleteTraining("a", { revision: 0, client });
  });
  await index.deleteTrainings({ filter: { grupo: SECRET } });
  await owner.query(`UPDATE ${schema}.training SET deleted_at = deleted_at - interval '1 day'`);
  await index.prune({ olderThanMs: 1000 });
  await index.deleteTrainings({ ids: ["b", "c", "d", "e"] });
  await migrate(pool, { schema, textSearch: false, dimensions: 2 * DIMENSIONS });
  await owner.query(`DROP SCHEMA ${schema} CASCADE`);
  await owner.query(`DROP TABLE ${host}`);
  return statements;
}

describe("docs/telemetry.md", () => {
  it("lists all statements", () => {
    const page = readFileSync("docs/telemetry.md", "utf8");
    const rows = [...page.matchAll(/^\| `([a-z-]+)` +\| (.+?) +\|$/gm)].map(([, name = "", what = ""]) => [name, what]);
    expect(Object.fromEntries(rows)).toMatchObject(STATEMENT_NAMES);
  });
});
