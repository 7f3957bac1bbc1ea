import { FakeEmbeddings } from "@langchain/core/utils/testing";
import { SchemaError, TrainingIndex, type DatabasePool, type EmbeddingProfile } from "langchain-training-index";
import { migrate, migrationStatus } from "langchain-training-index/migrations";
import { HashingEmbeddings } from "langchain-training-index/testing";
import { expect, it } from "vitest";
import { collect, failureOf, openServerPool } from "../support/contract.js";
import { describeOnServer, type TestDatabase } from "../support/databases.js";
import {
  CountingEmbeddings,
  inHostTransaction,
  migratedSchema,
  openTestIndex,
  smallTraining,
} from "../support/index.js";
import { recordingPool } from "../support/recording-pool.js";

const DIMENSIONS = 4; // those of LangChain's FakeEmbeddings
const PROFILE = { model: "fake", queryPrefix: "query: ", documentPrefix: "passage: " };
type GivenProfile = Partial<EmbeddingProfile> & { model: string };

async function open(pool: DatabasePool, schema: string, profile: GivenProfile): Promise<TrainingIndex> {
  return TrainingIndex.initialize(new FakeEmbeddings(), { pool, schema, profile });
}

/** The recorded model and prompts of a schema. */
async function recordOf({ pool }: TestDatabase, schema: string): Promise<unknown[]> {
  const { rows } = await pool.query<Record<string, unknown>>(
    `SELECT id, status, dimensions, model, query_prefix, document_prefix FROM ${schema}.profile ORDER BY id`,
  );
  return rows;
}

const recorded = (model: string | null, query: string | null, document: string | null): unknown => [
  {
    id: 1,
    status: "active",
    dimensions: DIMENSIONS,
    model,
    query_prefix: query,
    document_prefix: document,
  },
];

// Guards: `claimSchema`, `claimedProfile`, `refuseOtherModel`.
describeOnServer("C9 One vector space", (database) => {
  it("records model and prefixes at the first write, not before", async () => {
    const schema = await migratedSchema(database, { dimensions: DIMENSIONS });
    expect(await recordOf(database, schema)).toEqual(recorded(null, null, null));
    expect((await migrationStatus(database.pool, { schema })).model).toBeUndefined();
    const index = await open(database.pool, schema, PROFILE);
    await index.deleteTraining("a");
    expect(await recordOf(database, schema)).toEqual(recorded(null, null, null));
    await index.upsertTraining(smallTraining("a"));
    expect(await recordOf(database, schema)).toEqual(recorded("fake", "query: ", "passage: "));
    expect((await migrationStatus(database.pool, { schema })).model).toBe("fake");
    await expect(open(database.pool, schema, PROFILE)).resolves.toBeInstanceOf(TrainingIndex);
  });

  it("sends the chunks of the first writes once: the schema is claimed before", async () => {
    const schema = await migratedSchema(database, { dimensions: DIMENSIONS });
    const { pool, statements } = recordingPool(database.pool);
    const index = await open(pool, schema, PROFILE);
    const writes = ["a", "b", "c"].map((id) => index.upsertTraining(smallTraining(id)));
    for (const { status } of await Promise.all(writes)) expect(status).toBe("indexed");
    expect(statements.filter(({ text }) => text.includes("langchain-training-index:swap"))).toHaveLength(3);
    statements.length = 0;
    await index.upsertTraining(smallTraining("d"));
    expect(statements.filter(({ text }) => text.includes("langchain-training-index:claim-model"))).toEqual([]);
  });

  it("records the model that an embedder of this library reports", async () => {
    const { index, schema } = await openTestIndex(database, {}, { dimensions: 16 });
    await index.upsertTraining(smallTraining("a"));
    expect(await recordOf(database, schema)).toMatchObject([
      { model: "hashing-1", query_prefix: "", document_prefix: "" },
    ]);
  });

  it.each<[string, GivenProfile, string]>([
    ["another model", { ...PROFILE, model: "other" }, 'model "fake" is recorded, "other" was opened'],
    ["a model name in other case", { ...PROFILE, model: "Fake" }, 'model "fake" is recorded, "Fake" was opened'],
    ["another query prefix", { ...PROFILE, queryPrefix: "" }, 'query prefix "query: " is recorded, "" was opened'],
    [
      "a query prefix without its trailing space",
      { ...PROFILE, queryPrefix: "query:" },
      'query prefix "query: " is recorded, "query:" was opened',
    ],
    [
      "another document prefix",
      { ...PROFILE, documentPrefix: "x" },
      'document prefix "passage: " is recorded, "x" was opened',
    ],
    ["no prefixes", { model: "fake" }, 'query prefix "query: " is recorded, "" was opened'],
    ["other dimensions", { ...PROFILE, dimensions: 8 }, "dimensions 4 is recorded, 8 was opened"],
  ])("refuses %s, says what differs and what to do, and changes no record", async (_name, other, difference) => {
    const schema = await migratedSchema(database, { dimensions: DIMENSIONS });
    const first = await open(database.pool, schema, PROFILE);
    await first.upsertTraining(smallTraining("a"));
    const before = await recordOf(database, schema);
    const failure = await failureOf(open(database.pool, schema, other));
    expect(failure).toBeInstanceOf(SchemaError);
    expect(failure).toMatchObject({ code: "PROFILE_MISMATCH", retryable: false });
    expect(failure.message).toContain(`"${schema}"`);
    expect(failure.message).toContain(difference);
    expect(failure.message).toContain(
      "open it with the model that is recorded, and change the model with its switchModel",
    );
    expect(await recordOf(database, schema)).toEqual(before);
    expect(await first.upsertTraining(smallTraining("b"))).toMatchObject({ status: "indexed" });
    expect(await first.similar("loja")).toHaveLength(2);
  });

  it("refuses a model with other dimensions than the schema and records nothing", async () => {
    const { pool } = database;
    const schema = await migratedSchema(database, { dimensions: 16 });
    const failure = await failureOf(TrainingIndex.initialize(new CountingEmbeddings(8), { pool, schema }));
    expect(failure).toMatchObject({ code: "PROFILE_MISMATCH" });
    expect(failure.message).toContain("dimensions 16 is recorded, 8 was opened");
    expect(await recordOf(database, schema)).toMatchObject([{ model: null, query_prefix: null }]);
    await expect(TrainingIndex.initialize(new CountingEmbeddings(16), { pool, schema })).resolves.toBeInstanceOf(
      TrainingIndex,
    );
  });

  it("refuses an embedder without a model name and records nothing", async () => {
    const { pool } = database;
    const schema = await migratedSchema(database, { dimensions: DIMENSIONS });
    const failure = await failureOf(TrainingIndex.initialize(new FakeEmbeddings(), { pool, schema }));
    expect(failure).toMatchObject({ code: "INVALID_ARGUMENT", option: "embeddings" });
    expect(await recordOf(database, schema)).toEqual(recorded(null, null, null));
  });

  it("a second migration keeps the model and refuses other dimensions", async () => {
    const schema = await migratedSchema(database, { dimensions: DIMENSIONS });
    const index = await open(database.pool, schema, PROFILE);
    await index.upsertTraining(smallTraining("a"));
    await migrate(database.owner, { schema });
    const other = await failureOf(migrate(database.owner, { schema, dimensions: 8 }));
    expect(other).toMatchObject({ code: "SCHEMA_CONFLICT" });
    expect(await recordOf(database, schema)).toEqual(recorded("fake", "query: ", "passage: "));
  });

  it("each schema has a vector space of its own", async () => {
    const schemas = [
      await migratedSchema(database, { dimensions: DIMENSIONS }),
      await migratedSchema(database, { dimensions: DIMENSIONS }),
    ] as const;
    await (await open(database.pool, schemas[0], { model: "um" })).upsertTraining(smallTraining("a"));
    await (await open(database.pool, schemas[1], { model: "outro" })).upsertTraining(smallTraining("a"));
    expect((await migrationStatus(database.pool, { schema: schemas[0] })).model).toBe("um");
    expect((await migrationStatus(database.pool, { schema: schemas[1] })).model).toBe("outro");
  });

  // Guards: `resolveProfile` and `Embedder`: the recorded prefixes are those put before the texts.
  it("puts the prefixes of a `profile` option before the texts", async () => {
    const { pool } = database;
    const schema = await migratedSchema(database);
    const hashing = new CountingEmbeddings();
    const seen: string[] = [];
    const plain = {
      embedDocuments: (texts: string[]) => hashing.embedDocuments(texts),
      embedQuery: (text: string) => {
        seen.push(text);
        return hashing.embedQuery(text);
      },
    };
    const profile = { model: "plain", queryPrefix: "pergunta: ", documentPrefix: "passagem: " };
    const index = await TrainingIndex.initialize(plain, { pool, schema, profile });
    await index.upsertTraining({ id: "a", content: "a loja abre às oito" });
    const [hit] = await index.similar("quando abre?");
    await index.vectorStore.maxMarginalRelevanceSearch("e quando fecha?", { k: 1 });
    expect(hashing.texts).toEqual(["passagem: a loja abre às oito"]);
    expect(seen).toEqual(["pergunta: quando abre?", "pergunta: e quando fecha?"]);
    expect(hit?.content).toBe("a loja abre às oito");
  });
});

// Guards: `narrowVector` checks vectors of embedders and callers; the table has a check of its own.
describeOnServer("C9 One vector space", (database) => {
  const WRONG = new Array<number>(DIMENSIONS).fill(0.5);
  const STORED = 12;

  it.each<[string, (index: TrainingIndex) => Promise<unknown>]>([
    ["an upsert", (index) => index.upsertTraining({ id: "a", content: "loja" })],
    ["many upserts", (index) => collect(index.upsertTrainings([smallTraining("a")]))],
    ["a preparation", (index) => index.prepareTraining({ id: "a", content: "loja" })],
    ["a search", (index) => index.similar("loja")],
    ["an MMR search", (index) => index.vectorStore.maxMarginalRelevanceSearch("loja", { k: 1 })],
  ])("refuses wrong dimensions of an embedder that does not declare them, at %s", async (_name, call) => {
    const { pool } = database;
    const schema = await migratedSchema(database, { dimensions: STORED });
    const index = await open(pool, schema, { model: "fake" });
    expect(await failureOf(call(index))).toMatchObject({
      code: "EMBEDDING_INVALID",
      retryable: false,
      message: expect.stringMatching(
        /^The embedder of model fake returned 4 dimensions; this index stores 12( \(chunk 0 of training a\))?$/,
      ) as string,
    });
    expect((await pool.query(`SELECT FROM ${schema}.chunk_1`)).rows).toEqual([]);
  });

  it.each<[string, string, (index: TrainingIndex) => Promise<unknown>]>([
    ["a query", "query", (index) => index.similar(WRONG)],
    [
      "an added vector",
      "vectors[0]",
      (index) => index.vectorStore.addVectors([WRONG], [{ pageContent: "loja", metadata: {} }]),
    ],
    ["a query of the vector store", "query", (index) => index.vectorStore.similaritySearchVectorWithScore(WRONG, 1)],
  ])("refuses %s of other dimensions", async (_name, option, call) => {
    const { index, pool, schema } = await openTestIndex(database, {}, { dimensions: STORED });
    const failure = await failureOf(call(index));
    expect(failure).toMatchObject({ code: "INVALID_ARGUMENT", option });
    expect(failure.message).toContain("4 dimensions; this index stores 12");
    expect((await pool.query(`SELECT FROM ${schema}.chunk_1`)).rows).toEqual([]);
  });

  it("the table refuses a vector of other dimensions", async () => {
    const { index, pool, schema } = await openTestIndex(database, {}, { dimensions: STORED });
    await index.upsertTraining(smallTraining("a"));
    const write = pool.query(`UPDATE ${schema}.chunk_1 SET embedding = '[1,2,3,4]'`);
    await expect(write).rejects.toMatchObject({ code: "22000" });
  });

  it("an embedder that returns other dimensions later is refused, and the old version stays", async () => {
    const { index, embeddings } = await openTestIndex(database, {}, { dimensions: STORED });
    await index.upsertTraining(smallTraining("a"));
    const other = new HashingEmbeddings({ dimensions: 8 });
    embeddings.embedDocuments = (texts) => other.embedDocuments(texts);
    const failure = await failureOf(index.upsertTraining({ id: "a", content: "outra loja" }));
    expect(failure).toMatchObject({ code: "EMBEDDING_INVALID" });
    expect(await index.similar("loja")).toMatchObject([{ content: "a loja a" }]);
  });
});

// Guards: `claimSchema` locks the profile, and every write statement includes `claimedProfile`.
describeOnServer("C9 One vector space", (database) => {
  it("of eight models that write concurrently one is recorded, the others are refused and store nothing", async () => {
    const schema = await migratedSchema(database, { dimensions: DIMENSIONS });
    const pool = database.name === "embedded" ? database.pool : openServerPool({ max: 8 });
    const models = Array.from({ length: 8 }, (_, place) => `modelo ${place}`);
    const indexes = await Promise.all(models.map((model) => open(pool, schema, { model })));
    const outcomes = await Promise.allSettled(
      indexes.map((index, place) => index.upsertTraining(smallTraining(`t${place}`))),
    );
    const written = models.filter((_, place) => outcomes[place]?.status === "fulfilled");
    expect(written).toHaveLength(1);
    expect((await migrationStatus(database.pool, { schema })).model).toBe(written[0]);
    for (const outcome of outcomes) {
      if (outcome.status === "rejected") expect(outcome.reason).toMatchObject({ code: "PROFILE_MISMATCH" });
    }
    expect((await database.pool.query(`SELECT FROM ${schema}.chunk_1`)).rows).toHaveLength(1);
  });

  const WRITES: [string, (index: TrainingIndex) => Promise<unknown>][] = [
    ["an upsert", (index) => index.upsertTraining({ id: "b", content: "outra loja" })],
    ["an edit", (index) => index.upsertTraining({ id: "a", content: "outra loja" })],
    ["a repeat", (index) => index.upsertTraining(smallTraining("a"))],
    ["several upserts", (index) => collect(index.upsertTrainings(["a", "b", "c"].map(smallTraining)))],
    ["the vector store", (index) => index.vectorStore.addDocuments([{ pageContent: "x", metadata: {} }])],
    ["ready vectors", (index) => index.vectorStore.addVectors([[1, 2, 3, 4]], [{ pageContent: "x", metadata: {} }])],
  ];
  it.each(WRITES)(
    "after DROP SCHEMA and migrate under an open index, refuses %s of the old model",
    async (_name, write) => {
      const { pool, owner } = database;
      const schema = await migratedSchema(database, { dimensions: DIMENSIONS });
      const old = await open(pool, schema, { model: "velho" });
      await old.upsertTraining(smallTraining("a"));
      await owner.query(`DROP SCHEMA ${schema} CASCADE`);
      await migratedSchema(database, { schema, dimensions: DIMENSIONS });
      const fresh = await open(pool, schema, { model: "novo" });
      await fresh.upsertTraining(smallTraining("a"));
      const failure = await failureOf(write(old));
      expect(failure).toBeInstanceOf(SchemaError);
      expect(failure).toMatchObject({ code: "PROFILE_MISMATCH" });
      const { rows } = await pool.query(`SELECT training_id, content FROM ${schema}.chunk_1`);
      expect(rows).toEqual([{ training_id: "a", content: "a loja a" }]);
      expect(await recordOf(database, schema)).toEqual(recorded("novo", "", ""));
      await old.deleteTraining("a"); // a delete claims no model, so it is not refused
    },
  );

  it("refuses another model inside the host's transaction, which stays usable", async () => {
    const { pool } = database;
    const schema = await migratedSchema(database, { dimensions: DIMENSIONS });
    const one = await open(pool, schema, { model: "um" });
    const other = await open(pool, schema, { model: "outro" });
    const prepared = await other.prepareTraining(smallTraining("b"));
    await one.upsertTraining(smallTraining("a"));
    await inHostTransaction(pool, "COMMIT", async (client) => {
      expect(await failureOf(prepared.commit(client))).toMatchObject({ code: "PROFILE_MISMATCH" });
      expect(await one.upsertTraining(smallTraining("c"), { client })).toMatchObject({ status: "indexed" });
    });
  });

  it("of two models in one host transaction the second is refused without waiting", async () => {
    const { pool } = database;
    const schema = await migratedSchema(database, { dimensions: DIMENSIONS });
    const one = await open(pool, schema, { model: "um" });
    const other = await open(pool, schema, { model: "outro" });
    const prepared = await Promise.all([
      one.prepareTraining(smallTraining("a")),
      other.prepareTraining(smallTraining("b")),
    ]);
    await inHostTransaction(pool, "COMMIT", async (client) => {
      expect(await prepared[0].commit(client)).toMatchObject({ status: "indexed" });
      expect(await failureOf(prepared[1].commit(client))).toMatchObject({ code: "PROFILE_MISMATCH" });
    });
    expect(await recordOf(database, schema)).toEqual(recorded("um", "", ""));
  });

  it("after a rolled back first write any model can write to the schema", async () => {
    const schema = await migratedSchema(database, { dimensions: DIMENSIONS });
    const index = await open(database.pool, schema, PROFILE);
    await inHostTransaction(database.pool, "ROLLBACK", (client) =>
      index.upsertTraining(smallTraining("a"), { client }),
    );
    const other = await open(database.pool, schema, { model: "outro" });
    expect(await other.upsertTraining(smallTraining("a"))).toMatchObject({ status: "indexed" });
    expect(await recordOf(database, schema)).toEqual(recorded("outro", "", ""));
  });

  it("an emptied schema can be claimed with other prefixes, and the earlier claim is refused from then on", async () => {
    const schema = await migratedSchema(database, { dimensions: DIMENSIONS });
    const first = await open(database.pool, schema, PROFILE);
    await first.upsertTraining(smallTraining("a"));
    await first.deleteTraining("a");
    const second = await open(database.pool, schema, { ...PROFILE, queryPrefix: "pergunta: " });
    expect(await second.upsertTraining(smallTraining("a"))).toMatchObject({ status: "indexed" });
    expect(await recordOf(database, schema)).toEqual(recorded("fake", "pergunta: ", "passage: "));
    expect(await failureOf(first.upsertTraining(smallTraining("b")))).toMatchObject({
      code: "PROFILE_MISMATCH",
    });
  });

  it("opening an index without writing claims nothing", async () => {
    const schema = await migratedSchema(database, { dimensions: DIMENSIONS });
    await open(database.pool, schema, { model: "um" });
    const other = await open(database.pool, schema, { model: "outro" });
    await other.upsertTraining(smallTraining("a"));
    expect(await recordOf(database, schema)).toEqual(recorded("outro", "", ""));
  });
});

describeOnServer("C9 One vector space", (database) => {
  it("a first write in an open host transaction does not block other writes", async () => {
    const schema = await migratedSchema(database, { dimensions: DIMENSIONS });
    const index = await open(database.pool, schema, PROFILE);
    await inHostTransaction(database.pool, "COMMIT", async (client) => {
      await index.upsertTraining(smallTraining("a"), { client });
      expect(await index.upsertTraining(smallTraining("b"))).toMatchObject({ status: "indexed" });
    });
  });

  it("a claim waits for running writes, so that two models never share a schema", async () => {
    const { pool } = database;
    const schema = await migratedSchema(database, { dimensions: DIMENSIONS });
    const one = await open(pool, schema, { model: "um" });
    await one.upsertTraining(smallTraining("a"));
    await one.deleteTraining("a");
    const other = await open(pool, schema, { model: "outro" });
    let outcome: Promise<Error> | undefined;
    await inHostTransaction(pool, "COMMIT", async (client) => {
      await one.upsertTraining(smallTraining("b"), { client });
      outcome = failureOf(other.upsertTraining(smallTraining("c")));
      await new Promise((resolve) => setTimeout(resolve, 300));
    });
    expect(await outcome).toMatchObject({ code: "PROFILE_MISMATCH" });
  });

  it("an outdated claim is refused in a host transaction at REPEATABLE READ", async () => {
    const { pool } = database;
    const schema = await migratedSchema(database, { dimensions: DIMENSIONS });
    const one = await open(pool, schema, { model: "um" });
    await one.upsertTraining(smallTraining("a"));
    await one.deleteTraining("a");
    const other = await open(pool, schema, { model: "outro" });
    const prepared = await one.prepareTraining(smallTraining("b"));
    const client = await pool.connect();
    try {
      await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ");
      await client.query(`SELECT count(*) FROM ${schema}.training`);
      await other.upsertTraining(smallTraining("c"));
      expect(await failureOf(prepared.commit(client))).toMatchObject({ code: "CONFLICT", retryable: true });
    } finally {
      await client.query("ROLLBACK");
      client.release();
    }
  });
});

// Guards: each search reads the recorded version in its own snapshot (`CurrentStatements`).
describeOnServer("C9 One vector space", (database) => {
  it("an open index refuses to search vectors of another model that were stored since it was opened", async () => {
    const { index, owner, pool, schema } = await openTestIndex(database);
    await index.upsertTraining({ id: "a", content: "a loja" });
    expect(await index.similar("a loja")).toHaveLength(1);
    await owner.query(`DROP SCHEMA ${schema} CASCADE`);
    await migratedSchema(database, { schema });
    const other = await TrainingIndex.initialize(new CountingEmbeddings(), {
      pool,
      schema,
      profile: { model: "outro" },
    });
    await other.upsertTraining({ id: "a", content: "a loja" });
    for (const search of [
      () => index.similar("a loja"),
      () => index.similar("a loja", { strategy: "trainings" }),
      () => index.vectorStore.similaritySearch("a loja"),
    ]) {
      expect(await failureOf(search())).toMatchObject({ code: "PROFILE_MISMATCH" });
    }
  });

  it("an open index finds nothing in a schema that another model has claimed and emptied", async () => {
    const { index, pool, schema } = await openTestIndex(database);
    await index.upsertTraining({ id: "a", content: "a loja" });
    await index.deleteTraining("a");
    const profile = { model: "outro" };
    const other = await TrainingIndex.initialize(new CountingEmbeddings(), { pool, schema, profile });
    await other.upsertTraining({ id: "b", content: "a loja" });
    await other.deleteTraining("b");
    expect(await index.similar("a loja")).toEqual([]);
    await other.upsertTraining({ id: "b", content: "a loja" });
    expect(await failureOf(index.similar("a loja"))).toMatchObject({ code: "PROFILE_MISMATCH" });
  });
});
