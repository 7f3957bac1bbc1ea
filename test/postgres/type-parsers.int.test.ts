import pg from "pg";
import { TrainingIndex } from "langchain-training-index";
import { migrate, migrationStatus } from "langchain-training-index/migrations";
import { expect, it } from "vitest";
import { collect } from "../support/contract.js";
import { describeOnServer, requireConnectionSetup, uniqueName } from "../support/databases.js";
import { CountingEmbeddings, dropAtEnd, FIVE_PARAGRAPHS } from "../support/index.js";

const TEXT: number = pg.types.builtins.TEXT;

/** How a host may parse values of all types except text: {@link https://github.com/brianc/node-pg-types}. */
const PARSERS: [string, (value: string) => unknown][] = [
  ["raw text", (value) => value],
  ["objects", (value) => ({ raw: value })],
  ["undefined", () => undefined],
];

describeOnServer("A host's type parsers", (database) => {
  it.each(PARSERS)("do not affect what the library reads: %s", async (_name, parse) => {
    const { ownerUrl } = requireConnectionSetup();
    const types = { getTypeParser: (oid: number) => (oid === TEXT ? String : parse) };
    const owner = new pg.Pool({ connectionString: ownerUrl, max: 4, types });
    const schema = uniqueName();
    dropAtEnd(database.owner, schema);
    try {
      await run(owner, schema);
    } finally {
      await owner.end();
    }
  });
});

async function run(pool: pg.Pool, schema: string): Promise<void> {
  await migrate(pool, { schema, dimensions: 64, textSearch: "portuguese", idType: "bigint" });
  await migrate(pool, { schema, textSearch: "portuguese" });
  const embeddings = new CountingEmbeddings(64);
  const index = await TrainingIndex.initialize(embeddings, { pool, schema });
  const loja = { id: 1, content: FIVE_PARAGRAPHS, metadata: { grupo: "g" }, revision: 2 };
  expect(await index.upsertTraining(loja)).toMatchObject({ status: "indexed" });
  const { chunks } = await index.upsertTraining(loja);
  expect(chunks).toBeGreaterThan(1);
  expect(await index.upsertTraining(loja)).toMatchObject({ status: "unchanged", chunks });
  const edited = { ...loja, content: `${FIVE_PARAGRAPHS}\n\nA loja fecha aos domingos.`, revision: 3 };
  expect(await index.upsertTraining(edited)).toMatchObject({ status: "indexed" });
  expect(await index.upsertTraining(loja)).toMatchObject({ status: "superseded", reason: "newer" });
  expect(await index.upsertTrainings([{ id: 2, content: "entregas e trocas" }])).toMatchObject({
    indexed: 1,
  });
  for (const mode of ["vector", "text", "hybrid"] as const) {
    const options = { mode, k: 3, neighbors: { before: 1, after: 1 }, filter: { grupo: "g" } };
    const [hit] = await index.similar("entregas", options);
    expect(hit?.trainingId).toBe(1);
    expect(edited.content).toContain(hit?.chunk?.content);
    expect(hit?.end).toBeGreaterThan(hit?.start ?? Infinity);
  }
  const [best] = await index.similar("entregas e trocas", { strategy: "trainings" });
  expect(best?.score).toBeGreaterThan(0.5);
  await index.similar("entregas", { k: 2, perTraining: 1, mmr: {} });
  const { vectorStore } = index;
  await vectorStore.addDocuments([{ pageContent: "loja", metadata: { a: 1 } }], { ids: ["3"] });
  expect(await vectorStore.getByIds(["3"])).toMatchObject([{ pageContent: "loja", metadata: { a: 1 } }]);
  expect(await vectorStore.similaritySearch("loja", 1)).toHaveLength(1);
  await vectorStore.delete({ ids: ["3"] });
  const bulk = index.bulkLoad([{ id: 4, content: "frete" }], {
    rebuild: true,
    onIndexProgress: () => undefined,
  });
  expect(await collect(bulk)).toMatchObject([{ id: 4, status: "indexed" }]);
  expect(await index.deleteTrainings({ filter: { grupo: "g" } })).toMatchObject([{ id: 1, status: "deleted" }]);
  expect(await index.deleteTraining(2)).toMatchObject({ status: "deleted", removed: 1 });
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(await index.prune({ olderThanMs: 1 })).toBe(3);
  expect(await migrationStatus(pool, { schema })).toMatchObject({ model: "hashing-1" });
  await pool.query(`ALTER SEQUENCE ${schema}.ticket RESTART`);
  expect(await index.upsertTraining({ id: 4, content: "novo frete" })).toMatchObject({ status: "indexed" });
}
