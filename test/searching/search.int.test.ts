import { InvalidArgumentError } from "langchain-training-index";
import { expect, it } from "vitest";
import { describeOnEach } from "../support/databases.js";
import { DIMENSIONS, openTestIndex } from "../support/index.js";

const SHOP = [
  {
    id: "entregas",
    content: "O prazo de entrega é de três dias úteis.",
    metadata: { grupo: "logistica", ano: 2025 },
  },
  {
    id: "frete",
    content: "O frete de entrega custa doze reais.",
    metadata: { grupo: "logistica", ano: 2026 },
  },
  {
    id: "pix",
    content: "No Pix há cinco por cento de desconto.",
    metadata: { grupo: "financeiro", ativo: true },
  },
];

describeOnEach("similar", (database) => {
  it("returns the nearest chunks, nearest first, with score, similarity and distance", async () => {
    const { index } = await openTestIndex(database);
    for (const training of SHOP) await index.upsertTraining(training);
    const hits = await index.similar("Qual é o prazo de entrega?");
    expect(hits.map(({ trainingId }) => trainingId).slice(0, 2)).toEqual(["entregas", "frete"]);
    expect(hits).toHaveLength(3);
    const distances = hits.map(({ distance }) => distance);
    expect(distances).toEqual([...distances].sort((left, right) => left - right));
    for (const { score, similarity, distance } of hits)
      expect([score, similarity]).toEqual([1 - distance, 1 - distance]);
    expect(Object.keys(hits[0] ?? {}).sort()).toEqual(
      [
        "trainingId",
        "chunkId",
        "position",
        "start",
        "end",
        "content",
        "metadata",
        "score",
        "similarity",
        "distance",
      ].sort(),
    );
  });

  it("returns k chunks, five by default", async () => {
    const { index } = await openTestIndex(database);
    for (let place = 0; place < 7; place++) await index.upsertTraining({ id: `t${place}`, content: `loja ${place}` });
    expect(await index.similar("loja")).toHaveLength(5);
    expect(await index.similar("loja", { k: 2 })).toHaveLength(2);
    expect(await index.similar("loja", { k: 1000 })).toHaveLength(7);
  });

  it("orders equally near chunks by training and place", async () => {
    const { index } = await openTestIndex(database);
    const documents = ["aberta", "fechada", "aberta"].map((pageContent) => ({ pageContent }));
    for (const id of ["c", "a", "b"]) await index.upsertTraining({ id, documents, split: false });
    const hits = await index.similar("aberta", { k: 6 });
    expect(hits.map(({ trainingId, position }) => [trainingId, position])).toEqual(
      ["a", "b", "c"].flatMap((id) => [
        [id, 0],
        [id, 2],
      ]),
    );
  });

  it.each([
    ["compared", 150],
    ["found by the vector index", 4000],
  ])(
    "adds hits with a larger k, and changes none, even if many chunks are equally near: %s",
    async (_, chunks) => {
      const { index } = await openTestIndex(database);
      const texts = ["aberta hoje", "fechada hoje", "aberta amanhã"];
      const ids = Array.from({ length: chunks }, (_, place) => `t${(place * 7919) % chunks}`);
      const trainings = ids.map((id, place) => ({ id, content: texts[place % 3] ?? "" }));
      for await (const { status } of index.upsertTrainings(trainings)) expect(status).toBe("indexed");
      const found = async (k: number): Promise<unknown[]> =>
        (await index.similar("aberta", { k })).map(({ trainingId, distance }) => [trainingId, distance]);
      const all = await found(40);
      expect(all).toHaveLength(40);
      for (let k = 1; k < 40; k += 1) expect(await found(k)).toEqual(all.slice(0, k));
    },
    120_000,
  );

  it("searches with a given vector, and embeds nothing", async () => {
    const { index, embeddings } = await openTestIndex(database);
    for (const training of SHOP) await index.upsertTraining(training);
    const vector = await embeddings.embedQuery("No Pix há cinco por cento de desconto.");
    embeddings.embedQuery = expect.unreachable;
    for (const query of [vector, Float32Array.from(vector)]) {
      const [hit] = await index.similar(query, { k: 1 });
      expect(hit?.trainingId).toBe("pix");
      expect(hit?.distance).toBeCloseTo(0, 5);
    }
  });

  it.each([
    [{ grupo: "logistica" }, ["entregas", "frete"]],
    [{ grupo: "logistica", ano: 2026 }, ["frete"]],
    [{ ativo: true }, ["pix"]],
    [{ ativo: false }, []],
    [{ ano: "2026" }, []],
    [{ "grupo' = '' OR 1=1 --": "x" }, []],
    [{ grupo: "' OR 1=1 --" }, []],
  ])("applies the filter %j", async (filter, expected) => {
    const { index } = await openTestIndex(database);
    for (const training of SHOP) await index.upsertTraining(training);
    const hits = await index.similar("entrega", { filter: filter });
    expect(hits.map(({ trainingId }) => trainingId).sort()).toEqual(expected);
  });

  it.each([0, -1, 1.5, 10_000, NaN, "5"])("refuses %j for k and for efSearch, naming the option", async (value) => {
    const { index } = await openTestIndex(database);
    for (const option of ["k", "efSearch"]) {
      const failure = await index.similar("x", { [option]: value }).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(InvalidArgumentError);
      expect(failure).toMatchObject({ option, message: `${option} must be an integer from 1 to 1000` });
    }
    expect(() => index.asRetriever({ k: value as number })).toThrow(InvalidArgumentError);
  });

  it.each([
    ["", "must not be empty or blank"],
    [" \n", "must not be empty or blank"],
    [[], "0 dimensions; this index stores 64"],
    [new Array<number>(DIMENSIONS).fill(0), "zeros"],
    [new Array<number>(DIMENSIONS).fill(NaN), "NaN"],
    [7, "must be a text, or a vector as a list of numbers"],
    [undefined, "must be a text, or a vector as a list of numbers"],
  ])("refuses the query %j", async (query, problem) => {
    const { index } = await openTestIndex(database);
    const failure = await index.similar(query as never).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(InvalidArgumentError);
    expect(failure).toMatchObject({ option: "query" });
    expect((failure as Error).message).toContain(problem);
  });

  it("ends when the signal fires while the query is embedded", async () => {
    const { index, embeddings } = await openTestIndex(database);
    embeddings.embedQuery = () => new Promise(() => undefined);
    const signal = AbortSignal.timeout(20);
    await expect(index.similar("loja", { signal })).rejects.toMatchObject({ code: "ABORTED" });
  });
});
