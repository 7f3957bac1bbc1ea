import { TrainingIndex, type Hit, type Queryable, type SimilarOptions } from "langchain-training-index";
import { expect, it } from "vitest";
import { describeOnServer, type TestDatabase } from "../support/databases.js";
import { CountingEmbeddings, FIVE_PARAGRAPHS, inHostTransaction, openTestIndex } from "../support/index.js";
import { GARDEN_QUESTION, openGarden } from "../support/garden.js";
import { openWith, towards } from "../support/placed-vectors.js";
import { recordingPool, type Statement } from "../support/recording-pool.js";

const PORTUGUESE = { textSearch: "portuguese" } as const;

function contentsOf(hits: readonly { content: string }[]): string[] {
  return hits.map(({ content }) => content);
}

function chunksOf(...texts: string[]): { pageContent: string }[] {
  return texts.map((pageContent) => ({ pageContent }));
}

describeOnServer("minScore and maxDistance", (database) => {
  const trainings = { perto: [towards(0, 0.1)], meio: [towards(0, 0.5)], longe: [towards(9)] };

  it("leave out hits with lower scores or greater distances, and do not fill the page with others", async () => {
    const { index } = await openWith(database, trainings);
    const find = async (options: SimilarOptions): Promise<string[]> =>
      contentsOf(await index.similar(towards(0), options));
    expect(await find({ minScore: 0.5 })).toEqual(["perto 0", "meio 0"]);
    expect(await find({ minScore: 0.9 })).toEqual(["perto 0"]);
    expect(await find({ maxDistance: 0.1 })).toEqual(["perto 0"]);
    expect(await find({ minScore: 0.9, maxDistance: 0.5 })).toEqual(["perto 0"]);
    expect(await find({ minScore: 1 })).toEqual([]);
    expect(await find({ minScore: -1, maxDistance: 2 })).toHaveLength(3);
  });

  it("include a hit exactly at the limit", async () => {
    const { index } = await openWith(database, trainings);
    const [, hit] = await index.similar(towards(0));
    const borders = [{ minScore: hit?.score }, { maxDistance: hit?.distance }];
    for (const border of borders) expect(await index.similar(towards(0), border)).toHaveLength(2);
  });

  it("apply to the distance of mode hybrid, and in a retriever", async () => {
    const { index } = await openWith(database, trainings, PORTUGUESE);
    const hits = await index.similar("longe", { mode: "hybrid", maxDistance: 0.9 });
    for (const { distance } of hits) expect(distance).toBeLessThanOrEqual(0.9);
    const all = await index.similar("longe", { mode: "hybrid" });
    expect(all.length).toBeGreaterThan(hits.length);
    expect(await index.asRetriever({ minScore: 1 }).invoke("girassol")).toEqual([]);
  });

  it.each(["vector", "text", "hybrid"] as const)(
    "leave out what scores less in mode %s, in similar and in a retriever",
    async (mode) => {
      const { index } = await openGarden(database);
      const all: Hit[] = await index.similar(GARDEN_QUESTION, { mode, k: 50 });
      expect(all).toHaveLength(50);
      const scores = all.map(({ score }) => score);
      expect(scores).toEqual([...scores].sort((left, right) => right - left));
      for (const border of [0, 7, 20]) {
        const minScore = scores[border] ?? NaN;
        const expected = all.filter(({ score }) => score >= minScore);
        expect(await index.similar(GARDEN_QUESTION, { mode, k: 50, minScore })).toEqual(expected);
        const documents = await index.asRetriever({ mode, k: 50, minScore }).invoke(GARDEN_QUESTION);
        expect(documents.map(({ id }) => id)).toEqual(expected.map(({ chunkId }) => chunkId));
      }
      expect(await index.similar(GARDEN_QUESTION, { mode, minScore: 1 })).toEqual([]);
    },
  );

  it("apply without the embedder: minScore to the part of the score that the words have", async () => {
    const { index, embeddings } = await openGarden(database);
    const byText = await index.similar(GARDEN_QUESTION, { mode: "text", k: 50 });
    embeddings.embedQuery = () => Promise.reject(new Error("connect ECONNREFUSED"));
    for (const [weights, ofText] of [
      [undefined, 0.65],
      [{ vector: 1, text: 1 }, 0.5],
    ] as const) {
      const search = { mode: "hybrid", k: 50, weights, onTextOnly: () => undefined } as const;
      const minScore = ofText * (byText[9]?.coverage ?? NaN);
      const expected = byText.filter(({ coverage }) => ofText * coverage >= minScore);
      const hits = await index.similar(GARDEN_QUESTION, { ...search, minScore });
      expect(hits.map(({ chunkId }) => chunkId)).toEqual(expected.map(({ chunkId }) => chunkId));
      for (const [place, { score, coverage, similarity }] of hits.entries()) {
        expect(coverage).toBe(byText[place]?.coverage);
        expect(score).toBe(ofText * coverage);
        expect(similarity).toBeUndefined();
      }
      expect(expected.length).toBeLessThan(50);
      expect(await index.similar(GARDEN_QUESTION, { ...search, minScore: ofText })).toEqual([]);
    }
  });

  it.each([
    ["mode text", { mode: "text" }],
    ["mode text and strategy trainings", { mode: "text", strategy: "trainings" }],
    ["onTextOnly", { mode: "hybrid", onTextOnly: () => undefined }],
  ] as const)("maxDistance is refused with %s, where hits may have no distance", async (_name, options) => {
    const { index } = await openTestIndex(database, {}, PORTUGUESE);
    const refused = index.similar("loja", { ...options, maxDistance: 2 });
    await expect(refused).rejects.toMatchObject({ code: "INVALID_ARGUMENT", option: "maxDistance" });
    await expect(refused).rejects.toThrow("use minScore");
    expect(await index.similar("loja", { ...options, minScore: 0.5 })).toEqual([]);
  });

  it("do not cause a second statement if a filter and a threshold leave few hits", async () => {
    const { embeddings, pool, schema } = await openWith(database, trainings);
    const recording = recordingPool(pool);
    const index = await TrainingIndex.initialize(embeddings, { pool: recording.pool, schema });
    recording.statements.length = 0;
    const search = { minScore: 0.9, filter: { grupo: { in: ["p", "m"] } }, k: 2 };
    expect(await index.similar(towards(0), search)).toHaveLength(1);
    expect(recording.statements).toHaveLength(1);
  });
});

describeOnServer("perTraining", (database) => {
  /** One training with the `count` nearest chunks, and four others. */
  async function openCrowded(count: number): ReturnType<typeof openWith> {
    const crowd = Array.from({ length: count }, (_, place) => towards(0, place / (count * 10), 1));
    const others = ["b", "c", "d", "e"].map((id, place) => [
      id,
      [towards(0, 0.2 + place / 20, 2), towards(0, 0.4 + place / 20, 2)],
    ]);
    return openWith(database, { a: crowd, ...(Object.fromEntries(others) as object) }, PORTUGUESE);
  }

  it.each([20, 150, 1_200])(
    "fills the page even if one training has the nearest %i chunks",
    { timeout: 120_000 },
    async (count) => {
      const { index } = await openCrowded(count);
      const find = async (options: SimilarOptions): Promise<unknown[]> =>
        (await index.similar(towards(0), { k: 5, ...options })).map(({ trainingId }) => trainingId);
      expect(await find({})).toEqual(["a", "a", "a", "a", "a"]);
      expect(await find({ perTraining: 1 })).toEqual(["a", "b", "c", "d", "e"]);
      expect(await find({ perTraining: 2 })).toEqual(["a", "a", "b", "c", "d"]);
      expect(await find({ perTraining: 1, filter: { parte: 1 } })).toEqual(["a", "b", "c", "d", "e"]);
      const found = await index.similar(towards(0), { strategy: "trainings", k: 5 });
      expect(found.map(({ trainingId }) => trainingId)).toEqual(["a", "b", "c", "d", "e"]);
      for (const { chunks } of found.slice(1)) expect(chunks.length).toBeGreaterThan(0);
    },
  );

  it("returns what there is if that is less than a page", async () => {
    const { index } = await openWith(database, { a: [towards(0), towards(1)], b: [towards(2)] });
    const hits = await index.similar(towards(0), { k: 10, perTraining: 1 });
    expect(contentsOf(hits)).toEqual(["a 0", "b 0"]);
    expect(await index.similar(towards(0), { perTraining: 1, filter: { grupo: "z" } })).toEqual([]);
  });

  it("needs one statement if the nearest hundred chunks fill the page", async () => {
    const { embeddings, pool, schema } = await openCrowded(20);
    const recording = recordingPool(pool);
    const index = await TrainingIndex.initialize(embeddings, { pool: recording.pool, schema });
    recording.statements.length = 0;
    expect(await index.similar(towards(0), { perTraining: 1 })).toHaveLength(5);
    expect(recording.statements).toHaveLength(1);
  });

  it("applies in modes text and hybrid too, and keeps the best chunks of each training", async () => {
    const { index } = await openTestIndex(database, {}, PORTUGUESE);
    const documents = chunksOf(...Array.from({ length: 120 }, (_, place) => `frete frete frete grátis ${place}`));
    await index.upsertTraining({ id: "fretes", documents, split: false });
    await index.upsertTraining({ id: "prazo", content: "O frete chega em três dias." });
    await index.upsertTraining({ id: "preco", content: "Qual é o valor do frete para o norte?" });
    for (const mode of ["text", "hybrid"] as const) {
      const crowded: Hit[] = await index.similar("frete grátis", { mode, k: 3 });
      expect(new Set(crowded.map(({ trainingId }) => trainingId))).toEqual(new Set(["fretes"]));
      const spread: Hit[] = await index.similar("frete grátis", { mode, k: 3, perTraining: 1 });
      expect(spread.map(({ trainingId }) => trainingId).sort()).toEqual(["fretes", "prazo", "preco"]);
      expect(spread[0]?.trainingId).toBe("fretes");
      const two: Hit[] = await index.similar("frete grátis", { mode, k: 3, perTraining: 2 });
      expect(two.filter(({ trainingId }) => trainingId === "fretes")).toHaveLength(2);
    }
  });

  it("sets the number of chunks per training with strategy trainings", async () => {
    const { index } = await openCrowded(20);
    for (const perTraining of [1, 2, 5]) {
      const [hit] = await index.similar(towards(0), { strategy: "trainings", k: 1, perTraining });
      expect(hit?.chunks.map(({ content }) => content)).toEqual(
        ["a 0", "a 1", "a 2", "a 3", "a 4"].slice(0, perTraining),
      );
    }
  });
});

/** The output columns of a statement's common table expressions, by the name of the expression. */
async function columnsOf(pool: Queryable, { text, values }: Statement): Promise<Map<string, string>> {
  const { rows } = await pool.query(`EXPLAIN (VERBOSE, FORMAT JSON) ${text}`, values);
  const columns = new Map<string, string>();
  const visit = (node: PlanNode): void => {
    const name = node["Subplan Name"];
    if (name !== undefined) columns.set(name, (node.Output ?? []).join());
    for (const inner of node.Plans ?? []) visit(inner);
  };
  for (const { Plan: plan } of (rows as { "QUERY PLAN": { Plan: PlanNode }[] }[])[0]?.["QUERY PLAN"] ?? []) {
    visit(plan);
  }
  return columns;
}

interface PlanNode {
  "Subplan Name"?: string;
  Output?: string[];
  Plans?: PlanNode[];
}

describeOnServer("a search that sorts, joins or counts its candidates", (database) => {
  // A limit per training, or a few trainings with most chunks, can make it examine all chunks; their texts must not be materialized.
  it.each([
    ["nearest", { perTraining: 2 }],
    ["nearest", { strategy: "trainings" }],
    ["nearest", { mode: "hybrid" }],
    ["found", { mode: "hybrid" }],
    ["found", { mode: "hybrid", perTraining: 2 }],
    ["found", { mode: "hybrid", strategy: "trainings" }],
    ["matching", { mode: "text", perTraining: 2 }],
    ["found", { mode: "text", perTraining: 2 }],
    ["found", { mode: "text", strategy: "trainings" }],
  ] as [expression: string, options: SimilarOptions][])(
    "keeps no texts in %s before it knows the page, with %j",
    async (expression, options) => {
      const { embeddings, pool, schema } = await openTestIndex(database, {}, PORTUGUESE);
      const recording = recordingPool(pool);
      const index = await TrainingIndex.initialize(embeddings, { pool: recording.pool, schema });
      await index.upsertTraining({ id: "a", content: "O frete é grátis." });
      recording.statements.length = 0;
      expect(await index.similar("frete", options)).toHaveLength(1);
      const [statement] = recording.statements;
      const columns = statement && (await columnsOf(pool, statement)).get(`CTE ${expression}`);
      expect(columns).toContain("training_id");
      expect(columns).not.toMatch(/\bcontent\b|\bmetadata\b/);
    },
  );
});

describeOnServer("neighbors", (database) => {
  it("widen a passage by the chunks before and after it, without repetition", async () => {
    const { index } = await openTestIndex(database);
    const content = FIVE_PARAGRAPHS;
    await index.upsertTraining({ id: "a", content });
    const chunks = await index.similar("loja", { k: 1000 });
    const last = Math.max(...chunks.map(({ position }) => position));
    expect(last).toBeGreaterThan(3);
    const hits = await index.similar("loja", { k: 1000, neighbors: { before: 1, after: 2 } });
    expect(hits.map(({ chunkId }) => chunkId)).toEqual(chunks.map(({ chunkId }) => chunkId));
    for (const hit of hits) {
      const alone = chunks.find(({ chunkId }) => chunkId === hit.chunkId);
      const { position } = hit;
      expect(hit.neighbors).toEqual({ before: Math.min(position, 1), after: Math.min(last - position, 2) });
      expect(hit.chunk).toEqual({ content: alone?.content, start: alone?.start, end: alone?.end });
      const textOf = (place: number): string | undefined => chunks.find((chunk) => chunk.position === place)?.content;
      const first = chunks.find((chunk) => chunk.position === Math.max(position - 1, 0));
      expect(hit.start).toBe(first?.start);
      expect(hit.content).toHaveLength(hit.end - hit.start);
      expect(hit.content.replace(/\s+/g, " ")).toBe(content.slice(hit.start, hit.end).replace(/\s+/g, " "));
      for (let place = Math.max(position - 1, 0); place <= Math.min(position + 2, last); place += 1) {
        expect(hit.content).toContain(textOf(place));
      }
    }
  });

  it("can be on one side only, and are none by default", async () => {
    const { index } = await openTestIndex(database);
    await index.upsertTraining({ id: "a", documents: chunksOf("um", "dois", "três"), split: false });
    const find = async (neighbors: { before?: number; after?: number }): Promise<string | undefined> =>
      (await index.similar("dois", { k: 1, neighbors }))[0]?.content;
    expect(await find({ before: 1 })).toBe("um\n\ndois");
    expect(await find({ after: 50 })).toBe("dois\n\ntrês");
    expect(await find({})).toBe("dois");
    expect((await index.similar("dois", { k: 1 }))[0]).not.toHaveProperty("neighbors");
  });

  it("work with all modes, strategies and other options, in one statement", async () => {
    const { embeddings, pool, schema } = await openTestIndex(database, {}, PORTUGUESE);
    const recording = recordingPool(pool);
    const index = await TrainingIndex.initialize(embeddings, { pool: recording.pool, schema });
    await index.upsertTraining({ id: "a", documents: chunksOf("um", "dois", "três"), split: false });
    recording.statements.length = 0;
    const wide = { k: 1, neighbors: { before: 1, after: 1 } };
    const searches: Promise<{ content: string }[]>[] = [
      index.similar("dois", wide),
      index.similar("dois", { ...wide, mode: "text" }),
      index.similar("dois", { ...wide, mode: "hybrid" }),
      index.similar("dois", { ...wide, perTraining: 1, minScore: 0.5 }),
      index.similar("dois", { ...wide, mmr: {} }),
      ...(["vector", "text", "hybrid"] as const).map(
        async (mode): Promise<Hit[]> =>
          (await index.similar("dois", { ...wide, mode, strategy: "trainings" }))[0]?.chunks ?? [],
      ),
    ];
    for (const [hit] of await Promise.all(searches)) expect(hit?.content).toBe("um\n\ndois\n\ntrês");
    expect(recording.statements).toHaveLength(searches.length);
    const [document] = await index.asRetriever(wide).invoke("dois");
    expect(document).toMatchObject({
      pageContent: "um\n\ndois\n\ntrês",
      metadata: { trainingIndex: { start: 0, end: 14, position: 1, chunk: { content: "dois" } } },
    });
  });

  it("are those of the stored version", async () => {
    const { index } = await openTestIndex(database);
    await index.upsertTraining({ id: "a", documents: chunksOf("um", "dois", "três"), split: false });
    await index.upsertTraining({
      id: "a",
      documents: chunksOf("zero", "dois", "três", "quatro"),
      split: false,
    });
    const [hit] = await index.similar("dois", { k: 1, neighbors: { before: 5, after: 5 } });
    expect(hit?.content).toBe("zero\n\ndois\n\ntrês\n\nquatro");
  });
});

describeOnServer("mmr", (database) => {
  // Two nearly identical chunks, and one a little farther away in another direction.
  const trainings = {
    a: [towards(0, 0.1, 1)],
    b: [towards(0, 0.11, 1)],
    c: [towards(0, 0.3, 2)],
    d: [towards(9)],
  };

  it("chooses relevant and dissimilar chunks, in order of choice", async () => {
    const { index } = await openWith(database, trainings);
    const find = async (options: SimilarOptions): Promise<string[]> =>
      contentsOf(await index.similar(towards(0), { k: 2, ...options }));
    expect(await find({})).toEqual(["a 0", "b 0"]);
    expect(await find({ mmr: { lambda: 0.5 } })).toEqual(["a 0", "c 0"]);
    expect(await find({ mmr: { lambda: 1 } })).toEqual(["a 0", "b 0"]);
    expect(await find({ mmr: { fetchK: 2, lambda: 0.5 } })).toEqual(["a 0", "b 0"]);
    expect(await find({ mmr: { lambda: 0 } })).toEqual(["a 0", "d 0"]);
    expect(await find({ mmr: { lambda: 0 }, minScore: 0.5 })).toEqual(["a 0", "c 0"]);
    expect(await find({ mmr: { lambda: 0 }, filter: { grupo: { in: ["b", "c"] } } })).toEqual(["b 0", "c 0"]);
  });

  it("chooses among at least k candidates, and works with a text and a retriever", async () => {
    const { index } = await openWith(database, trainings);
    expect(await index.similar(towards(0), { k: 4, mmr: { fetchK: 1 } })).toHaveLength(4);
    expect(await index.similar("girassol", { k: 2, mmr: {} })).toHaveLength(2);
    expect(await index.asRetriever({ k: 3, mmr: { lambda: 0.2 } }).invoke("girassol")).toHaveLength(3);
  });

  it("works with perTraining", async () => {
    const { index } = await openWith(database, { a: [towards(0), towards(3)], b: [towards(0, 0.2)] });
    const hits = await index.similar(towards(0), { k: 2, perTraining: 1, mmr: { lambda: 0 } });
    expect(contentsOf(hits)).toEqual(["a 0", "b 0"]);
  });

  it("returns no vectors", async () => {
    const { index } = await openWith(database, trainings);
    const [hit] = await index.similar(towards(0), { k: 1, mmr: {} });
    expect(Object.keys(hit ?? {}).sort()).toEqual([
      "chunkId",
      "content",
      "distance",
      "end",
      "metadata",
      "position",
      "score",
      "similarity",
      "start",
      "trainingId",
    ]);
  });

  it.each([{ mode: "text" }, { mode: "hybrid" }, { strategy: "trainings" }] as const)(
    "is refused with %j",
    async (options) => {
      const { index } = await openTestIndex(database, {}, PORTUGUESE);
      const refused = index.similar("loja", { ...options, mmr: {} } as object);
      await expect(refused).rejects.toMatchObject({ option: "mmr" });
    },
  );
});

describeOnServer("client", (database) => {
  it.each([
    { mode: "vector" },
    { mode: "text" },
    { mode: "hybrid" },
    { strategy: "trainings" },
    { strategy: "trainings", mode: "text" },
    { strategy: "trainings", mode: "hybrid" },
    { perTraining: 1 },
  ] as SimilarOptions[])("sees uncommitted writes of the host's transaction, with %j", async (options) => {
    const { index, pool } = await openTestIndex(database, {}, PORTUGUESE);
    let inside: number | undefined;
    await inHostTransaction(pool, "ROLLBACK", async (client) => {
      await index.upsertTraining({ id: "a", content: "O frete é grátis." }, { client });
      inside = (await index.similar("frete", { ...options, client })).length;
    });
    expect(inside).toBe(1);
    expect(await index.similar("frete", options)).toEqual([]);
  });

  it("makes the search independent of the pool", async () => {
    const { pool, schema } = await openTestIndex(database);
    const index = await openUnreachable(database, schema);
    await inHostTransaction(pool, "COMMIT", async (client) => {
      expect(await index.similar("frete", { client })).toEqual([]);
      expect(await index.similar("frete", { client, filter: { grupo: "a" } })).toEqual([]);
    });
  });
});

/** An index whose pool fails after the index has been opened. */
async function openUnreachable({ pool }: TestDatabase, schema: string): Promise<TrainingIndex> {
  let isOpen = false;
  const refuse = (): never => {
    throw new Error("the pool has no client to spare");
  };
  const opened = await TrainingIndex.initialize(new CountingEmbeddings(), {
    pool: {
      query: (text, values) => (isOpen ? refuse() : pool.query(text, values)),
      connect: () => (isOpen ? refuse() : pool.connect()),
    },
    schema,
  });
  isOpen = true;
  return opened;
}
