import type { Revision, TrainingIndex } from "langchain-training-index";
import { expect, it } from "vitest";
import {
  collect,
  holdEmbedding,
  holdSwapPart,
  openAgain,
  openServerPool,
  chunksWithOffsets,
  untilWaiting,
} from "../support/contract.js";
import { describeOnServer } from "../support/databases.js";
import {
  CountingEmbeddings,
  FIVE_PARAGRAPHS,
  gateOf,
  inHostTransaction,
  openTestIndex,
  paragraph,
  smallTraining,
  storedRows,
  until,
  type TestIndex,
} from "../support/index.js";

const statusOf = async (index: TrainingIndex, content: string, revision?: Revision): Promise<string> =>
  (await index.upsertTraining({ id: "a", content, revision })).status;

/** The stored text of training `a`, after a check that it is whole. */
async function storedText(test: TestIndex): Promise<string> {
  const chunks = await chunksWithOffsets(test);
  const text = chunks.map(({ content }) => content).join("\n\n");
  for (const { start, end, content } of chunks) expect(text.slice(start, end)).toBe(content);
  const { rows } = await test.pool.query(`SELECT FROM ${test.schema}.chunk_1 WHERE training_id = 'a'`);
  expect(rows).toHaveLength(chunks.length);
  return text;
}

// Guards: the ticket is taken first; the fence (`isNewer`) and `touch` compare revision and barrier.
describeOnServer("C2 Ordered", (database) => {
  it("a lower revision is superseded, an equal or higher one is indexed", async () => {
    const { index, embeddings } = await openTestIndex(database);
    await index.upsertTraining({ id: "a", content: "versão dois da loja", revision: 2 });
    embeddings.calls = 0;
    expect(await index.upsertTraining({ id: "a", content: "versão um da loja", revision: 1 })).toMatchObject({
      status: "superseded",
      embedded: 0,
      reused: 0,
    });
    expect(embeddings.calls).toBe(0);
    expect(await index.upsertTraining({ id: "a", content: "outra dois da loja", revision: 2n })).toMatchObject({
      status: "indexed",
    });
    expect(await index.similar("loja")).toMatchObject([{ content: "outra dois da loja" }]);
    const dated = await index.upsertTraining({ id: "a", content: "versão de hoje", revision: new Date() });
    expect(dated.status).toBe("indexed");
  });

  it("an edit made while an older version is embedded wins: the call that started later", async () => {
    const { index, embeddings } = await openTestIndex(database);
    const gate = gateOf();
    embeddings.before = (texts) => (texts[0]?.includes("primeira") ? gate.promise : undefined);
    const first = index.upsertTraining({ id: "a", content: "a primeira versão" });
    await until(() => embeddings.calls === 1);
    expect(await index.upsertTraining({ id: "a", content: "a segunda versão" })).toMatchObject({
      status: "indexed",
    });
    gate.resolve();
    expect(await first).toMatchObject({ status: "superseded", chunks: 1, embedded: 1 });
    expect(await index.similar("versão")).toMatchObject([{ content: "a segunda versão" }]);
  });

  it("a late job with an older revision is superseded and writes nothing", async () => {
    const test = await openTestIndex(database);
    const held = holdEmbedding(test.embeddings, "atrasada");
    const late = test.index.upsertTraining({ id: "a", content: "a versão atrasada", revision: 1 });
    await held.reached;
    await test.index.upsertTraining({ id: "a", content: FIVE_PARAGRAPHS, revision: 2 });
    const before = await storedRows(test);
    held.release();
    expect(await late).toEqual({
      id: "a",
      status: "superseded",
      chunks: 1,
      embedded: 1,
      reused: 0,
      removed: 0,
      reason: "newer",
    });
    expect(await storedRows(test)).toEqual(before);
  });

  it("twenty concurrent upserts of one training leave exactly one version", async () => {
    const test = await openTestIndex(database);
    const versions = Array.from(
      { length: 20 },
      (_, place) => `${paragraph(`versão ${place}`)}\n\n${paragraph(`fim ${place}`)}`,
    );
    const results = await Promise.all(versions.map((content) => test.index.upsertTraining({ id: "a", content })));
    expect(results.filter(({ status }) => status === "indexed").length).toBeGreaterThan(0);
    // One index made all of them, so the last call is the one that started last.
    expect(await storedText(test)).toBe(versions.at(-1));
  });

  it("of two calls with equal revisions the one that started later wins, whichever ends first", async () => {
    const test = await openTestIndex(database);
    const held = holdEmbedding(test.embeddings, "primeira");
    const first = statusOf(test.index, "a primeira versão", 5);
    await held.reached;
    expect(await statusOf(test.index, "a segunda versão", 5)).toBe("indexed");
    held.release();
    expect(await first).toBe("superseded");
    expect(await statusOf(test.index, "a terceira versão", 5)).toBe("indexed");
    expect(await storedText(test)).toBe("a terceira versão");
  });

  it.each<[string, Revision, Revision]>([
    ["numbers", 1, 2],
    ["negative numbers", -7, -6.5],
    ["fractions", 1.25, 1.5],
    ["numbers that would sort differently as text", 9, 10],
    ["numbers too large for an integer column", 1e21, 2e21],
    ["bigints", 1n, 2n],
    ["bigints that are equal as numbers", 2n ** 63n, 2n ** 63n + 1n],
    ["dates", new Date("2026-01-01T00:00:00.000Z"), new Date("2026-01-01T00:00:00.001Z")],
    ["dates before 1970", new Date("1969-01-01"), new Date("1970-01-01")],
  ])("orders revisions that are %s", async (_kind, lower, higher) => {
    const test = await openTestIndex(database);
    expect(await statusOf(test.index, "uma versão", lower)).toBe("indexed");
    expect(await statusOf(test.index, "a versão nova", higher)).toBe("indexed");
    expect(await statusOf(test.index, "uma versão", lower)).toBe("superseded");
    expect(await statusOf(test.index, "outra versão nova", higher)).toBe("indexed");
    expect(await storedText(test)).toBe("outra versão nova");
  });

  // Guards: the comparison in the fence. The one at the start does not see calls that are still running.
  it("a lower revision that started later is superseded by a higher one stored meanwhile", async () => {
    const test = await openTestIndex(database);
    const higher = await test.index.prepareTraining({ id: "a", content: "a versão cinco", revision: 5 });
    const lower = await test.index.prepareTraining({ id: "a", content: "a versão quatro", revision: 4 });
    expect(await higher.commit()).toMatchObject({ status: "indexed" });
    expect(await lower.commit()).toMatchObject({ status: "superseded" });
    expect(await storedText(test)).toBe("a versão cinco");
  });

  it("a call without a revision supersedes earlier calls, whatever their revision", async () => {
    const test = await openTestIndex(database);
    const held = holdEmbedding(test.embeddings, "numerada");
    const numbered = statusOf(test.index, "a versão numerada", 100);
    await held.reached;
    expect(await statusOf(test.index, "a versão sem número")).toBe("indexed");
    held.release();
    expect(await numbered).toBe("superseded");
    expect(await storedText(test)).toBe("a versão sem número");
  });

  it("a lower revision that starts later is superseded by the highest one stored so far", async () => {
    const test = await openTestIndex(database);
    expect(await statusOf(test.index, "a versão cinco", 5)).toBe("indexed");
    expect(await statusOf(test.index, "a versão sem número")).toBe("indexed");
    expect(await statusOf(test.index, "a versão quatro", 4)).toBe("superseded");
    expect(await storedText(test)).toBe("a versão sem número");
    expect(await statusOf(test.index, "a versão seis", 6)).toBe("indexed");
  });

  it("a repeat records its revision, though it changes nothing else", async () => {
    const test = await openTestIndex(database);
    expect(await statusOf(test.index, "a versão de sempre", 1)).toBe("indexed");
    expect(await statusOf(test.index, "a versão de sempre", 9)).toBe("unchanged");
    expect(await statusOf(test.index, "a versão oito", 8)).toBe("superseded");
    expect(await statusOf(test.index, "a versão de sempre", 8)).toBe("superseded");
    expect(await statusOf(test.index, "a versão dez", 10)).toBe("indexed");
  });

  it("a repeat without a revision supersedes earlier calls, whatever their revision", async () => {
    const test = await openTestIndex(database);
    await statusOf(test.index, "a versão de sempre", 1);
    const held = holdEmbedding(test.embeddings, "numerada");
    const numbered = statusOf(test.index, "a versão numerada", 100);
    await held.reached;
    expect(await statusOf(test.index, "a versão de sempre")).toBe("unchanged");
    held.release();
    expect(await numbered).toBe("superseded");
    expect(await storedText(test)).toBe("a versão de sempre");
  });

  it("prepared versions are ordered by when they were prepared, not by when they are committed", async () => {
    const test = await openTestIndex(database);
    const [first, second, third] = [
      await test.index.prepareTraining({ id: "a", content: "a primeira versão" }),
      await test.index.prepareTraining({ id: "a", content: "a segunda versão" }),
      await test.index.prepareTraining({ id: "a", content: "a terceira versão" }),
    ];
    expect(await second.commit()).toMatchObject({ status: "indexed" });
    expect(await first.commit()).toMatchObject({ status: "superseded" });
    expect(await third.commit()).toMatchObject({ status: "indexed" });
    expect(await second.commit()).toMatchObject({ status: "superseded" });
    expect(await storedText(test)).toBe("a terceira versão");
  });

  // Guards: `prepareAgain` keeps the first ticket. With a new one the older call would win.
  it("a commit replaces the version stored by then, not the one stored when it was prepared", async () => {
    const test = await openTestIndex(database);
    const [one, two, three, four] = ["Entregas", "Trocas", "Garantia", "Horários"].map(paragraph);
    await test.index.upsertTraining({ id: "a", content: `${one}\n\n${two}` });
    const first = await test.index.prepareTraining({ id: "a", content: `${three}\n\n${one}` });
    const second = await test.index.prepareTraining({ id: "a", content: `${two}\n\n${one}\n\n${four}` });
    expect(await first.commit()).toMatchObject({ status: "indexed", removed: 1 });
    expect(await second.commit()).toMatchObject({ status: "indexed", removed: 1 });
    expect(await storedText(test)).toBe(`${two}\n\n${one}\n\n${four}`);
  });

  it("a call that must prepare again keeps its ticket", async () => {
    const test = await openTestIndex(database);
    await test.index.upsertTraining({ id: "a", content: FIVE_PARAGRAPHS });
    const repeat = await test.index.prepareTraining({ id: "a", content: FIVE_PARAGRAPHS });
    await test.index.upsertTraining({ id: "a", content: paragraph("Outra") });
    expect(await repeat.commit()).toMatchObject({ status: "superseded" });
    expect(await storedText(test)).toBe(paragraph("Outra"));
  });

  it("of several trainings in one call only the overtaken one is superseded", async () => {
    const test = await openTestIndex(database);
    const held = holdEmbedding(test.embeddings, "a loja b");
    const batch = collect(test.index.upsertTrainings(["a", "b", "c"].map(smallTraining)));
    await held.reached;
    await test.index.upsertTraining({ id: "b", content: "a versão nova" });
    held.release();
    expect((await batch).map(({ id, status }) => [id, status])).toEqual([
      ["a", "indexed"],
      ["b", "superseded"],
      ["c", "indexed"],
    ]);
    expect(await storedRows(test, "b")).toMatchObject([{ content: "a versão nova" }]);
  });
});

describeOnServer("C2 Ordered", (database) => {
  // Guards: `TicketOrder`. Without it the two calls race to the sequence on two connections.
  it("of two upserts made in a row without await the second wins, 50 times out of 50", async () => {
    const test = await openTestIndex(database);
    await Promise.all(Array.from({ length: 10 }, () => test.pool.query("SELECT pg_sleep(0.01)")));
    const ids = ["a", "b", "c", "d", "e"];
    for (let round = 0; round < 50; round++) {
      const calls = ids.flatMap((id) =>
        ["primeira", "segunda"].map((name) => test.index.upsertTraining({ id, content: `a ${name} versão ${round}` })),
      );
      await Promise.all(calls);
      const hits = await test.index.similar("versão", { k: 100 });
      expect(hits.map(({ content }) => content)).toEqual(ids.map(() => `a segunda versão ${round}`));
    }
  });

  it("of an upsert and a delete made in a row without await the second wins, 50 times out of 50", async () => {
    const { index } = await openTestIndex(database);
    for (let round = 0; round < 50; round++) {
      const content = `a versão ${round}`;
      await Promise.all([index.upsertTraining({ id: "a", content }), index.deleteTraining("a")]);
      expect(await index.similar("versão")).toEqual([]);
      await Promise.all([index.deleteTraining("a"), index.upsertTraining({ id: "a", content })]);
      expect(await index.similar("versão")).toMatchObject([{ content }]);
    }
  });

  it("twenty concurrent upserts through twenty indexes leave exactly one version", async () => {
    const test = await openTestIndex(database);
    const pool = openServerPool({ max: 20 });
    const indexes = await Promise.all(Array.from({ length: 20 }, () => openAgain(test, pool)));
    for (let round = 0; round < 5; round++) {
      const versions = indexes.map((_, place) =>
        [paragraph(`versão ${round} ${place}`), paragraph("em todas"), paragraph(`fim ${place}`)].join("\n\n"),
      );
      await Promise.all(indexes.map((index, place) => statusOf(index, versions[place] ?? "")));
      expect(versions).toContain(await storedText(test));
    }
  });

  // Guards: the fence checks that the row it replaces still exists.
  it("a prepared edit is stored whole if the training's row was deleted by hand meanwhile", async () => {
    const test = await openTestIndex(database);
    await test.index.upsertTraining({ id: "a", content: FIVE_PARAGRAPHS });
    const edited = `${FIVE_PARAGRAPHS}\n\n${paragraph("Pix")}`;
    const prepared = await test.index.prepareTraining({ id: "a", content: edited });
    await test.owner.query(`DELETE FROM ${test.schema}.training WHERE id = 'a'`);
    expect(await prepared.commit()).toMatchObject({ status: "indexed", chunks: 6, removed: 0 });
    expect(await storedText(test)).toBe(edited);
  });

  // Guards: the fence locks the row before the stored chunks are compared, and holds the lock until the end.
  it("a later call waits for a running swap, then replaces its version", async () => {
    const test = await openTestIndex(database);
    await test.index.upsertTraining({ id: "a", content: FIVE_PARAGRAPHS });
    const release = await holdSwapPart(test, ["chunk_1", "INSERT"]);
    const slow = statusOf(await openAgain(test, openServerPool()), `${paragraph("Lenta")}\n\n${paragraph("Trocas")}`);
    await untilWaiting(test, "INSERT INTO");
    const edited = `${paragraph("Nova")}\n\n${paragraph("Garantia")}`;
    const later = statusOf(await openAgain(test, openServerPool()), edited);
    await untilWaiting(test, "INSERT INTO", 2);
    await release();
    expect([await slow, await later]).toEqual(["indexed", "indexed"]);
    expect(await storedText(test)).toBe(edited);
  });

  it.each([
    { end: "COMMIT", status: "superseded", text: "a segunda versão" },
    { end: "ROLLBACK", status: "indexed", text: "a primeira versão" },
  ] as const)(
    "an earlier call waits for the transaction of a later one, and is $status after its $end",
    async ({ end, ...expected }) => {
      const test = await openTestIndex(database);
      const first = await test.index.prepareTraining({ id: "a", content: "a primeira versão" });
      const second = await test.index.prepareTraining({ id: "a", content: "a segunda versão" });
      let outcome: Promise<{ status: string }> | undefined;
      await inHostTransaction(test.pool, end, async (client) => {
        await second.commit(client);
        outcome = first.commit();
        await untilWaiting(test, "INSERT INTO");
      });
      expect(await outcome).toMatchObject({ status: expected.status });
      expect(await storedText(test)).toBe(expected.text);
    },
  );

  it("the order holds between two indexes on different pools: one embeds, the other stores a newer version", async () => {
    const test = await openTestIndex(database);
    const embeddings = new CountingEmbeddings();
    const other = await openAgain(test, openServerPool(), embeddings);
    const held = holdEmbedding(embeddings, "primeira");
    const first = statusOf(other, "a primeira versão");
    await held.reached;
    expect(await statusOf(test.index, "a segunda versão")).toBe("indexed");
    held.release();
    expect(await first).toBe("superseded");
    expect(await storedText(test)).toBe("a segunda versão");
  });
});
