import * as fc from "fast-check";
import { Comparison, Operation, StructuredQuery } from "@langchain/core/structured_query";
import { TrainingIndex, TrainingTranslator, type Filter, type Metadata } from "langchain-training-index";
import { migrate } from "langchain-training-index/migrations";
import { afterAll, beforeAll, expect, it, onTestFinished } from "vitest";
import { describeOnServer, grantRights, uniqueName, type TestDatabase } from "../support/databases.js";
import { CountingEmbeddings, DIMENSIONS, openTestIndex, type TestIndex } from "../support/index.js";
import { matches } from "../support/filter-model.js";
import { explain, recordingPool } from "../support/recording-pool.js";

const PORTUGUESE = { textSearch: "portuguese" } as const;

/** Rows of mixed types under the same keys. */
const ROWS: Record<string, Metadata> = {
  adubo: {
    grupo: "plantas",
    ano: 2024,
    ativo: true,
    tags: ["terra", "luz", 3],
    autor: { nome: "Ana", idade: 41 },
    dia: "2024-03-01T00:00:00.000Z",
  },
  vaso: {
    grupo: "vasos",
    ano: 2025,
    ativo: false,
    cidade: "São Paulo",
    tags: ["barro"],
    autor: { nome: "Bia" },
    dia: "2025-03-01T00:00:00.000Z",
  },
  regador: { grupo: "Plantas", ano: "2025", ativo: "true", tags: "terra", autor: "Ana", dia: 20250301 },
  pedra: { grupo: null, ano: null, ativo: null, tags: [], autor: null, dia: null },
  fita: { grupo: 7, ano: 2024.5, ativo: 1, tags: [["terra"]], autor: { nome: 7 }, "autor.nome": "Caio" },
  corda: { grupo: ["plantas"], ano: [2024], ativo: [true], tags: { 0: "terra" }, autor: [{ nome: "Ana" }] },
  saco: { grupo: { nome: "plantas" }, ano: -1, desconto: "100%", codigo: "a_b\\c" },
  nada: {},
};

const ALL = Object.keys(ROWS).sort();
const TRAININGS = Object.entries(ROWS).map(([id, metadata]) => ({ id, content: `loja ${id}`, metadata }));

/** A filter, and the rows that it matches. */
const CASES: [Filter, string[]][] = [
  // Equality.
  [{ grupo: "plantas" }, ["adubo"]],
  [{ grupo: 7 }, ["fita"]],
  [{ ano: 2025 }, ["vaso"]],
  [{ ano: "2025" }, ["regador"]],
  [{ ativo: true }, ["adubo"]],
  [{ ativo: false }, ["vaso"]],
  [{ grupo: "plantas", ano: 2024 }, ["adubo"]],
  [{ grupo: "plantas", ano: 2025 }, []],
  [{ desconhecida: "x" }, []],
  [{ ano: { eq: 2024 } }, ["adubo"]],
  [{ ano: { $eq: 2024.5 } }, ["fita"]],
  [{ dia: new Date("2024-03-01") }, ["adubo"]],
  // Inequality: the key exists with another value, of any type.
  [{ ano: { ne: 2024 } }, ["corda", "fita", "pedra", "regador", "saco", "vaso"]],
  [{ ano: { $ne: 2024 } }, ["corda", "fita", "pedra", "regador", "saco", "vaso"]],
  [{ ano: { neq: "2025" } }, ["adubo", "corda", "fita", "pedra", "saco", "vaso"]],
  [{ desconto: { ne: "x" } }, ["saco"]],
  [{ desconhecida: { ne: "x" } }, []],
  // Order: only values of the same type compare.
  [{ ano: { gt: 2024 } }, ["fita", "vaso"]],
  [{ ano: { $gte: 2024 } }, ["adubo", "fita", "vaso"]],
  [{ ano: { lt: 2024.5 } }, ["adubo", "saco"]],
  [{ ano: { $lte: 2024.5 } }, ["adubo", "fita", "saco"]],
  [{ ano: { gt: -9007199254740991 } }, ["adubo", "fita", "saco", "vaso"]],
  [{ ano: { gt: "" } }, ["regador"]],
  [{ grupo: { gte: "plantas" } }, ["adubo", "vaso"]],
  [{ grupo: { lt: "a" } }, ["regador"]],
  [{ ativo: { gt: false } }, ["adubo"]],
  [{ ativo: { lte: true } }, ["adubo", "vaso"]],
  [{ dia: { gt: new Date("2024-12-31") } }, ["vaso"]],
  [{ dia: { gte: "2024", lt: "2025" } }, ["adubo"]],
  [{ ano: { gte: 2024, lt: 2025, ne: 2024.5 } }, ["adubo"]],
  [{ ano: { between: [2024, 2024.5] } }, ["adubo", "fita"]],
  [{ ano: { $between: [2025, 2024] } }, []],
  [{ grupo: { between: ["Q", "vasos"] } }, ["adubo", "vaso"]],
  // Lists of values.
  [{ ano: { in: [2024, "2025"] } }, ["adubo", "regador"]],
  [{ ano: { $in: [2024] } }, ["adubo"]],
  [{ grupo: { in: ["plantas", 7, true] } }, ["adubo", "fita"]],
  [{ ano: { notIn: [2024, "2025"] } }, ["corda", "fita", "pedra", "saco", "vaso"]],
  [{ ano: { nin: [2024, 2025, -1] } }, ["corda", "fita", "pedra", "regador"]],
  [{ desconto: { $nin: ["x", "y"] } }, ["saco"]],
  // Lists in the metadata.
  [{ tags: { arrayContains: ["terra"] } }, ["adubo"]],
  [{ tags: { arrayContains: ["luz", "terra", "luz"] } }, ["adubo"]],
  [{ tags: { arrayContains: ["terra", 3] } }, ["adubo"]],
  [{ tags: { arrayContains: ["terra", "barro"] } }, ["adubo", "vaso"]],
  [{ tags: { arrayContains: ["argila", true] } }, []],
  [{ tags: { arrayContains: ["3"] } }, []],
  [{ ano: { arrayContains: [2024] } }, ["corda"]],
  // Keys.
  [{ desconto: { exists: true } }, ["saco"]],
  [{ grupo: { $exists: false } }, ["nada"]],
  [{ tags: { exists: false } }, ["nada", "saco"]],
  // Patterns.
  [{ grupo: { like: "%lanta_" } }, ["adubo", "regador"]],
  [{ grupo: { $like: "plantas" } }, ["adubo"]],
  [{ grupo: { ilike: "PLAN%" } }, ["adubo", "regador"]],
  [{ ano: { like: "2%" } }, ["regador"]],
  [{ cidade: { like: "S_o Paul_" } }, ["vaso"]],
  [{ cidade: { like: "São" } }, []],
  [{ cidade: { gt: "Sz" } }, ["vaso"]],
  [{ desconto: { like: "100\\%" } }, ["saco"]],
  [{ codigo: { like: "a\\_b\\\\c" } }, ["saco"]],
  // Keys in nested objects.
  [{ "autor.nome": "Ana" }, ["adubo"]],
  [{ "autor.nome": "Caio" }, ["fita"]],
  [{ "autor.nome": 7 }, []],
  [{ "autor.nome": { in: ["Bia", "Caio", 7] } }, ["fita", "vaso"]],
  [{ "autor.nome": { ne: "Ana" } }, ["fita", "vaso"]],
  [{ "autor.nome": { exists: true } }, ["adubo", "fita", "vaso"]],
  [{ "autor.nome": { ilike: "%A" } }, ["adubo", "vaso"]],
  [{ "autor.idade": { gt: 40 } }, ["adubo"]],
  [{ "tags.0": "terra" }, ["corda"]],
  [{ "tags.0": { like: "terra" } }, ["corda"]],
  [{ "grupo.nome.x": { exists: true } }, []],
  // Combinations.
  [{ $and: [{ grupo: "plantas" }, { ano: { gt: 2000 } }] }, ["adubo"]],
  [{ and: [{ grupo: "plantas" }, { ano: 1 }] }, []],
  [{ $or: [{ grupo: "plantas" }, { ano: 2025 }] }, ["adubo", "vaso"]],
  [{ or: [{ desconhecida: 1 }] }, []],
  [{ $not: { ano: 2024 } }, ALL.filter((id) => id !== "adubo")],
  [{ not: { ano: { ne: 2024 } } }, ["adubo", "nada"]],
  [{ not: { ano: { gt: 0 } } }, ["corda", "nada", "pedra", "regador", "saco"]],
  [{ not: { tags: { exists: true } } }, ["nada", "saco"]],
  [{ not: { not: { grupo: "vasos" } } }, ["vaso"]],
  [{ not: { or: [{ ano: { exists: true } }, { grupo: "x" }] } }, ["nada"]],
  [{ ativo: true, $or: [{ ano: 2024 }, { ano: 2025 }] }, ["adubo"]],
  [{ $or: [{ ano: 2025 }, { $and: [{ "autor.nome": { like: "%a" } }, { $not: { ano: 2025 } }] }] }, ["adubo", "vaso"]],
];

describeOnServer("a filter of a search", (database) => {
  const open = openOnce(database);
  const found = async (filter: Filter): Promise<unknown[]> =>
    (await open().index.similar("loja", { filter, k: 100 })).map(({ trainingId }) => trainingId).sort();

  it.each(CASES)("%j finds %j", async (filter, expected) => {
    expect(await found(filter)).toEqual(expected);
    expect(ALL.filter((id) => matches(ROWS[id] ?? {}, filter))).toEqual(expected);
  });

  it.each(CASES)("%j deletes %j", async (filter, expected) => {
    const { index, pool } = open();
    const client = await pool.connect();
    try {
      await client.query("BEGIN");
      const deleted = await index.deleteTrainings({ filter }, { client });
      expect(deleted.map(({ id }) => id).sort()).toEqual(expected);
      for (const { status } of deleted) expect(status).toBe("deleted");
    } finally {
      await client.query("ROLLBACK");
      client.release();
    }
  });

  it.each(CASES.filter((_, place) => place % 3 === 0))(
    "%j finds %j in modes text and hybrid",
    async (filter, expected) => {
      for (const mode of ["text", "hybrid"] as const) {
        const hits = await open().index.similar("loja", { mode, filter, k: 100 });
        expect(hits.map(({ trainingId }) => trainingId).sort(), mode).toEqual(expected);
      }
    },
  );

  it("narrows every search of the vector store, and the retriever", async () => {
    const { index, embeddings } = open();
    const store = index.vectorStore;
    const filter = { ano: { $gte: 2025 } };
    const vector = await embeddings.embedQuery("loja");
    expect(await store.similaritySearch("loja", 9, filter)).toMatchObject([{ pageContent: "loja vaso" }]);
    expect(await store.similaritySearchWithScore("loja", 9, filter)).toHaveLength(1);
    expect(await store.similaritySearchVectorWithScore(vector, 9, filter)).toHaveLength(1);
    expect(await store.similaritySearchVectorWithScores(vector, 9, filter)).toHaveLength(1);
    expect(await store.maxMarginalRelevanceSearch("loja", { k: 9, filter })).toHaveLength(1);
    expect(await store.asRetriever({ k: 9, filter }).invoke("loja")).toHaveLength(1);
    expect(await index.asRetriever({ k: 9, filter }).invoke("loja")).toHaveLength(1);
  });

  it("never reaches beyond the filter of the index", async () => {
    const { embeddings, schema } = open();
    const scoped = await TrainingIndex.initialize(embeddings, {
      pool: database.pool,
      schema,
      filter: { grupo: "vasos" },
    });
    const filters: Filter[] = [
      { $or: [{ grupo: "plantas" }, { grupo: { exists: true } }] },
      { $not: { grupo: "vasos" } },
      { grupo: { ne: "vasos" } },
      { not: { desconhecida: 1 } },
    ];
    const ids: unknown[] = [];
    for (const filter of filters) {
      for (const mode of ["vector", "text", "hybrid"] as const)
        ids.push((await scoped.similar("loja", { mode, filter, k: 100 })).map(({ trainingId }) => trainingId));
    }
    expect(ids).toEqual([["vaso"], ["vaso"], ["vaso"], [], [], [], [], [], [], ["vaso"], ["vaso"], ["vaso"]]);
  });

  it("can come from the translator for LangChain's self-query", async () => {
    const translate = (filter: Operation | Comparison): Filter | undefined =>
      new TrainingTranslator().visitStructuredQuery(new StructuredQuery("loja", filter)).filter;
    const recent = new Comparison("gte", "ano", 2024);
    const active = new Comparison<string | boolean>("eq", "ativo", true) as Comparison;
    expect(await found(translate(recent) ?? {})).toEqual(["adubo", "fita", "vaso"]);
    expect(await found(translate(new Operation("and", [recent, active])) ?? {})).toEqual(["adubo"]);
    const other = new Operation("not", [new Operation("or", [recent, active])]);
    expect(await found(translate(other) ?? {})).toEqual(["corda", "nada", "pedra", "regador", "saco"]);
    const greater = new Operation("and", [new Comparison("ne", "grupo", "vasos"), new Comparison("lt", "ano", 2024)]);
    expect(await found(translate(greater) ?? {})).toEqual(["saco"]);
  });

  it("calls neither the embedder nor the database if it is invalid", async () => {
    const { schema, embeddings } = open();
    const { pool, statements } = recordingPool(database.pool);
    const index = await TrainingIndex.initialize(embeddings, { pool, schema });
    embeddings.embedQuery = () => expect.unreachable();
    onTestFinished(() => {
      Reflect.deleteProperty(embeddings, "embedQuery");
    });
    statements.length = 0;
    for (const mode of ["vector", "text", "hybrid"] as const)
      await expect(index.similar("loja", { mode, filter: { grupo: { $foo: "a" } } as never })).rejects.toMatchObject({
        option: "filter.grupo.$foo",
        code: "INVALID_ARGUMENT",
      });
    expect(statements).toEqual([]);
  });

  it("finds what the reference implementation finds, whatever the filter", async () => {
    await fc.assert(
      fc.asyncProperty(anyFilter(), async (filter) => {
        expect(await found(filter)).toEqual(ALL.filter((id) => matches(ROWS[id] ?? {}, filter)));
      }),
      { numRuns: 150 },
    );
  });
});

/** An index shared by all tests of a suite. */
function openOnce(database: TestDatabase): () => TestIndex {
  let test: TestIndex | undefined;
  const schema = uniqueName();
  beforeAll(async () => {
    await migrate(database.owner, { ...PORTUGUESE, dimensions: DIMENSIONS, schema });
    await grantRights(database, schema);
    const { pool, owner } = database;
    const embeddings = new CountingEmbeddings();
    const index = await TrainingIndex.initialize(embeddings, { pool, schema });
    for await (const { status } of index.upsertTrainings(TRAININGS)) expect(status).toBe("indexed");
    test = { index, embeddings, pool, owner, schema };
  });
  afterAll(() => database.owner.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`));
  return () => {
    if (!test) throw new Error("the index is open in tests only");
    return test;
  };
}

/** A filter with keys and values of {@link ROWS}, and others. */
function anyFilter(): fc.Arbitrary<Filter> {
  const key = fc.constantFrom("grupo", "ano", "ativo", "tags", "dia", "autor.nome", "tags.0", "outra");
  const value = fc.constantFrom("plantas", "vasos", "Ana", "terra", "2025", "", 7, 2024, 2025, -1, true, false);
  const values = fc.array(value, { minLength: 1, maxLength: 4 });
  const range = fc
    .tuple(value, value)
    .filter(([low, high]) => typeof low === typeof high)
    .map((pair) => pair);
  const operator = fc.oneof(
    fc.tuple(fc.constantFrom("eq", "$ne", "gt", "$gte", "lt", "$lte"), value),
    fc.tuple(fc.constantFrom("in", "$in", "notIn", "nin", "arrayContains"), values),
    fc.tuple(fc.constantFrom("between", "$between"), range),
    fc.tuple(fc.constantFrom("exists", "$exists"), fc.boolean()),
    fc.tuple(fc.constantFrom("like", "$like"), fc.constantFrom("%a%", "_", "plantas", "%", "2_2%")),
  );
  const operators = fc
    .array(operator, { minLength: 1, maxLength: 3 })
    .map((list): object => Object.fromEntries<unknown>(list));
  const condition = fc.dictionary(key, fc.oneof(value, operators), { minKeys: 1, maxKeys: 3 });
  const { filter } = fc.letrec<{ filter: Filter; list: Filter[] }>((tie) => ({
    filter: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      condition as fc.Arbitrary<Filter>,
      fc.record({ $and: tie("list") }),
      fc.record({ or: tie("list") }),
      fc.record({ not: tie("filter") }),
    ),
    list: fc.array(tie("filter"), { minLength: 1, maxLength: 3 }),
  }));
  return filter;
}

const HOSTILE = [
  "'; DROP TABLE training CASCADE; --",
  `' OR ''='`,
  `"a" ? (@ == 1)`,
  `a" || exists($.grupo)`,
  "grupo'->>'x",
  "@.grupo",
  "{}",
  "{a,b}",
  "NULL",
  "\\",
  "\\'",
  "a\\\\",
  "a$1",
  "%",
  "_",
  "?",
  ":x",
  "ção 🙂 שלום\u2028",
  "linha\nnova\ttab",
  "a.b",
  ".",
  "..a.",
  "__proto__",
  "constructor",
  "hasOwnProperty",
  "",
  `${"muito ".repeat(50)}longe${".".repeat(200)}`,
];

describeOnServer("a filter of hostile keys and values", (database) => {
  it.each(HOSTILE)("matches %j as a key and as a value, and nothing else", async (hostile) => {
    const { index } = await openTestIndex(database);
    const metadata = Object.fromEntries([
      [hostile, hostile],
      ["lista", [hostile]],
      ["dentro", Object.fromEntries([[hostile, hostile]])],
    ]) as Metadata;
    await index.upsertTraining({ id: "sim", content: "loja", metadata });
    await index.upsertTraining({ id: "outro", content: "loja", metadata: { grupo: "x", lista: ["x"] } });
    const pattern = hostile.replace(/[\\%_]/g, "\\$&");
    const on = (key: string, value: unknown): Filter => Object.fromEntries([[key, value]]);
    for (const given of [
      hostile,
      { eq: hostile },
      { in: [hostile, "x"] },
      { ne: "x" },
      { notIn: ["x", "y"] },
      { gte: hostile, lte: hostile },
      { between: [hostile, hostile] },
      { exists: true },
      { like: pattern },
      { $ilike: pattern },
    ]) {
      const filter = on(hostile, given);
      const hits = await index.similar("loja", { filter });
      expect(
        hits.map(({ trainingId }) => trainingId),
        JSON.stringify(filter),
      ).toEqual(["sim"]);
      const others = await index.similar("loja", { filter: { $not: filter } });
      expect(others.map(({ trainingId }) => trainingId)).toEqual(["outro"]);
      if (!hostile.includes("....")) {
        const inside = await index.similar("loja", { filter: on(`dentro.${hostile}`, given) });
        const isPath = hostile.includes(".");
        expect(inside.map(({ trainingId }) => trainingId)).toEqual(isPath ? [] : ["sim"]);
      }
    }
    const withList = await index.similar("loja", { filter: { lista: { arrayContains: [hostile] } } });
    expect(withList.map(({ trainingId }) => trainingId)).toEqual(["sim"]);
    expect(await index.similar("loja", { filter: on(hostile, { ne: hostile }) })).toEqual([]);
    expect(await index.similar("loja", { filter: on(hostile, { notIn: [hostile] }) })).toEqual([]);
  });
});

describeOnServer("the statement of a filtered search", (database) => {
  it("is the same for filters of one shape, and contains none of their values", async () => {
    const { schema } = await openTestIndex(database);
    const { pool, statements } = recordingPool(database.pool);
    const index = await TrainingIndex.initialize(new CountingEmbeddings(DIMENSIONS), { pool, schema });
    statements.length = 0;
    for (const word of ["plantas", "'; DROP TABLE training; --", "$1"])
      await index.similar("loja", {
        filter: { grupo: { in: [word] }, "autor.nome": { gt: word, like: word } },
      });
    const searches = statements.map(({ text }) => text).filter((text) => text.includes("metadata"));
    expect(searches).toHaveLength(3);
    expect(new Set(searches).size).toBe(1);
    expect(searches[0]).not.toContain("plantas");
  });

  it("uses the metadata index for equality, in, arrayContains and or", async () => {
    const { index: filling, schema } = await openTestIndex(database);
    const trainings = Array.from({ length: 3000 }, (_, place) => ({
      id: place.toString(),
      content: `loja ${place}`,
      metadata: { codigo: place, autor: { nome: place.toString() }, tags: [place, "loja"], grupo: place % 2 },
    }));
    for await (const { status } of filling.upsertTrainings(trainings)) expect(status).toBe("indexed");
    await database.owner.query(`VACUUM ANALYZE ${schema}.chunk_1`);
    const { pool, statements } = recordingPool(database.pool);
    const index = await TrainingIndex.initialize(new CountingEmbeddings(DIMENSIONS), { pool, schema });
    const filters: Filter[] = [
      { codigo: 7 },
      { codigo: { eq: 7 } },
      { codigo: { in: [7] } },
      { "autor.nome": "7" },
      { tags: { arrayContains: [7] } },
      { $or: [{ codigo: 7 }, { "autor.nome": { in: ["7"] } }] },
      { codigo: 7, grupo: { ne: 0 } },
    ];
    for (const filter of filters) {
      statements.length = 0;
      const hits = await index.similar("loja", { filter });
      expect(hits.map(({ trainingId }) => trainingId)).toEqual(["7"]);
      const [statement] = statements;
      expect(statement && (await explain(database.pool, statement)), JSON.stringify(filter)).toContain(
        "Bitmap Index Scan on chunk_1_metadata",
      );
    }
  });
});
