import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { HashingEmbeddings } from "../../src/embedding/hashing.js";
import { InvalidArgumentError } from "../../src/errors.js";

const embeddings = new HashingEmbeddings();
const small = new HashingEmbeddings({ dimensions: 8 });

async function similarity(left: string, right: string, by = embeddings): Promise<number> {
  const [a, b] = [await by.embedQuery(left), await by.embedQuery(right)];
  return a.reduce((sum, component, index) => sum + component * (b[index] ?? 0), 0);
}

describe("HashingEmbeddings", () => {
  it("has a profile, with 1024 dimensions by default", () => {
    expect(embeddings.profile).toEqual({
      model: "hashing-1",
      dimensions: 1024,
      queryPrefix: "",
      documentPrefix: "",
    });
    expect(small.profile.dimensions).toBe(8);
  });

  it.each([8, 64, 16_000])("makes vectors of %d dimensions", async (dimensions) => {
    const vector = await new HashingEmbeddings({ dimensions }).embedQuery("Olá, mundo");
    expect(vector).toHaveLength(dimensions);
  });

  it.each([7, 16_001, 0, -8, 8.5, Number.NaN, Number.POSITIVE_INFINITY, "64", null])(
    "refuses %s dimensions",
    (dimensions) => {
      expect(() => new HashingEmbeddings({ dimensions: dimensions as never })).toThrow(
        new InvalidArgumentError("dimensions", "must be an integer from 8 to 16000"),
      );
    },
  );

  it("is the same on every machine: these are the numbers of hashing-1", async () => {
    const vector = await small.embedQuery("entrega");
    const expected = [
      -0.908738934795, -0.17038855027, 0.17038855027, -0.17038855027, 0.17038855027, 0, -0.17038855027, -0.17038855027,
    ];
    expect(vector).toHaveLength(8);
    for (const [index, component] of expected.entries()) expect(vector[index]).toBeCloseTo(component, 9);
  });

  it("makes a unit vector of any text", async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: "binary" }), async (text) => {
        const vector = await small.embedQuery(text);
        expect(Math.hypot(...vector)).toBeCloseTo(1, 9);
      }),
    );
  });

  it("embeds documents and queries alike", async () => {
    const texts = ["O prazo é de três dias.", "", "Trocas em até 30 dias."];
    const vectors = await embeddings.embedDocuments(texts);
    expect(vectors).toEqual(await Promise.all(texts.map((text) => embeddings.embedQuery(text))));
    await expect(embeddings.embedDocuments([])).resolves.toEqual([]);
  });

  it("ignores accents, case, punctuation and Unicode normalization", async () => {
    const vector = await embeddings.embedQuery("Ação é PROMOÇÃO!");
    await expect(embeddings.embedQuery("acao, e (promocao)")).resolves.toEqual(vector);
    await expect(embeddings.embedQuery("Ação é PROMOÇÃO!".normalize("NFD"))).resolves.toEqual(vector);
  });

  it.each(["", " \n", "?!…", "😀", "\ud800"])(
    "has the same usable vector for every text without words: %j",
    async (text) => {
      const vector = await embeddings.embedQuery(text);
      expect(vector).toEqual(await embeddings.embedQuery("..."));
      expect(vector.filter((component) => component !== 0).map(Math.abs)).toEqual([1]);
    },
  );

  it("hashes a text without words as a feature of its own", async () => {
    await expect(small.embedQuery("")).resolves.toEqual([0, 0, -1, 0, 0, 0, 0, 0]);
  });

  it("has a usable vector even if a text's features cancel each other out", async () => {
    await expect(small.embedQuery("5 e")).resolves.toEqual([1, 0, 0, 0, 0, 0, 0, 0]);
  });

  it("places texts that share words close together", async () => {
    const question = "prazo de entrega";
    const near = await similarity(question, "Qual é o prazo da entrega?");
    expect(near).toBeGreaterThan(0.7);
    expect(await similarity(question, "Horário de atendimento aos sábados")).toBeLessThan(0.1);
  });

  it("places words that differ in their ending close together", async () => {
    expect(await similarity("prazo de entrega", "prazos de entregas")).toBeGreaterThan(0.4);
    expect(await similarity("entrega", "cancelamento")).toBeLessThan(0.1);
  });

  it("gives short words less weight", async () => {
    const text = "entrega para";
    expect(await similarity(text, "entrega de")).toBeGreaterThan(await similarity(text, "garantia para"));
  });

  it("counts a word that occurs twice 1 + ln(2) times", async () => {
    // With this many dimensions no two features of these words collide.
    const wide = new HashingEmbeddings({ dimensions: 16_000 });
    const ratio = async (text: string): Promise<number> =>
      (await similarity(text, "prazo", wide)) / (await similarity(text, "entrega", wide));
    expect((await ratio("prazo prazo entrega")) / (await ratio("prazo entrega"))).toBeCloseTo(1 + Math.log(2), 9);
  });
});
