import type { ChunkHit, TrainingIndex } from "langchain-training-index";
import { expect, it } from "vitest";
import {
  countRows,
  holdEmbedding,
  holdSwapPart,
  hookedPool,
  openAgain,
  openServerPool,
  SWAP_PARTS,
  untilWaiting,
  poolOfRetriedDeletes,
} from "../support/contract.js";
import { describeOnEach, describeOnServer } from "../support/databases.js";
import { FIVE_PARAGRAPHS, chunksOf, openTestIndex, paragraph } from "../support/index.js";
import { overtakenPreparation } from "../support/overtaken.js";

const IDS = ["entregas", "trocas", "pagamentos"];
const REPLACEMENTS = 60;

/** A text of `count` chunks. The first is in every version, so an edit keeps rows and removes rows. */
function version(id: string, place: number, count: number): string {
  const own = Array.from({ length: count - 1 }, (_, part) => paragraph(`${id} ${place}, parte ${part}`));
  return [paragraph(`${id} sempre`), ...own].join("\n\n");
}

/**
 * Joins the hits of one training in reading order.
 *
 * @returns the text, `not whole: ...` if a chunk is missing, doubled or at a wrong offset, `undefined` without hits
 */
function textOf(hits: readonly ChunkHit[], trainingId: string): string | undefined {
  const chunks = hits
    .filter((hit) => hit.trainingId === trainingId)
    .sort((left, right) => left.position - right.position);
  if (chunks.length === 0) return undefined;
  const text = chunks.map(({ content }) => content).join("\n\n");
  const isWhole = chunks.every(
    ({ position, start, end, content }, place) => position === place && text.slice(start, end) === content,
  );
  return isWhole ? text : `not whole: ${chunks.map(({ position }) => position).join()}`;
}

// Guards: embedding before the swap; the swap is one statement or one transaction; a search is one statement.
describeOnEach("C1 Atomic", (database) => {
  it("shows the whole old version while the new one is embedded, then the new one", async () => {
    const test = await openTestIndex(database);
    await test.index.upsertTraining({ id: "a", content: FIVE_PARAGRAPHS });
    const held = holdEmbedding(test.embeddings, "Pix");
    const upsert = test.index.upsertTraining({
      id: "a",
      content: `${paragraph("Pix")}\n\n${paragraph("Trocas")}`,
    });
    await held.reached;
    expect(textOf(await chunksOf(test), "a")).toBe(FIVE_PARAGRAPHS);
    held.release();
    expect(await upsert).toMatchObject({ status: "indexed" });
    expect(textOf(await chunksOf(test), "a")).toBe(`${paragraph("Pix")}\n\n${paragraph("Trocas")}`);
  });

  it("shows each training whole while one call stores several", async () => {
    const test = await openTestIndex(database);
    const trainings = IDS.map((id, place) => ({ id, content: version(id, 0, place + 2) }));
    for await (const { status } of test.index.upsertTrainings(trainings)) {
      expect(status).toBe("indexed");
      const hits = await test.index.similar("loja", { k: 1000 });
      for (const { id, content } of trainings) expect(textOf(hits, id)).toBe(content);
    }
  });
});

describeOnServer("C1 Atomic", (database) => {
  it("a reader between any two statements of a swap sees the whole old version", async () => {
    const test = await openTestIndex(database);
    const old = { id: "a", content: FIVE_PARAGRAPHS };
    await test.index.upsertTraining(old);
    const edited = `${paragraph("Pix")}\n\n${paragraph("Garantia")}`;
    const seen: (string | undefined)[] = [];
    const statements: string[] = [];
    const pool = hookedPool(test.pool, async (text) => {
      statements.push(text);
      seen.push(textOf(await chunksOf(test), "a"));
    });
    const index = await openAgain(test, pool);
    const edit = { id: "a", content: edited, metadata: { ano: 2026 } };
    const prepared = await overtakenPreparation(index, edit, [{ ...old, metadata: { ano: 2025 } }]);
    expect(statements).toEqual([]); // the overtaking upserts are one statement each
    expect(await prepared.commit()).toMatchObject({ status: "indexed", reused: 1 });
    expect(statements.at(-1)).toBe("COMMIT");
    expect(statements).toHaveLength(5);
    expect(seen).toEqual(statements.map(() => FIVE_PARAGRAPHS));
    expect(textOf(await chunksOf(test), "a")).toBe(edited);
  });

  it.each(SWAP_PARTS)("a reader sees the whole old version while a swap is held at %s, %s", async (...part) => {
    const test = await openTestIndex(database);
    await test.index.upsertTraining({ id: "a", content: FIVE_PARAGRAPHS });
    const edited = `${paragraph("Pix")}\n\n${paragraph("Garantia")}`;
    const release = await holdSwapPart(test, part);
    const upsert = test.index.upsertTraining({ id: "a", content: edited, metadata: { ano: 2026 } });
    await untilWaiting(test, "INSERT INTO");
    const seen = textOf(await chunksOf(test), "a");
    await release();
    expect(await upsert).toMatchObject({ status: "indexed", reused: 1 });
    expect(seen).toBe(FIVE_PARAGRAPHS);
    expect(textOf(await chunksOf(test), "a")).toBe(edited);
  });

  it("a reader between any two statements of a delete sees the whole training", async () => {
    const test = await openTestIndex(database);
    await test.index.upsertTraining({ id: "a", content: FIVE_PARAGRAPHS });
    const seen: (string | undefined)[] = [];
    const pool = poolOfRetriedDeletes(test.pool, async () => {
      seen.push(textOf(await chunksOf(test), "a"));
    });
    await (await openAgain(test, pool)).deleteTraining("a");
    expect(seen.length).toBeGreaterThan(3);
    expect(seen).toEqual(seen.map(() => FIVE_PARAGRAPHS));
    expect(await chunksOf(test)).toEqual([]);
  });

  it("a concurrent reader never sees a mixture of versions, a gap or a doubled chunk", async () => {
    const test = await openTestIndex(database);
    const versions = IDS.map((id) =>
      Array.from({ length: REPLACEMENTS / IDS.length + 1 }, (_, place) => version(id, place, 2 + ((place * 5) % 7))),
    );
    for (const [place, id] of IDS.entries()) {
      await test.index.upsertTraining({ id, content: versions[place]?.[0] ?? "" });
    }
    const reading = readConcurrently(await openAgain(test, openServerPool({ max: 2 })), IDS);
    await Promise.all(
      IDS.map(async (id, place) => {
        for (const content of versions[place]?.slice(1) ?? []) await test.index.upsertTraining({ id, content });
      }),
    );
    const seen = await reading.end();
    for (const [place, id] of IDS.entries()) {
      const texts = seen.get(id) ?? new Set();
      const strange = [...texts].filter((text) => text === undefined || !versions[place]?.includes(text));
      expect(strange, `of ${id}`).toEqual([]);
      expect(texts.size, "versions seen").toBeGreaterThan(3);
    }
  });

  it("a concurrent reader sees a delete entirely or not at all", async () => {
    const test = await openTestIndex(database);
    const reading = readConcurrently(await openAgain(test, openServerPool({ max: 2 })), ["a"]);
    for (let round = 0; round < 30; round++) {
      await test.index.upsertTraining({ id: "a", content: FIVE_PARAGRAPHS });
      expect(await test.index.deleteTraining("a")).toMatchObject({ status: "deleted", removed: 5 });
    }
    const texts = [...((await reading.end()).get("a") ?? [])];
    expect(texts).toHaveLength(2);
    expect(texts).toContain(undefined);
    expect(texts).toContain(FIVE_PARAGRAPHS);
    expect(await countRows(test)).toEqual({ training: 1, indexed: 0, chunks: 0 });
  });
});

/** Searches on two connections until `end()`, which returns all texts seen of each training. */
function readConcurrently(
  index: TrainingIndex,
  ids: readonly string[],
): { end: () => Promise<Map<string, Set<string | undefined>>> } {
  const seen = new Map(ids.map((id) => [id, new Set<string | undefined>()]));
  let isEnded = false;
  const read = async (): Promise<void> => {
    while (!isEnded) {
      const hits = await index.similar("loja", { k: 1000 });
      for (const id of ids) seen.get(id)?.add(textOf(hits, id));
    }
  };
  const readers = [read(), read()];
  return {
    end: async () => {
      isEnded = true;
      await Promise.all(readers);
      return seen;
    },
  };
}
