import {
  formatContext,
  InvalidArgumentError,
  TrainingIndex,
  type Filter,
  type Hit,
  type SearchMode,
  type SearchStrategy,
  type SimilarOptions,
  type TrainingDocument,
  type TrainingHit,
} from "langchain-training-index";
import { similarityHandler } from "langchain-training-index/http";
import { expect, it } from "vitest";
import { describeOnServer, type TestDatabase } from "../support/databases.js";
import { inHostTransaction, openTestIndex, type TestIndex } from "../support/index.js";

type Options = SimilarOptions<SearchMode, SearchStrategy>;

/** Occurs only in texts and metadata that the filter excludes. */
const SECRET = "segredo";
const VISIBLE = { bot: "a" };
const QUESTION = "a loja";
const MODES: readonly SearchMode[] = ["vector", "text", "hybrid"];

/** Values of every option of a search; a new option has to be added here. */
const VALUES: { [Name in keyof Required<Options>]: readonly Options[Name][] } = {
  strategy: ["chunks", "trainings"],
  mode: MODES,
  weights: [{ vector: 0, text: 1 }, { vector: 1, text: 0 }, { vector: 1 }],
  onTextOnly: [() => undefined],
  k: [1, 1000],
  filter: [{ grupo: "x" }, { nota: { ne: "outra" } }],
  minScore: [-1],
  maxDistance: [2],
  perTraining: [1, 1000],
  neighbors: [{ before: 1, after: 1 }, { before: 50 }],
  mmr: [{ lambda: 0, fetchK: 1000 }],
  matches: [true],
  typos: [false],
  rerank: [
    (_question, hits) => {
      expect(JSON.stringify(hits)).not.toContain(SECRET);
      return hits;
    },
  ],
  model: [undefined], // for a query that is a vector
  efSearch: [1, 1000],
  rerankFactor: [100],
  consistency: [undefined], // there is no standby
  client: [undefined], // the entry "similar in the host's transaction" passes one
  signal: [new AbortController().signal],
  timeoutMs: [60_000],
};

/** Each mode and strategy with each value of each option, alone and together with neighbors. */
function allSearches(): Options[] {
  const { strategy: strategies, mode: modes, ...others } = VALUES;
  const single = Object.entries(others).flatMap(([name, values]) => values.map((value) => ({ [name]: value })));
  const neighbors = { before: 50, after: 50 };
  return strategies.flatMap((strategy) =>
    modes.flatMap((mode) =>
      [{}, ...single].flatMap((option: Options) => [
        { strategy, mode, ...option },
        { strategy, mode, neighbors, ...option },
      ]),
    ),
  );
}

/** A way in which a host runs a search. */
type Entry = (index: TrainingIndex, search: Options, test: TestIndex) => Promise<unknown[]>;

const ENTRIES: Record<string, Entry> = {
  similar: async (index, search) => {
    const hits: (Hit | TrainingHit)[] = await index.similar(QUESTION, search);
    const passages = hits.flatMap((hit): Hit[] => ("chunks" in hit ? hit.chunks : [hit]));
    return [...hits, formatContext(passages)];
  },
  "similar in the host's transaction": async (index, search, { pool }) => {
    let hits: unknown[] = [];
    await inHostTransaction(pool, "COMMIT", async (client) => {
      hits = await index.similar(QUESTION, { ...search, client });
    });
    return hits;
  },
  "a retriever": (index, search) => {
    const { strategy, client, signal, ...ofRetriever } = search;
    if (strategy === "trainings" || client || signal) return Promise.resolve(["not a retriever option"]);
    return index.asRetriever(ofRetriever).invoke(QUESTION);
  },
  "the HTTP handler": async (index, search) => {
    const { filter, k = 5, mode = "vector", strategy = "chunks", client, signal, ...ofHost } = search;
    if (client || signal) return ["not a handler option"];
    const handle = similarityHandler(index, {
      modes: [mode],
      strategies: [strategy],
      allowFilter: true,
      maxK: 1000,
      search: ofHost,
    });
    const body = JSON.stringify({ query: QUESTION, k, filter });
    const headers = { "Content-Type": "application/json" };
    const response = await handle(new Request("http://localhost/", { method: "POST", headers, body }));
    const answer = (await response.json()) as { results?: unknown[] };
    if (!answer.results) throw new Error(JSON.stringify(answer));
    return answer.results;
  },
};

/** Trainings with both visible and hidden documents, with visible ones only, and with hidden ones only. */
async function openMixed(database: TestDatabase): Promise<TestIndex> {
  const test = await openTestIndex(database, {}, { textSearch: "portuguese" });
  const visible = (text: string): { pageContent: string; metadata: object } => ({
    pageContent: `A loja ${text}.`,
    metadata: { ...VISIBLE, nota: "livre" },
  });
  const hidden = (text: string): { pageContent: string; metadata: object } => ({
    pageContent: `A loja, a loja, a loja: ${SECRET} ${text}.`,
    metadata: { bot: "b", nota: SECRET },
  });
  // The filter excludes the trainings' own metadata in the first two.
  const mixed = { bot: "b", grupo: "x", nota: SECRET };
  await test.index.upsertTraining({
    id: "alternada",
    metadata: mixed,
    split: false,
    documents: [hidden("1"), visible("um"), hidden("2"), visible("dois"), visible("três"), hidden("3")],
  });
  await test.index.upsertTraining({
    id: "cercada",
    metadata: mixed,
    split: false,
    documents: [hidden("4"), hidden("5"), visible("quatro"), hidden("6")],
  });
  await test.index.upsertTraining({
    id: "livre",
    metadata: { ...VISIBLE, grupo: "x", nota: "livre" },
    split: false,
    documents: [visible("cinco"), visible("seis")],
  });
  await test.index.upsertTraining({ id: SECRET, metadata: mixed, split: false, documents: [hidden("7")] });
  return test;
}

// Guards: `VisibleChunks`: every search statement reads chunks only through it.
describeOnServer("C10 No leak, no injection", (database) => {
  it.each(Object.keys(ENTRIES))(
    "%s returns nothing that a filter excludes, whatever the other options",
    { timeout: 240_000 },
    async (name) => {
      const entry = ENTRIES[name];
      const test = await openMixed(database);
      const { embeddings, index, pool, schema } = test;
      const scoped = await TrainingIndex.initialize(embeddings, { pool, schema, filter: VISIBLE });
      const refused: Options[] = [];
      const answered = new Set<string>();
      let answers = 0;
      for (const search of allSearches()) {
        const { filter } = search;
        const narrowed: Filter = filter ? { $and: [VISIBLE, filter] } : VISIBLE;
        for (const [of, options] of [
          [scoped, search],
          [index, { ...search, filter: narrowed }],
        ] as const) {
          try {
            const answer = (await entry?.(of, options, test)) ?? [];
            const text = JSON.stringify(answer);
            expect(text, JSON.stringify(options)).not.toContain(SECRET);
            expect(answer.length, JSON.stringify(options)).toBeGreaterThan(0);
            answers += 1;
            answered.add(`${search.strategy} by ${search.mode}`);
          } catch (error) {
            if (!(error instanceof InvalidArgumentError)) throw error;
            refused.push(search);
          }
        }
      }
      expect(answers).toBeGreaterThan(100);
      for (const strategy of VALUES.strategy) {
        for (const mode of MODES) expect(answered).toContain(`${strategy} by ${mode}`);
      }
      // Some options are refused with a mode or strategy. No value may be refused with all of them.
      for (const [option, values] of Object.entries(VALUES)) {
        for (const value of values) {
          const ofValue = (search: Options): boolean => search[option as keyof Options] === value;
          expect(refused.filter(ofValue).length, `${option} ${JSON.stringify(value)} is always refused`).toBeLessThan(
            2 * allSearches().filter(ofValue).length,
          );
        }
      }
    },
  );

  it("a hybrid search without its embedder returns nothing that a filter excludes", async () => {
    const { index, embeddings } = await openMixed(database);
    embeddings.embedQuery = () => Promise.reject(new Error("connect ECONNREFUSED"));
    const search = {
      mode: "hybrid",
      filter: VISIBLE,
      neighbors: { before: 50, after: 50 },
      onTextOnly: () => undefined,
    } as const;
    const hits = await index.similar(QUESTION, search);
    expect(hits).toHaveLength(5);
    const trainings = await index.similar(QUESTION, { ...search, strategy: "trainings", perTraining: 50 });
    expect(trainings).toHaveLength(3);
    expect(JSON.stringify([hits, trainings])).not.toContain(SECRET);
  });

  it.each([
    ["similaritySearch", (store, filter) => store.similaritySearch(QUESTION, 100, filter)],
    ["similaritySearchWithScore", (store, filter) => store.similaritySearchWithScore(QUESTION, 100, filter)],
    [
      "similaritySearchVectorWithScore",
      async (store, filter) =>
        store.similaritySearchVectorWithScore(await store.embeddings.embedQuery(QUESTION), 100, filter),
    ],
    [
      "similaritySearchVectorWithScores",
      async (store, filter) =>
        store.similaritySearchVectorWithScores(await store.embeddings.embedQuery(QUESTION), 100, filter),
    ],
    [
      "maxMarginalRelevanceSearch",
      (store, filter) => store.maxMarginalRelevanceSearch(QUESTION, { k: 100, fetchK: 100, ...(filter && { filter }) }),
    ],
  ] as [string, (store: TrainingIndex["vectorStore"], filter?: Filter) => Promise<unknown[]>][])(
    "the vector store's %s returns nothing that a filter excludes",
    async (_name, find) => {
      const { index, embeddings, pool, schema } = await openMixed(database);
      const scoped = await TrainingIndex.initialize(embeddings, { pool, schema, filter: VISIBLE });
      for (const found of [await find(scoped.vectorStore), await find(index.vectorStore, VISIBLE)]) {
        expect(found).toHaveLength(6);
        expect(JSON.stringify(found)).not.toContain(SECRET);
      }
    },
  );

  it("a passage ends at a chunk that the filter excludes, and reports its number of neighbors", async () => {
    const { index } = await openMixed(database);
    const hits = await index.similar(QUESTION, {
      k: 10,
      filter: VISIBLE,
      neighbors: { before: 50, after: 50 },
    });
    const of = (position: number): unknown =>
      hits.find((hit) => hit.trainingId === "alternada" && hit.position === position);
    expect(of(1)).toMatchObject({ content: "A loja um.", neighbors: { before: 0, after: 0 } });
    expect(of(3)).toMatchObject({
      content: "A loja dois.\n\nA loja três.",
      neighbors: { before: 0, after: 1 },
    });
    expect(of(4)).toMatchObject({
      content: "A loja dois.\n\nA loja três.",
      neighbors: { before: 1, after: 0 },
    });
    for (const { content, start, end } of hits) expect(content).toHaveLength(end - start);
  });

  it.each(MODES)("a training is ranked by its best chunk that matches the filter: mode %s", async (mode) => {
    const { index } = await openTestIndex(database, {}, { textSearch: "portuguese" });
    const chunk = (pageContent: string, parte: number): TrainingDocument => ({ pageContent, metadata: { parte } });
    await index.upsertTraining({
      id: "a",
      documents: [chunk("o frete grátis do pix", 0), chunk("o prazo do frete", 1)],
      split: false,
    });
    await index.upsertTraining({ id: "b", documents: [chunk("o frete, o frete e o pix", 1)], split: false });
    const find = async (filter?: Filter): Promise<TrainingHit[]> =>
      index.similar("frete grátis do pix", { strategy: "trainings", mode, filter });
    const [whole] = await find();
    expect(whole?.trainingId).toBe("a");
    const hits = await find({ parte: 1 });
    expect(hits.map(({ trainingId }) => trainingId)).toEqual(["b", "a"]);
    expect(hits[1]?.score).toBeLessThan(whole?.score ?? NaN);
    for (const { chunks, score } of hits) {
      expect(chunks).toMatchObject([{ metadata: { parte: 1 }, score }]);
    }
  });

  it.each(MODES)(
    "if the filter excludes a training's own metadata, only the part shared with the found chunk is returned: mode %s",
    async (mode) => {
      const { index } = await openMixed(database);
      const hits: TrainingHit[] = await index.similar(QUESTION, { strategy: "trainings", mode, filter: VISIBLE });
      const metadata = new Map(hits.map((hit) => [hit.trainingId, hit.metadata]));
      expect(metadata).toEqual(
        new Map([
          ["alternada", { grupo: "x" }],
          ["cercada", { grupo: "x" }],
          ["livre", { bot: "a", grupo: "x", nota: "livre" }],
        ]),
      );
      const [whole] = await index.similar(QUESTION, { strategy: "trainings", mode, k: 1, filter: { bot: "b" } });
      expect(whole?.metadata).toEqual({ bot: "b", grupo: "x", nota: SECRET });
    },
  );
});
