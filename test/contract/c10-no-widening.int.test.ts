/** C10: no request and no call configuration can widen the filter and limits that a host sets. */
import {
  InvalidArgumentError,
  type Filter,
  type RetrieverSearch,
  type SimilarOptions,
  type TrainingIndex,
} from "langchain-training-index";
import { similarityHandler } from "langchain-training-index/http";
import { expect, it } from "vitest";
import { describeOnEach, type TestDatabase } from "../support/databases.js";
import { openTestIndex } from "../support/index.js";

/** The host's filter: it matches two of the six trainings. */
const OWN = { bot: "loja", ano: 1 };

/** Filters of a caller who wants to see more. */
const WIDER: Filter[] = [
  { bot: "outra" },
  { $or: [{ bot: "loja" }, { bot: "outra" }] },
  { $not: { bot: "loja" } },
  { $not: [{ bot: "loja" }, { ano: 1 }] },
  { bot: { exists: true } },
  { bot: { $in: ["loja", "outra"] } },
  { ano: { gte: 0 } },
];

async function openShops(database: TestDatabase): Promise<TrainingIndex> {
  const { index } = await openTestIndex(database, {}, { textSearch: "portuguese" });
  for (const [place, bot] of ["loja", "loja", "loja", "outra", "outra", "outra"].entries()) {
    const metadata = { bot, ano: place === 2 || place === 5 ? 2 : 1 };
    await index.upsertTraining({ id: `t${place}`, content: `entrega ${place}`, metadata });
  }
  return index;
}

async function ask(
  handler: (request: Request) => Promise<Response>,
  body: object,
  own: Record<string, string> = {},
): Promise<{ status: number; ids: unknown[] }> {
  const headers = { "Content-Type": "application/json", ...own };
  const request = new Request("http://localhost/", { method: "POST", headers, body: JSON.stringify(body) });
  const response = await handler(request);
  const { results = [] } = (await response.json()) as { results?: { trainingId: unknown }[] };
  return { status: response.status, ids: results.map(({ trainingId }) => trainingId).sort() };
}

describeOnEach("the filter and limits of a host", (database) => {
  it("cannot be widened by an HTTP request", async () => {
    const index = await openShops(database);
    const handler = similarityHandler(index, {
      search: { filter: OWN },
      allowFilter: true,
      modes: ["vector", "text", "hybrid"],
    });
    const modes = ["vector", "text", "hybrid"];
    const choices = [{}, ...modes.flatMap((mode) => [{ mode }, { mode, strategy: "trainings" }])];
    for (const choice of choices) {
      expect(await ask(handler, { query: "entrega", k: 50, ...choice })).toEqual({
        status: 200,
        ids: ["t0", "t1"],
      });
      // Filters are ANDed before the mode applies, so all of them are tried in the default mode only.
      for (const filter of "mode" in choice ? WIDER.slice(0, 2) : WIDER) {
        const { status, ids } = await ask(handler, { query: "entrega", k: 50, filter, ...choice });
        expect(status).toBe(200);
        expect(
          ids.filter((id) => id !== "t0" && id !== "t1"),
          JSON.stringify(filter),
        ).toEqual([]);
      }
      const narrower = await ask(handler, {
        query: "entrega",
        filter: { ano: 1, $or: [{ bot: "loja" }] },
        ...choice,
      });
      expect(narrower.ids).toEqual(["t0", "t1"]);
    }
    const distant = similarityHandler(index, { search: { minScore: 0.9999, k: 1 } });
    expect((await ask(distant, { query: "entrega 1" })).ids.length).toBeLessThanOrEqual(1);
    expect((await ask(distant, { query: "entrega 1", k: 2 })).status).toBe(400);
    for (const key of ["minScore", "maxDistance", "neighbors", "efSearch", "filters", "search", "client"])
      expect((await ask(handler, { query: "entrega", [key]: 1 })).status, key).toBe(400);
  });

  it("are those of a request's tenant, whatever the request's body says", async () => {
    const index = await openShops(database);
    const handler = similarityHandler(index, {
      search: { filter: { ano: 1 } },
      options: ({ headers }) => ({ filter: { bot: headers.get("x-bot") ?? "" }, k: 2 }),
      allowFilter: true,
      modes: ["vector", "text", "hybrid"],
    });
    for (const mode of ["vector", "text", "hybrid"]) {
      for (const filter of [undefined, ...WIDER]) {
        const { status, ids } = await ask(handler, { query: "entrega", mode, filter }, { "x-bot": "outra" });
        expect(status).toBe(200);
        expect(
          ids.filter((id) => id !== "t3" && id !== "t4"),
          JSON.stringify(filter),
        ).toEqual([]);
        if (filter === undefined) expect(ids).toEqual(["t3", "t4"]);
      }
    }
    expect((await ask(handler, { query: "entrega", k: 3 }, { "x-bot": "outra" })).status).toBe(400);
    expect((await ask(handler, { query: "entrega" })).ids).toEqual([]);
  });

  it("cannot be widened by the configuration of a retriever call", async () => {
    const index = await openShops(database);
    const [best] = await index.similar("entrega 1", { k: 1 });
    const retriever = index.asRetriever({ k: 2, filter: OWN, minScore: (best?.score ?? 1) - 1e-6 });
    const wider: RetrieverSearch[] = [
      { k: 100 },
      { minScore: -1 },
      { maxDistance: 2 },
      ...WIDER.map((filter) => ({ filter })),
      { mode: "hybrid", k: 100 },
      { mode: "hybrid", weights: { vector: 0 }, k: 100 },
      { mode: "text", k: 100 },
      { mode: "text", minScore: -1 },
      {
        k: 100,
        minScore: -1,
        perTraining: 100,
        efSearch: 1000,
        mmr: { fetchK: 1000 },
        neighbors: { before: 50 },
      },
    ];
    for (const trainings of [{}, ...wider]) {
      const found = await retriever.invoke("entrega 1", { configurable: { trainings } });
      const ids = found.map(({ metadata }) => metadata.trainingIndex.trainingId);
      expect(
        ids.filter((id) => id !== "t1"),
        JSON.stringify(trainings),
      ).toEqual([]);
    }
    const near = index.asRetriever({ filter: OWN, maxDistance: (best?.distance ?? 0) + 1e-6 });
    const byWords = near.invoke("entrega 1", { configurable: { trainings: { mode: "text" } } });
    await expect(byWords).rejects.toMatchObject({ option: "configurable.trainings.mode" });
    // Other keys of `configurable` belong to the host or LangGraph and are ignored.
    const others = { k: 100, mode: "chat", minScore: -1, filter: { bot: "outra" } };
    expect(await retriever.invoke("entrega 1", { configurable: others })).toHaveLength(1);
  });

  it.each(["vector", "text", "hybrid"] as const)(
    "cannot be widened in mode %s: its minScore is a lower limit of that mode's score",
    async (mode) => {
      const index = await openShops(database);
      const all = await index.similar("entrega 1", { mode, filter: OWN });
      expect(all).toHaveLength(2);
      const [best, second] = all;
      expect(best?.score).toBeGreaterThan(second?.score ?? NaN);
      const retriever = index.asRetriever({ filter: OWN, minScore: best?.score });
      for (const trainings of [{ mode }, { mode, minScore: -1 }, { mode, k: 100, perTraining: 100 }]) {
        const found = await retriever.invoke("entrega 1", { configurable: { trainings } });
        expect(found.map(({ id }) => id)).toEqual([best?.chunkId]);
      }
    },
  );

  it("cannot be lost by a misspelled option", async () => {
    const index = await openShops(database);
    const wrong = { filters: OWN } as SimilarOptions;
    const calls: (() => unknown)[] = [
      () => index.similar("entrega", wrong),
      () => index.asRetriever(wrong),
      () => index.asRetriever().invoke("entrega", { configurable: { trainings: wrong } }),
      () => index.vectorStore.asRetriever(wrong as never),
      () => index.vectorStore.maxMarginalRelevanceSearch("entrega", { k: 1, ...wrong } as never),
      () => index.deleteTrainings(wrong as never),
      () => similarityHandler(index, { search: wrong }),
      () => similarityHandler(index, { authorise: () => false } as never),
    ];
    for (const call of calls) {
      const failure = await Promise.resolve()
        .then(call)
        .catch((error: unknown) => error);
      expect(failure, String(call)).toBeInstanceOf(InvalidArgumentError);
    }
    expect(await index.similar("entrega", { k: 10 })).toHaveLength(6);
  });
});
