import { inspect } from "node:util";
import {
  citedContext,
  formatContext,
  InvalidArgumentError,
  TrainingIndex,
  TrainingRetriever,
} from "langchain-training-index";
import { embeddedPool } from "langchain-training-index/embedded";
import { healthHandler, similarityHandler, trainingsHandler } from "langchain-training-index/http";
import { migrate, migrationSql, migrationStatus } from "langchain-training-index/migrations";
import { ollamaEmbeddings, embeddingProfiles } from "langchain-training-index/ollama";
import { instrument } from "langchain-training-index/telemetry";
import { HashingEmbeddings } from "langchain-training-index/testing";
import { expect, it } from "vitest";
import { describeOnServer, type TestDatabase } from "../support/databases.js";
import { DIMENSIONS, openTestIndex, type TestIndex } from "../support/index.js";

/** A function that takes an object with a fixed set of property names. */
interface OptionFunction {
  name: string;
  /** A valid object. */
  valid: Record<string, unknown>;
  /** Path of the object in error messages; undefined if it is the options argument itself. */
  path?: string;
  /** Whether the object must be given. */
  required?: boolean;
  call: (given: never) => unknown;
}

const SEARCH = {
  filter: { ano: 1 },
  k: 2,
  minScore: 0,
  maxDistance: 1,
  perTraining: 1,
  neighbors: { before: 1 },
  efSearch: 10,
};

function optionFunctionsOf(
  { index, embeddings, pool, owner, schema }: TestIndex,
  database: TestDatabase,
): OptionFunction[] {
  const training = { id: "a", content: "loja", metadata: { ano: 1 }, revision: 1 };
  const documents = [{ pageContent: "loja", metadata: {}, type: "Document" }];
  const { signal } = new AbortController();
  const store = index.vectorStore;
  const prompts = [{ content: "loja", metadata: {} }];
  const drain = async (run: AsyncIterable<unknown>): Promise<void> => {
    for await (const result of run) expect(result).toBeDefined();
  };
  const search = (options: never): unknown => index.similar("loja", options);
  return [
    {
      name: "initialize",
      valid: { pool, schema, filter: { ano: 1 } },
      required: true,
      call: (given) => TrainingIndex.initialize(embeddings, given),
    },
    {
      name: "initialize",
      path: "hnsw",
      valid: { efSearch: 10 },
      call: (hnsw) => TrainingIndex.initialize(embeddings, { pool, schema, hnsw }),
    },
    {
      name: "initialize",
      path: "profile",
      valid: { model: "hashing-1", dimensions: DIMENSIONS },
      call: (profile) => TrainingIndex.initialize(embeddings, { pool, schema, profile }),
    },
    {
      name: "upsertTraining",
      valid: { signal, onProgress: () => undefined },
      call: (given) => index.upsertTraining(training, given),
    },
    {
      name: "instrument",
      valid: { recordQueryText: false },
      call: (given) => {
        instrument(given)();
      },
    },
    { name: "prepareTraining", valid: { signal }, call: (given) => index.prepareTraining(training, given) },
    {
      name: "upsertTraining",
      path: "training",
      valid: training,
      required: true,
      call: (given) => index.upsertTraining(given),
    },
    {
      name: "upsertTraining",
      path: "training",
      valid: { id: "d", documents, split: false },
      required: true,
      call: (given) => index.upsertTraining(given),
    },
    {
      name: "upsertTrainings",
      valid: { concurrency: 1, signal },
      call: (given) => drain(index.upsertTrainings([training], given)),
    },
    {
      name: "upsertTrainings",
      path: "trainings[0]",
      valid: training,
      required: true,
      call: (given) => drain(index.upsertTrainings([given])),
    },
    ...(pool === owner
      ? [
          {
            name: "bulkLoad",
            valid: { rebuild: true, concurrency: 1 },
            call: (given: never) => drain(index.bulkLoad([training], given)),
          },
        ]
      : []),
    {
      name: "deleteTraining",
      valid: { revision: 0, signal },
      call: (given) => index.deleteTraining("nothing", given),
    },
    {
      name: "deleteTrainings",
      valid: { signal },
      call: (given) => index.deleteTrainings({ ids: ["nothing"] }, given),
    },
    {
      name: "deleteTrainings",
      path: "selection",
      valid: { ids: ["nothing"] },
      required: true,
      call: (given) => index.deleteTrainings(given),
    },
    {
      name: "deleteTrainings",
      path: "selection",
      valid: { filter: { ano: -1 } },
      required: true,
      call: (given) => index.deleteTrainings(given),
    },
    { name: "verify", valid: { sample: 0, signal }, call: (given) => index.verify([], given) },
    {
      name: "an item of a source",
      path: "source[0]",
      valid: { id: "nothing", revision: 1 },
      required: true,
      call: (given) => index.verify([given]),
    },
    {
      name: "reconcile",
      valid: { dryRun: true, maxDeletes: 0, signal },
      call: (given) => index.reconcile([], given),
    },
    { name: "recall", valid: { k: 3, efSearch: [40], sample: 1 }, call: (given) => index.recall(given) },
    { name: "prune", valid: { olderThanMs: 1e9 }, required: true, call: (given) => index.prune(given) },
    { name: "status", valid: { signal, counts: false }, call: (given) => index.status(given) },
    { name: "get", valid: { signal, timeoutMs: 1000 }, call: (given) => index.get("a", given) },
    { name: "chunks", valid: { signal, timeoutMs: 1000 }, call: (given) => index.chunks("a", given) },
    { name: "count", valid: { signal, filter: { ano: 1 } }, call: (given) => index.count(given) },
    {
      name: "list",
      valid: { signal, filter: { ano: 1 }, after: "a", limit: 1 },
      call: (given) => drain(index.list(given)),
    },
    {
      name: "similar",
      valid: { ...SEARCH, mode: "vector", strategy: "chunks", signal, rerankFactor: 2 },
      call: search,
    },
    {
      name: "similar",
      path: "weights",
      valid: { vector: 1, text: 1 },
      call: (weights) => index.similar("loja", { weights }),
    },
    {
      name: "similar",
      path: "neighbors",
      valid: { before: 1, after: 1 },
      call: (neighbors) => index.similar("loja", { neighbors }),
    },
    {
      name: "similar",
      path: "mmr",
      valid: { fetchK: 3, lambda: 0.5 },
      call: (mmr) => index.similar("loja", { mmr }),
    },
    {
      name: "asRetriever",
      valid: { ...SEARCH, tags: [], metadata: {}, callbacks: [], verbose: false },
      call: (given) => index.asRetriever(given),
    },
    { name: "asRetriever", path: "mmr", valid: { fetchK: 3 }, call: (mmr) => index.asRetriever({ mmr }) },
    { name: "TrainingRetriever", valid: { ...SEARCH }, call: (given) => new TrainingRetriever(index, given) },
    {
      name: "invoke",
      path: "configurable.trainings",
      valid: { ...SEARCH },
      call: (trainings) => index.asRetriever().invoke("loja", { configurable: { trainings } }),
    },
    { name: "addDocuments", valid: { ids: ["v"] }, call: (given) => store.addDocuments(documents, given) },
    {
      name: "addVectors",
      valid: { ids: ["w"] },
      call: (given) => store.addVectors([new Array<number>(DIMENSIONS).fill(1)], documents, given),
    },
    {
      name: "delete",
      path: "selection",
      valid: { ids: ["nothing"] },
      required: true,
      call: (given) => store.delete(given),
    },
    {
      name: "maxMarginalRelevanceSearch",
      valid: { k: 1, fetchK: 2, lambda: 0.5, filter: { ano: 1 } },
      required: true,
      call: (given) => store.maxMarginalRelevanceSearch("loja", given),
    },
    {
      name: "vectorStore.asRetriever",
      valid: { k: 1, filter: { ano: 1 }, searchType: "mmr", tags: [] },
      call: (given) => store.asRetriever(given),
    },
    {
      name: "vectorStore.asRetriever",
      path: "searchKwargs",
      valid: { fetchK: 3 },
      call: (searchKwargs) => store.asRetriever({ searchType: "mmr", searchKwargs }),
    },
    {
      name: "migrate",
      valid: { schema, dimensions: DIMENSIONS },
      call: (given) => migrate(database.owner, given),
    },
    {
      name: "migrate",
      path: "hnsw",
      valid: { m: 16, efConstruction: 64 },
      call: (hnsw) => migrate(database.owner, { schema, hnsw }),
    },
    {
      name: "migrationSql",
      valid: { schema, from: 0, idType: "text" },
      call: (given) => migrationSql(given),
    },
    {
      name: "migrationSql",
      path: "trainings",
      valid: { schema: "public", table: "t", column: "id" },
      call: (trainings) => migrationSql({ idType: "bigint", trainings }),
    },
    { name: "migrationStatus", valid: { schema }, call: (given) => migrationStatus(database.owner, given) },
    {
      name: "ollamaEmbeddings",
      valid: { model: "bge-m3", baseUrl: "http://localhost:1", keepAlive: "5m", headers: {} },
      call: (given) => ollamaEmbeddings(given),
    },
    {
      name: "HashingEmbeddings",
      valid: { dimensions: 8, maxRetries: 1 },
      call: (given) => new HashingEmbeddings(given),
    },
    {
      name: "similarityHandler",
      valid: { maxK: 3, allowFilter: true, authorize: () => true, search: {}, onError: () => undefined },
      call: (given) => similarityHandler(index, given),
    },
    {
      name: "trainingsHandler",
      valid: { authorize: () => true, path: "/x", options: () => ({}), maxLimit: 1, maxConcurrent: 1, timeoutMs: 1 },
      required: true,
      call: (given) => trainingsHandler(index, given),
    },
    {
      name: "trainingsHandler",
      path: "rate",
      valid: { requests: 1, perMs: 1, keyOf: () => "" },
      call: (rate) => trainingsHandler(index, { authorize: () => true, rate }),
    },
    {
      name: "similarityHandler",
      path: "rate",
      valid: { requests: 1, perMs: 1, keyOf: () => "" },
      call: (rate) => similarityHandler(index, { rate }),
    },
    {
      name: "healthHandler",
      valid: { failOn: [], details: true, timeoutMs: 1, maxAgeMs: 1, authorize: () => true, onError: () => undefined },
      call: (given) => healthHandler(index, given),
    },
    {
      name: "similarityHandler",
      path: "search",
      valid: { ...SEARCH },
      call: (given) => similarityHandler(index, { search: given }),
    },
    {
      name: "formatContext",
      valid: { maxChars: 100, header: () => "" },
      call: (given) => formatContext(prompts, given),
    },
    {
      name: "citedContext",
      valid: { maxTokens: 5, countTokens: () => 1 },
      call: (given) => citedContext(prompts, given),
    },
  ];
}

/** Misspellings of a name: an extra letter, a missing one, upper case, snake case, British spelling, a leading space. */
function misspellingsOf(name: string): string[] {
  const snake = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  const all = [`${name}s`, name.slice(0, -1), name.toUpperCase(), snake, name.replace("ize", "ise"), ` ${name}`];
  return [...new Set(all)].filter((each) => each !== name && each !== "");
}

async function failureOf(call: () => unknown): Promise<unknown> {
  try {
    await call();
    return undefined;
  } catch (error) {
    return error;
  }
}

describeOnServer("unknown option names", (database) => {
  it("are refused by every function that takes options, in every misspelling", async () => {
    for (const { name, valid, path, call } of optionFunctionsOf(await openTestIndex(database), database)) {
      const where = `${name} ${path ?? ""}`;
      expect(await failureOf(() => call(valid as never)), where).toBeUndefined();
      for (const known of [...Object.keys(valid), "filter"]) {
        for (const wrong of misspellingsOf(known)) {
          if (wrong in valid) continue;
          const failure = await failureOf(() => call({ ...valid, [wrong]: valid[known] } as never));
          expect(failure, `${where}: ${wrong}`).toBeInstanceOf(InvalidArgumentError);
          expect(failure).toMatchObject({
            option: path === undefined || path === "selection" ? wrong : `${path}.${wrong}`,
            message: expect.stringMatching(/did you mean|known are/) as string,
          });
        }
      }
    }
  });

  it("are not overlooked: lists, Maps, promises and primitives are refused as options", async () => {
    for (const optionFunction of optionFunctionsOf(await openTestIndex(database), database)) {
      const { name, path = "options", call, required = false } = optionFunction;
      const given: unknown[] = [[], [{ k: 1 }], new Map([["k", 1]]), Promise.resolve({}), "k", 7, true];
      for (const wrong of [...given, null, ...(required ? [undefined] : [])]) {
        const failure = await failureOf(() => call(wrong as never));
        // The vector store's asRetriever also takes a number: k.
        if (name === "vectorStore.asRetriever" && path === "options" && typeof wrong === "number") continue;
        expect(failure, `${name} ${path}: ${String(wrong)}`).toBeInstanceOf(InvalidArgumentError);
      }
    }
  });

  it("do not include those of a built-in profile, nor those of a LangChain config", async () => {
    const { index, embeddings, pool, schema } = await openTestIndex(database);
    await index.upsertTraining({ id: "a", content: "loja" });
    const profile = { ...embeddingProfiles["bge-m3"], model: "hashing-1", dimensions: DIMENSIONS };
    await TrainingIndex.initialize(embeddings, { pool, schema, profile });
    expect(
      await index
        .asRetriever()
        .pipe(formatContext as never)
        .invoke("loja"),
    ).toBe("[1]\nloja");
  });
});

describeOnServer("helpful messages", (database) => {
  it("show the right call after a common mistake", async () => {
    const { index, embeddings, pool, schema } = await openTestIndex(database);
    const documents = [{ pageContent: "loja", metadata: {} }];
    const Index = TrainingIndex as unknown as new (...given: unknown[]) => TrainingIndex;
    const calls: [string | RegExp, () => unknown][] = [
      ["await TrainingIndex.initialize(embeddings, { pool })", () => new Index()],
      ["await TrainingIndex.initialize(embeddings, { pool })", () => new Index(embeddings, { pool, schema })],
      [
        "initialize(embeddings, { pool })",
        () => TrainingIndex.initialize({ pool, schema } as never, undefined as never),
      ],
      ["initialize(embeddings, { pool })", () => TrainingIndex.initialize(pool as never, embeddings as never)],
      ["initialize(embeddings, { pool })", () => TrainingIndex.initialize(embeddings, pool as never)],
      ["a promise: await it", () => TrainingIndex.initialize(embeddings, { pool: Promise.resolve(pool) as never })],
      ["similar(query, { k })", () => index.similar({ query: "loja", k: 2 } as never)],
      ["{ id, content }", () => index.upsertTraining("a" as never, "loja" as never)],
      ["upsertTrainings takes lists", () => index.upsertTraining([{ id: "a", content: "loja" }] as never)],
      ["deleteTrainings({ ids: [...] })", () => index.deleteTrainings(["a"] as never)],
      ["deleteTrainings({ ids: [...] })", () => index.deleteTrainings("a" as never)],
      ["delete({ ids: [...] })", () => index.vectorStore.delete(["a"] as never)],
      [".pipe(retriever)", () => index.asRetriever().invoke({ question: "loja" } as never)],
      ["await TrainingIndex.initialize(...)", () => new TrainingRetriever(Promise.resolve(index) as never)],
      [
        "(await TrainingIndex.initialize(...)).vectorStore",
        () => new (index.vectorStore.constructor as new () => unknown)(),
      ],
      ["metadata", () => index.vectorStore.addDocuments([{ ...documents[0], metadata: 5 } as never])],
      ['embeddedPool("data")', () => embeddedPool({ dataDir: "data" } as never)],
    ];
    for (const [hint, call] of calls) {
      const failure = await failureOf(call);
      expect(failure, String(hint)).toBeInstanceOf(InvalidArgumentError);
      expect((failure as Error).message).toContain(hint);
    }
  });

  it("name the place and id of a document that is too long for the model", async () => {
    const { index, embeddings } = await openTestIndex(database);
    const { EmbeddingError } = await import("langchain-training-index");
    Object.assign(embeddings, {
      embedEach: async (texts: string[]) => {
        const vectors = await embeddings.embedDocuments(texts);
        return texts.map((text, place) =>
          text.length > 20
            ? new EmbeddingError("TEXT_TOO_LONG", "A text is longer than the model reads", false)
            : vectors[place],
        );
      },
    });
    const documents = ["curto", "médio", "outro", "longo ".repeat(10)].map((pageContent) => ({
      pageContent,
      metadata: {},
    }));
    const added = index.vectorStore.addDocuments(documents, { ids: ["a", "b", "c", "manual"] });
    await expect(added).rejects.toMatchObject({ code: "TEXT_TOO_LONG" });
    await expect(added).rejects.toThrow(
      /keeps each document as one chunk.*upsertTraining.*documents\[3\], id "manual"/,
    );
  });

  it("include console.log of an index: its schema and model, nothing of the pool", async () => {
    const { index, schema } = await openTestIndex(database);
    const shown = inspect(index);
    expect(shown).toBe(
      inspect({ schema, model: "hashing-1", dimensions: DIMENSIONS, idType: "text" }).replace(/^/, "TrainingIndex "),
    );
    expect(inspect({ index, store: index.vectorStore }, { depth: 5 })).not.toMatch(/pool|password|connect/i);
  });
});
