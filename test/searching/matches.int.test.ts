import type { HybridHit, TextHit } from "langchain-training-index";
import { expect, it } from "vitest";
import { describeOnServerOrEmbedded } from "../support/databases.js";
import { openTestIndex } from "../support/index.js";

function textsOf({ content, matches }: TextHit | HybridHit): string[] | undefined {
  return matches?.map(({ start, end }) => content.slice(start, end));
}

describeOnServerOrEmbedded("matches", (database) => {
  it.each(["text", "hybrid"] as const)("are the question's words in any form, in mode %s", async (mode) => {
    const { index } = await openTestIndex(database, {}, { textSearch: "portuguese" });
    await index.upsertTraining({ id: "a", content: "As estações de ENTREGA: entregamos em três dias na estação." });
    const [hit] = await index.similar("Onde é a estacao das entregas?", { mode, matches: true });
    expect(hit && textsOf(hit)).toEqual(["estações", "ENTREGA", "entregamos", "estação"]);
    const [without] = await index.similar("Onde é a estacao das entregas?", { mode });
    expect(without).not.toHaveProperty("matches");
  });

  it("are empty for a chunk found by its vector alone, and come with neighbors and trainings", async () => {
    const { index } = await openTestIndex(database, {}, { textSearch: "english" });
    const documents = ["Delivery in three days.", "Deliveries cost nothing.", "Roses are red."].map((pageContent) => ({
      pageContent,
    }));
    await index.upsertTraining({ id: "a", documents, split: false });
    const hits = await index.similar("delivery cost", { mode: "hybrid", matches: true });
    expect(hits.map((hit) => [hit.position, textsOf(hit)]).sort()).toEqual([
      [0, ["Delivery"]],
      [1, ["Deliveries", "cost"]],
      [2, []],
    ]);
    const around = { neighbors: { before: 1, after: 1 }, matches: true, k: 1 };
    const [wide] = await index.similar("cost", { mode: "text", ...around });
    expect(wide && textsOf(wide)).toEqual(["cost"]);
    const [training] = await index.similar("cost", { mode: "text", strategy: "trainings", matches: true });
    expect(training?.chunks.map(textsOf)).toEqual([["cost"]]);
    const [document] = await index.asRetriever({ mode: "text", matches: true }).invoke("cost");
    expect(document?.metadata.trainingIndex.matches).toEqual([{ start: 11, end: 15 }]);
  });

  it("are right or absent in a chunk with more words than Postgres numbers", async () => {
    const { index } = await openTestIndex(database, {}, { textSearch: "simple" });
    const letters = Array.from("abcdefghijklmnopqrstuvwxyz");
    const words = letters.flatMap((first) =>
      letters.flatMap((second) => letters.map((third) => first + second + third)),
    );
    await index.upsertTraining({ id: "a", documents: [{ pageContent: words.join(" ") }], split: false });
    for (const [word = "", marked] of [
      [words[16_381], [words[16_381]]],
      [words[16_382], []],
      [words[17_000], []],
    ] as const) {
      const [hit] = await index.similar(word, { mode: "text", matches: true, typos: false });
      expect(hit && textsOf(hit)).toEqual(marked);
    }
  });

  it("are absent in mode vector, and refused unless they are true or false", async () => {
    const { index } = await openTestIndex(database, {}, { textSearch: "english" });
    await index.upsertTraining({ id: "a", content: "x" });
    expect((await index.similar("x", { matches: true }))[0]).not.toHaveProperty("matches");
    const refused = { code: "INVALID_ARGUMENT", option: "matches" };
    await expect(index.similar("x", { mode: "text", matches: 1 as never })).rejects.toMatchObject(refused);
  });
});
