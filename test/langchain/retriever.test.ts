import { BaseCallbackHandler } from "@langchain/core/callbacks/base";
import { awaitAllCallbacks } from "@langchain/core/callbacks/promises";
import { Document, type DocumentInterface } from "@langchain/core/documents";
import { RunnableLambda } from "@langchain/core/runnables";
import { describe, expect, it } from "vitest";
import { DatabaseError } from "../../src/errors.js";
import type { RetrieverSearch } from "../../src/searching/narrowed-search.js";
import {
  TrainingRetriever,
  type SearchableIndex,
  type TrainingRetrieverOptions,
} from "../../src/langchain/retriever.js";
import { toDocument } from "../../src/langchain/hit-document.js";
import type { SimilarOptions } from "../../src/searching/search-options.js";
import type { ChunkHit } from "../../src/hit-types.js";

function hit(content: string, position = 0): ChunkHit {
  const place = { trainingId: "entregas", chunkId: `c${position}`, position, start: 0, end: content.length };
  return { ...place, content, metadata: { tag: "entregas" }, score: 0.75, similarity: 0.75, distance: 0.25 };
}

/** An index that records its calls and returns the question in its hits. */
class RecordingIndex implements SearchableIndex {
  readonly asked: [string, SimilarOptions | undefined][] = [];

  similar(query: string, options?: SimilarOptions): Promise<ChunkHit[]> {
    this.asked.push([query, options]);
    return Promise.resolve([hit(`${query} Resposta um.`, 0), hit(`${query} Resposta dois.`, 1)]);
  }
}

class RecordingHandler extends BaseCallbackHandler {
  name = "noting";
  readonly events: unknown[] = [];

  override handleRetrieverStart(
    _retriever: unknown,
    query: string,
    _runId: string,
    _parentRunId?: string,
    tags?: string[],
    metadata?: Record<string, unknown>,
  ): void {
    this.events.push({ query, tags, metadata });
  }

  override handleRetrieverEnd(documents: Document[]): void {
    this.events.push(documents.map(({ id }) => id));
  }

  override handleRetrieverError(error: Error): void {
    this.events.push(error);
  }
}

describe("toDocument", () => {
  it("makes a document with the chunk's id and place", () => {
    const document = toDocument(hit("O prazo é de três dias.", 2));
    expect(document).toBeInstanceOf(Document);
    expect(document.id).toBe("c2");
    expect(document.pageContent).toBe("O prazo é de três dias.");
    expect(document.metadata).toStrictEqual({
      tag: "entregas",
      trainingIndex: {
        trainingId: "entregas",
        chunkId: "c2",
        position: 2,
        start: 0,
        end: 23,
        score: 0.75,
        similarity: 0.75,
        distance: 0.25,
      },
    });
  });

  it("does not change metadata with the same keys as the place, nor the hit", () => {
    const given = { ...hit("Olá"), metadata: { score: "alto", position: 99 } };
    expect(toDocument(given).metadata).toMatchObject({
      score: "alto",
      position: 99,
      trainingIndex: { score: 0.75, position: 0 },
    });
    expect(given.metadata).toStrictEqual({ score: "alto", position: 99 });
  });
});

describe("TrainingRetriever", () => {
  it("returns the hits as documents, nearest first", async () => {
    const documents = await new TrainingRetriever(new RecordingIndex()).invoke("Qual é o prazo?");
    expect(documents.map(({ id, pageContent }) => [id, pageContent])).toEqual([
      ["c0", "Qual é o prazo? Resposta um."],
      ["c1", "Qual é o prazo? Resposta dois."],
    ]);
    expect(documents[1]?.metadata.trainingIndex.position).toBe(1);
  });

  it("searches with its options, without those of LangChain", async () => {
    const index = new RecordingIndex();
    const search = { k: 3, filter: { grupo: "suporte" }, efSearch: 100 };
    const retriever = new TrainingRetriever(index, {
      ...search,
      callbacks: [],
      tags: ["t"],
      metadata: { m: 1 },
      verbose: false,
    });
    await retriever.invoke("Qual é o prazo?");
    expect(index.asked).toStrictEqual([["Qual é o prazo?", search]]);
  });

  it("searches without options if it has none", async () => {
    const index = new RecordingIndex();
    await new TrainingRetriever(index).invoke("Olá");
    expect(index.asked).toStrictEqual([["Olá", {}]]);
  });

  it("has LangChain's defaults unless options are given", () => {
    const plain = new TrainingRetriever(new RecordingIndex());
    expect([plain.callbacks, plain.tags, plain.metadata, plain.verbose]).toEqual([undefined, [], {}, false]);
    const callbacks = [new RecordingHandler()];
    const given = new TrainingRetriever(new RecordingIndex(), {
      callbacks,
      tags: ["faq"],
      metadata: { bot: 1 },
      verbose: true,
    });
    expect([given.callbacks, given.tags, given.metadata, given.verbose]).toEqual([
      callbacks,
      ["faq"],
      { bot: 1 },
      true,
    ]);
  });

  it("calls callbacks with tags and metadata, its own and those of the call", async () => {
    const [own, ofCall] = [new RecordingHandler(), new RecordingHandler()];
    const retriever = new TrainingRetriever(new RecordingIndex(), {
      callbacks: [own],
      tags: ["faq"],
      metadata: { bot: 1 },
    });
    await retriever.invoke("Olá", { callbacks: [ofCall], tags: ["agora"] });
    await awaitAllCallbacks();
    for (const { events } of [own, ofCall]) {
      expect(events).toHaveLength(2);
      expect(events[0]).toMatchObject({ query: "Olá", metadata: { bot: 1 } });
      expect(events[1]).toEqual(["c0", "c1"]);
    }
    const [start] = own.events as [{ tags: string[] }];
    expect([...start.tags].sort()).toEqual(["agora", "faq"]);
  });

  it("passes on what the index throws, and tells the callbacks", async () => {
    const failure = new DatabaseError("sem conexão", { code: "CONNECTION_FAILED", retryable: true });
    const handler = new RecordingHandler();
    const retriever = new TrainingRetriever({ similar: () => Promise.reject(failure) }, { callbacks: [handler] });
    await expect(retriever.invoke("Olá")).rejects.toBe(failure);
    await awaitAllCallbacks();
    expect(handler.events[1]).toBe(failure);
  });

  it("answers several questions with batch, in their order", async () => {
    const answers = await new TrainingRetriever(new RecordingIndex()).batch(["Um?", "Dois?"]);
    expect(answers.map((documents) => documents[0]?.pageContent)).toEqual(["Um? Resposta um.", "Dois? Resposta um."]);
  });

  it("can be piped into another step", async () => {
    const join = RunnableLambda.from((documents: Document[]) =>
      documents.map(({ pageContent }) => pageContent).join("\n"),
    );
    await expect(new TrainingRetriever(new RecordingIndex()).pipe(join).invoke("Olá!")).resolves.toBe(
      "Olá! Resposta um.\nOlá! Resposta dois.",
    );
  });

  it("streams its documents as one piece", async () => {
    const pieces: DocumentInterface[][] = [];
    for await (const piece of await new TrainingRetriever(new RecordingIndex()).stream("Olá!")) pieces.push(piece);
    expect(pieces.map((documents) => documents.map(({ id }) => id))).toEqual([["c0", "c1"]]);
  });

  it("names itself to LangChain", () => {
    const retriever = new TrainingRetriever(new RecordingIndex());
    expect(TrainingRetriever.lc_name()).toBe("TrainingRetriever");
    expect(retriever.lc_namespace).toEqual(["langchain_training_index", "retrievers"]);
    expect(retriever.getName()).toBe("TrainingRetriever");
  });
});

describe("a call of a TrainingRetriever", () => {
  const own = { k: 3, efSearch: 100 };

  /** The options that the index gets from a retriever with options `made`, in a call with options `trainings`. */
  async function askedFor(made: TrainingRetrieverOptions, trainings: unknown): Promise<unknown> {
    const index = new RecordingIndex();
    await new TrainingRetriever(index, made).invoke("Olá", {
      configurable: { trainings: trainings as never },
    });
    return index.asked[0]?.[1];
  }

  it("uses the options in configurable.trainings, and the next call the retriever's own", async () => {
    const index = new RecordingIndex();
    const retriever = new TrainingRetriever(index, own);
    const onTextOnly = (): void => undefined;
    const weights = { text: 2 };
    const search = { k: 2, mode: "hybrid", weights, onTextOnly, rerankFactor: 2 } as const;
    await retriever.invoke("Olá", { configurable: { trainings: search } });
    await retriever.invoke("Olá");
    expect(index.asked).toStrictEqual([
      ["Olá", { ...own, ...search }],
      ["Olá", own],
    ]);
  });

  it.each<[string, TrainingRetrieverOptions, RetrieverSearch, RetrieverSearch]>([
    ["k", { k: 3 }, { k: 7 }, { k: 3 }],
    ["k, by default", {}, { k: 50 }, { k: 5 }],
    ["k, smaller", { k: 3 }, { k: 2 }, { k: 2 }],
    ["perTraining", { perTraining: 2 }, { perTraining: 5 }, { perTraining: 2 }],
    ["perTraining, not set before", {}, { perTraining: 5 }, { perTraining: 5 }],
    [
      "neighbors",
      { neighbors: { before: 2, after: 1 } },
      { neighbors: { before: 1, after: 50 } },
      { neighbors: { before: 1, after: 1 } },
    ],
    [
      "neighbors, on a side that has none",
      { neighbors: { after: 1 } },
      { neighbors: { before: 9 } },
      { neighbors: { before: 0, after: 1 } },
    ],
    ["neighbors, not set before", {}, { neighbors: { before: 9 } }, {}],
    ["efSearch", { efSearch: 20 }, { efSearch: 1000 }, { efSearch: 20 }],
    ["efSearch, by default", {}, { efSearch: 1000 }, { efSearch: 40 }],
    ["rerankFactor, by default", {}, { rerankFactor: 100 }, { rerankFactor: 10 }],
    [
      "mmr's candidates",
      { mmr: { fetchK: 30 } },
      { mmr: { fetchK: 500, lambda: 0.9 } },
      { mmr: { fetchK: 30, lambda: 0.9 } },
    ],
    ["mmr's candidates, by default", {}, { mmr: { fetchK: 500 } }, { mmr: { fetchK: 20 } }],
    ["minScore", { minScore: 0.5 }, { minScore: -1 }, { minScore: 0.5 }],
    ["minScore, stricter", { minScore: 0.5 }, { minScore: 0.6 }, { minScore: 0.6 }],
    ["maxDistance", { maxDistance: 0.5 }, { maxDistance: 2 }, { maxDistance: 0.5 }],
  ])("cannot exceed the retriever's own limit: %s", async (_name, made, asked, expected) => {
    expect(await askedFor(made, asked)).toStrictEqual({ ...made, ...expected });
  });

  it("cannot exceed the index's efSearch if the retriever has none", async () => {
    const index = new RecordingIndex();
    const retriever = new TrainingRetriever(index, {}, 15);
    await retriever.invoke("Olá", { configurable: { trainings: { efSearch: 1000 } } });
    expect(index.asked).toStrictEqual([["Olá", { efSearch: 15 }]]);
  });

  it("calls both onTextOnly callbacks", async () => {
    const told: string[] = [];
    const made = { mode: "hybrid", onTextOnly: () => told.push("host") } as const;
    const search = (await askedFor(made, { onTextOnly: () => told.push("call") })) as typeof made;
    search.onTextOnly();
    expect(told).toEqual(["host", "call"]);
  });

  it.each<[string, TrainingRetrieverOptions, unknown]>([
    ["configurable.trainings.filters", {}, { filters: { ano: 1 } }],
    ["configurable.trainings.client", {}, { client: {} }],
    ["configurable.trainings.strategy", {}, { strategy: "trainings" }],
    ["configurable.trainings.__proto__", {}, JSON.parse('{ "__proto__": { "k": 1 } }')],
    ["configurable.trainings", {}, null],
    ["configurable.trainings", {}, [{ k: 1 }]],
    ["configurable.trainings", {}, "k"],
    ["configurable.trainings.mode", { maxDistance: 0.5 }, { mode: "text" }],
    ["configurable.trainings.mode", { maxDistance: 0.5, minScore: 0.5 }, { mode: "text" }],
    ["maxDistance", {}, { mode: "text", maxDistance: 0.5 }],
    ["minScore", { minScore: 0.5 }, { minScore: "0.9" }],
    ["minScore", { minScore: 0.5 }, { minScore: Number.NaN }],
    ["k", { k: 3 }, { k: "2" }],
    ["k", { k: 3 }, { k: 0 }],
    ["filter.$where", {}, { filter: { $where: "1 = 1" } }],
  ])("refuses %s", async (option, made, trainings) => {
    await expect(askedFor(made, trainings)).rejects.toMatchObject({ option, code: "INVALID_ARGUMENT" });
  });

  it("keeps the retriever's minScore in every mode", async () => {
    for (const mode of ["vector", "text", "hybrid"] as const) {
      expect(await askedFor({ minScore: 0.5 }, { mode })).toMatchObject({ mode, minScore: 0.5 });
      expect(await askedFor({ minScore: 0.5 }, { mode, minScore: 0.1 })).toMatchObject({ minScore: 0.5 });
      expect(await askedFor({ minScore: 0.5 }, { mode, minScore: 0.9 })).toMatchObject({ minScore: 0.9 });
    }
  });

  it("ignores other keys in configurable, and undefined options", async () => {
    const index = new RecordingIndex();
    const others = {
      thread_id: "conversa",
      model: "x",
      signal: "x",
      callbacks: 1,
      k: 1,
      mode: "chat",
      minScore: -1,
    };
    await new TrainingRetriever(index, own).invoke("Olá", { configurable: others });
    await new TrainingRetriever(index, own).invoke("Olá", { configurable: { trainings: { k: undefined } } });
    await new TrainingRetriever(index, own).invoke("Olá", { configurable: undefined as never });
    expect(index.asked).toStrictEqual([
      ["Olá", own],
      ["Olá", own],
      ["Olá", own],
    ]);
  });

  it.each([{ question: "Olá" }, ["Olá"], undefined, 1])(
    "refuses the input %j, which is not a string",
    async (input) => {
      const index = new RecordingIndex();
      await expect(new TrainingRetriever(index).invoke(input as never)).rejects.toMatchObject({
        option: "input",
        message: expect.stringContaining("RunnableLambda.from(({ question }) => question).pipe(retriever)") as string,
      });
      expect(index.asked).toEqual([]);
    },
  );

  it("narrows the retriever's filter by that of a call", async () => {
    const index = new RecordingIndex();
    const retriever = new TrainingRetriever(index, { filter: { grupo: "suporte" } });
    await retriever.invoke("Olá", { configurable: { trainings: { filter: { grupo: "vendas" } } } });
    expect(index.asked).toStrictEqual([["Olá", { filter: { $and: [{ grupo: "suporte" }, { grupo: "vendas" }] } }]]);
    await retriever.invoke("Olá", { configurable: { trainings: { filter: undefined } } });
    await new TrainingRetriever(index).invoke("Olá", { configurable: { trainings: { filter: { ano: 1 } } } });
    expect(index.asked.slice(1)).toStrictEqual([
      ["Olá", { filter: { grupo: "suporte" } }],
      ["Olá", { filter: { ano: 1 } }],
    ]);
  });

  it("passes its signal to the search, and its timeout as a signal", async () => {
    const index = new RecordingIndex();
    const { signal } = new AbortController();
    const retriever = new TrainingRetriever(index);
    await retriever.invoke("Olá", { signal });
    await retriever.invoke("Olá", { timeout: 60_000 });
    expect(index.asked[0]).toStrictEqual(["Olá", { signal }]);
    expect(index.asked[1]?.[1]?.signal).toBeInstanceOf(AbortSignal);
  });

  it("gets its options through withConfig, batch, stream and a preceding step, too", async () => {
    const index = new RecordingIndex();
    const retriever = new TrainingRetriever(index, { k: 9 });
    const configOf = (k: number): { configurable: { trainings: { k: number } } } => ({
      configurable: { trainings: { k } },
    });
    await retriever.withConfig(configOf(1)).invoke("Olá");
    await retriever.batch(["Olá", "Olá"], [configOf(2), configOf(3)]);
    for await (const piece of await retriever.stream("Olá", configOf(4))) expect(piece).toHaveLength(2);
    await RunnableLambda.from((question: string) => question)
      .pipe(retriever)
      .invoke("Olá", configOf(5));
    expect(index.asked.map(([, options]) => options?.k)).toEqual([1, 2, 3, 4, 5]);
  });

  it("is one run for callbacks, with its name, id and metadata", async () => {
    const runs: unknown[] = [];
    const handler = BaseCallbackHandler.fromMethods({
      handleRetrieverStart: (retriever, _query, runId, parent, tags, metadata, name) => {
        runs.push({ id: retriever.id, runId, parent, tags, metadata, name });
      },
    });
    const runId = "6b1f3c5e-0d0a-4c5b-9d3a-1f2e3d4c5b6a";
    await new TrainingRetriever(new RecordingIndex(), { callbacks: [handler], metadata: { bot: 1 } }).invoke("Olá", {
      runId,
      runName: "busca",
      metadata: { conversa: 2 },
    });
    await awaitAllCallbacks();
    expect(runs).toEqual([
      {
        id: ["langchain_training_index", "retrievers", "TrainingRetriever"],
        runId,
        parent: undefined,
        tags: [],
        metadata: { bot: 1, conversa: 2 },
        name: "busca",
      },
    ]);
  });

  it("accepts callbacks instead of a config, as LangChain's own retrievers do", async () => {
    const handler = new RecordingHandler();
    await new TrainingRetriever(new RecordingIndex()).invoke("Olá", [handler] as never);
    await awaitAllCallbacks();
    expect(handler.events).toHaveLength(2);
  });
});
