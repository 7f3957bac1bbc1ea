import { TrainingIndex, TrainingRetriever, type DatabasePool, type Splitter } from "langchain-training-index";
import { expect, it } from "vitest";
import { collect, failureOf, openAgain } from "../support/contract.js";
import { describeOnServer, type TestDatabase } from "../support/databases.js";
import { CountingEmbeddings, DIMENSIONS, openTestIndex, sharedIndex } from "../support/index.js";
import { expectTyped, SECRET, TRAINING } from "../support/typed-errors.js";

const VECTOR = new Array<number>(DIMENSIONS).fill(1);
const DOCUMENT = { pageContent: SECRET, metadata: {} };

/** A pool that records its calls. */
function watchedPool({ pool }: TestDatabase): { pool: DatabasePool; asked: string[] } {
  const asked: string[] = [];
  const watched: DatabasePool = {
    query: (text, values) => {
      asked.push("query");
      return pool.query(text, values);
    },
    connect: () => {
      asked.push("connect");
      return pool.connect();
    },
  };
  return { pool: watched, asked };
}

/** An invalid call and the option that its error names. A synchronous throw counts as its failure too. */
type WrongCall = [option: string, call: (index: TrainingIndex) => unknown];

const WRONG_VALUES: WrongCall[] = [
  ["training", (index) => index.upsertTraining(null as never)],
  ["training.id", (index) => index.upsertTraining({ id: 5, content: SECRET })],
  ["training.id", (index) => index.prepareTraining({ id: " ", content: SECRET })],
  ["training.content", (index) => index.upsertTraining({ id: "a", content: 5 } as never)],
  ["training", (index) => index.upsertTraining({ id: "a", content: SECRET, documents: [] } as never)],
  ["training.revision", (index) => index.upsertTraining({ ...TRAINING, revision: NaN })],
  ["training.metadata.preço", (index) => index.upsertTraining({ ...TRAINING, metadata: { preço: 1n } })],
  ["training.documents[1]", (index) => index.upsertTraining({ id: "a", documents: ['{"page_content": ""}', SECRET] })],
  ["trainings[1].id", (index) => collect(index.upsertTrainings([TRAINING, { ...TRAINING, id: "" }]))],
  ["id", (index) => index.deleteTraining("nul\0")],
  ["revision", (index) => index.deleteTraining("a", { revision: Infinity })],
  ["ids[1]", (index) => index.deleteTrainings({ ids: ["a", ""] })],
  ["selection", (index) => index.deleteTrainings({} as never)],
  ["filter", (index) => index.deleteTrainings({ filter: {} })],
  ["olderThanMs", (index) => index.prune({ olderThanMs: 0 })],
  ["id", (index) => index.get(5)],
  ["id", (index) => index.chunks("")],
  ["client", (index) => index.get("a", { client: 5 as never })],
  ["timeoutMs", (index) => index.count({ timeoutMs: 0 })],
  ["filter", (index) => index.count({ filter: {} })],
  ["limit", (index) => collect(index.list({ limit: 0 }))],
  ["after", (index) => collect(index.list({ after: 5 }))],
  ["filter", (index) => index.withFilter({})],
  ["filter", (index) => index.withFilter(undefined as never)],
  ["filter.grupo", (index) => index.withFilter({ grupo: null } as never)],
  ["counts", (index) => index.status({ counts: 1 as never })],
  ["query", (index) => index.similar(" ")],
  ["query", (index) => index.similar(VECTOR.slice(1))],
  ["query", (index) => index.similar(VECTOR.with(0, NaN))],
  ["k", (index) => index.similar("loja", { k: 0 })],
  ["efSearch", (index) => index.similar("loja", { efSearch: 1001 })],
  ["rerankFactor", (index) => index.similar("loja", { rerankFactor: 0 })],
  ["rerankFactor", (index) => index.similar("loja", { rerankFactor: 101 })],
  ["filter.grupo", (index) => index.similar("loja", { filter: { grupo: null } as never })],
  ["query", (index) => index.asRetriever().invoke("")],
  ["k", (index) => index.vectorStore.similaritySearch("loja", -1)],
  ["delete", (index) => index.vectorStore.delete({} as never)],
  ["ids", ({ vectorStore }) => vectorStore.addDocuments([], { ids: ["a"] })],
  ["vectors", ({ vectorStore }) => vectorStore.addVectors([VECTOR], [])],
  ["vectors[0]", ({ vectorStore }) => vectorStore.addVectors([[0.123456]], [DOCUMENT])],
  ["createHnswIndex", ({ vectorStore }) => vectorStore.createHnswIndex()],
  ["training.documents[0]", (index) => index.upsertTraining({ id: "a", documents: new Array<never>(1) })],
  ["trainings", (index) => collect(index.upsertTrainings(5 as never))],
  ["concurrency", (index) => collect(index.upsertTrainings([TRAINING], { concurrency: 0 }))],
  ["concurrency", (index) => collect(index.upsertTrainings([TRAINING], { concurrency: 1.5 }))],
  ["concurrency", (index) => collect(index.upsertTrainings([TRAINING], { concurrency: 33 }))],
  ["trainings", (index) => collect(index.upsertTrainings(undefined as never))],
  ["selection", (index) => index.deleteTrainings(undefined as never)],
  ["selection", (index) => index.deleteTrainings(null as never)],
  ["ids", (index) => index.deleteTrainings({ ids: "a" as never })],
  ["ids", (index) => index.deleteTrainings({ ids: null as never })],
  ["ids[0]", (index) => index.deleteTrainings({ ids: new Array<string>(1) })],
  ["olderThanMs", (index) => index.prune({ olderThanMs: "5" as never })],
  ["olderThanMs", (index) => index.prune({ olderThanMs: Number.MAX_SAFE_INTEGER })],
  ["index", () => new TrainingRetriever(null as never)],
  ["k", (index) => index.asRetriever().invoke("loja", { configurable: { trainings: { k: 0 } } })],
  ["filter", (index) => index.asRetriever().invoke("loja", { configurable: { trainings: { filter: {} } } })],
];

const WRONG_OPTIONS: WrongCall[] = [
  ["options", (index) => index.upsertTraining(TRAINING, null as never)],
  ["options", (index) => index.prepareTraining(TRAINING, null as never)],
  ["options", (index) => collect(index.upsertTrainings([TRAINING], null as never))],
  ["options", (index) => index.deleteTraining("a", null as never)],
  ["options", (index) => index.deleteTrainings({ ids: ["a"] }, null as never)],
  ["options", (index) => index.prune(null as never)],
  ["options", (index) => index.prune(undefined as never)],
  ["options", (index) => index.similar("loja", null as never)],
  ["options", (index) => index.similar("loja", 5 as never)],
  ["options", (index) => index.asRetriever(null as never)],
  ["options", (index) => new TrainingRetriever(index, null as never)],
  ["client", (index) => index.upsertTraining(TRAINING, { client: {} as never })],
  ["client", (index) => index.upsertTraining(TRAINING, { client: null as never })],
  ["client", (index) => index.deleteTraining("a", { client: {} as never })],
  ["client", (index) => index.deleteTrainings({ ids: ["a"] }, { client: {} as never })],
  ["client", (index) => index.deleteTrainings({ filter: { grupo: "x" } }, { client: {} as never })],
  ["client", (index) => index.prune({ olderThanMs: 1, client: {} as never })],
  ["signal", (index) => index.upsertTraining(TRAINING, { signal: {} as never })],
  ["signal", (index) => index.prepareTraining(TRAINING, { signal: { aborted: false } as never })],
  ["signal", (index) => collect(index.upsertTrainings([TRAINING], { signal: {} as never }))],
  ["signal", (index) => index.deleteTraining("a", { signal: {} as never })],
  ["signal", (index) => index.deleteTrainings({ ids: ["a"] }, { signal: {} as never })],
  ["signal", (index) => index.similar("loja", { signal: {} as never })],
  ["signal", (index) => index.similar("loja", { signal: new EventTarget() as never })],
  ["onProgress", (index) => index.upsertTraining(TRAINING, { onProgress: "sim" as never })],
];

const WRONG_VECTOR_STORE_CALLS: WrongCall[] = [
  ["ids", ({ vectorStore }) => vectorStore.getByIds(undefined as never)],
  ["ids", ({ vectorStore }) => vectorStore.getByIds("x" as never)],
  ["ids[1]", ({ vectorStore }) => vectorStore.getByIds(["a", "nul\0"])],
  ["ids[0]", ({ vectorStore }) => vectorStore.getByIds([5] as never)],
  ["ids[0]", ({ vectorStore }) => vectorStore.getByIds([" "])],
  ["delete", ({ vectorStore }) => vectorStore.delete(null as never)],
  ["ids", ({ vectorStore }) => vectorStore.delete({ ids: "x" as never })],
  ["ids", ({ vectorStore }) => vectorStore.delete({ ids: null as never })],
  ["ids[0]", ({ vectorStore }) => vectorStore.delete({ ids: [5] as never })],
  ["documents", ({ vectorStore }) => vectorStore.addDocuments(undefined as never)],
  ["documents[0]", ({ vectorStore }) => vectorStore.addDocuments([null] as never)],
  ["documents[0]", ({ vectorStore }) => vectorStore.addDocuments(new Array<never>(1))],
  ["ids", ({ vectorStore }) => vectorStore.addDocuments([DOCUMENT], { ids: "a" as never })],
  [
    "trainings[100].documents[0]",
    ({ vectorStore }) => vectorStore.addDocuments([...new Array<typeof DOCUMENT>(100).fill(DOCUMENT), {} as never]),
  ],
  ["vectors", ({ vectorStore }) => vectorStore.addVectors(undefined as never, undefined as never)],
  ["documents", ({ vectorStore }) => vectorStore.addVectors([VECTOR], undefined as never)],
  ["documents[0]", ({ vectorStore }) => vectorStore.addVectors([VECTOR], [null] as never)],
  ["vectors[0]", ({ vectorStore }) => vectorStore.addVectors([null] as never, [DOCUMENT])],
  ["vectors[0]", ({ vectorStore }) => vectorStore.addVectors(new Array<number[]>(1), [DOCUMENT])],
  ["options", ({ vectorStore }) => vectorStore.maxMarginalRelevanceSearch("loja", undefined as never)],
  ["query", ({ vectorStore }) => vectorStore.maxMarginalRelevanceSearch(" ", { k: 1 })],
  ["query", ({ vectorStore }) => vectorStore.maxMarginalRelevanceSearch(5 as never, { k: 1 })],
  ...["5", 0, -1, 1.5, 1001, NaN].map((k): WrongCall => [
    "k",
    ({ vectorStore }) => vectorStore.maxMarginalRelevanceSearch("loja", { k: k as never }),
  ]),
  ...["5", 0, 1.5, 1e9].map((fetchK): WrongCall => [
    "mmr.fetchK",
    ({ vectorStore }) => vectorStore.maxMarginalRelevanceSearch("loja", { k: 1, fetchK: fetchK as never }),
  ]),
  ...["a", "0.5", -0.1, 1.1, NaN, Infinity].map((lambda): WrongCall => [
    "mmr.lambda",
    ({ vectorStore }) => vectorStore.maxMarginalRelevanceSearch("loja", { k: 1, lambda: lambda as never }),
  ]),
  ["filter", ({ vectorStore }) => vectorStore.maxMarginalRelevanceSearch("loja", { k: 1, filter: {} })],
];

/** An invalid search option, through `similar` and through a retriever. */
function wrongSearch(option: string, options: Record<string, unknown>): WrongCall[] {
  return [
    [option, (index) => index.similar("loja", options)],
    [option, (index) => index.asRetriever(options)],
  ];
}

const WRONG_SEARCHES: WrongCall[] = [
  ...[-1.1, 1.1, NaN, "0.5", null].flatMap((minScore) => wrongSearch("minScore", { minScore })),
  ...[-0.1, 2.1, NaN, "1"].flatMap((maxDistance) => wrongSearch("maxDistance", { maxDistance })),
  ...wrongSearch("minScore", { mode: "text", minScore: 1.1 }),
  ...wrongSearch("maxDistance", { mode: "text", maxDistance: 0.5 }),
  ...wrongSearch("maxDistance", { mode: "hybrid", maxDistance: 0.5, onTextOnly: () => undefined }),
  ...[0, 1.5, 1001, "1", null].flatMap((perTraining) => wrongSearch("perTraining", { perTraining })),
  ...[2, "1", null].flatMap((neighbors) => wrongSearch("neighbors", { neighbors })),
  ...[-1, 0.5, 51, "1"].flatMap((before) => wrongSearch("neighbors.before", { neighbors: { before } })),
  ...wrongSearch("neighbors.after", { neighbors: { before: 1, after: null } }),
  ...[true, 5, null].flatMap((mmr) => wrongSearch("mmr", { mmr })),
  ...wrongSearch("mmr.fetchK", { mmr: { fetchK: 0 } }),
  ...wrongSearch("mmr.lambda", { mmr: { lambda: 2 } }),
  ...wrongSearch("strategy", { strategy: "documents" }),
  ...wrongSearch("mode", { mode: "bm25" }),
  ["mmr", (index) => index.similar("loja", { strategy: "trainings", mmr: {} as never })],
  ["strategy", (index) => index.asRetriever({ strategy: "trainings" } as never)],
  ["strategy", (index) => new TrainingRetriever(index, { strategy: "trainings" } as never)],
  ["client", (index) => index.similar("loja", { client: {} as never })],
  ["minScore", (index) => index.asRetriever().invoke("loja", { configurable: { trainings: { minScore: 2 } } })],
];

// Guards: arguments are checked before the first `await`.
describeOnServer("C11 Typed errors", (database) => {
  const shared = sharedIndex(database);

  it.each([...WRONG_VALUES, ...WRONG_OPTIONS, ...WRONG_SEARCHES, ...WRONG_VECTOR_STORE_CALLS])(
    "refuses an invalid %s before it calls the pool or the embedder",
    async (option, call) => {
      const { pool, asked } = watchedPool(database);
      const embeddings = new CountingEmbeddings();
      const index = await openAgain(shared(), pool, embeddings);
      embeddings.embedQuery = expect.unreachable;
      asked.length = 0;
      const failure = await failureOf(Promise.resolve().then(() => call(index)));
      expectTyped(failure, { name: "InvalidArgumentError", option, retryable: false });
      expect(asked).toEqual([]);
      expect(embeddings.calls).toBe(0);
    },
  );

  it.each([{}, 5, { splitText: "não" }])("refuses the splitter %j before it calls the pool", async (splitter) => {
    const pool = { connect: expect.unreachable, query: expect.unreachable };
    const options = { pool, splitter: splitter as unknown as Splitter };
    const failure = await failureOf(TrainingIndex.initialize(new CountingEmbeddings(), options));
    expectTyped(failure, { name: "InvalidArgumentError", option: "splitter", retryable: false });
  });

  it.each([undefined, null, SECRET, 5, {}, [SECRET, 5], [null]])(
    "refuses %j returned by a splitter and stores nothing",
    async (returned) => {
      const splitter = { splitText: () => Promise.resolve(returned as string[]) };
      const { index, embeddings } = await openTestIndex(database, { splitter });
      const failure = await failureOf(index.upsertTraining(TRAINING));
      expectTyped(failure, { name: "InvalidArgumentError", option: "splitter", retryable: false });
      expect(embeddings.calls).toBe(0);
      expect(await index.similar("loja")).toEqual([]);
    },
  );

  it("refuses an invalid client for a prepared training, which can still be committed", async () => {
    const { index } = await openTestIndex(database);
    const prepared = await index.prepareTraining(TRAINING);
    for (const client of [{}, null, 5]) {
      const failure = await failureOf(prepared.commit(client as never));
      expectTyped(failure, { name: "InvalidArgumentError", option: "client", retryable: false });
    }
    expect(await prepared.commit()).toMatchObject({ status: "indexed" });
  });
});
