import type { Training } from "langchain-training-index";
import { EmbeddingError } from "langchain-training-index";
import { expect, it } from "vitest";
import { allVersions, chunksWithOffsets } from "../support/contract.js";
import { describeOnServer } from "../support/databases.js";
import { chunksOf, openTestIndex, paragraph, storedRows, type TestIndex } from "../support/index.js";

const LINES = ["Pix", "Clube", "Frete", "Trocas", "Cartão"].map((name) => `${paragraph(name)}\nVeja também: ${name}.`);
const TEXT = LINES.join("\n\n");

const withCrlf = (text: string): string => text.replaceAll("\n", "\r\n");
const withCr = (text: string): string => text.replaceAll("\n", "\r");
/** Every other line break becomes CRLF; `first` says which of two. */
const alternating = (first: number) => (text: string) => {
  let place = first;
  return text.replaceAll("\n", () => (place++ % 2 === 0 ? "\r\n" : "\n"));
};
const asIs = (text: string): string => text;

const FORMS: [string, (lineBreaks: (text: string) => string) => Training][] = [
  ["a text", (given) => ({ id: "a", content: given(TEXT) })],
  ["documents", (given) => ({ id: "a", documents: LINES.map((text) => ({ pageContent: given(text) })) })],
  [
    "documents that stay whole",
    (given) => ({ id: "a", split: false, documents: LINES.map((text) => ({ pageContent: given(text) })) }),
  ],
  [
    "documents that stay whole, with ids",
    (given) => ({
      id: "a",
      split: false,
      documents: LINES.map((text, place) => ({ id: `id ${place}`, pageContent: given(text) })),
    }),
  ],
];

/** The text that offsets refer to. */
function contentOf({ content, documents = [] }: Training): string {
  return content ?? (documents as { pageContent: string }[]).map(({ pageContent }) => pageContent).join("\n\n");
}

/** Expects each chunk, stored and found, to be the exact slice of the given text. */
async function expectGiven(test: TestIndex, training: Training): Promise<void> {
  const content = contentOf(training);
  const chunks = await chunksWithOffsets(test);
  expect(chunks.map(({ start, end }) => content.slice(start, end))).toEqual(chunks.map((chunk) => chunk.content));
  const hits = await chunksOf(test);
  expect(hits.map(({ start, end, content: text }) => ({ start, end, content: text }))).toEqual(chunks);
}

// Guards: hashes use line feeds, offsets refer to the text as given, rows whose line breaks changed are updated.
describeOnServer("C6 Incremental, whatever the line endings", (database) => {
  it.each(FORMS)("%s saved with other line endings and back again embeds nothing", async (_name, form) => {
    const test = await openTestIndex(database, { header: () => "Loja\r\nSite" });
    await test.index.upsertTraining(form(asIs));
    const ids = (await storedRows(test)).map(({ id }) => id);
    test.embeddings.calls = 0;
    for (const lineBreaks of [withCrlf, withCr, asIs, alternating(0), alternating(1), withCrlf, asIs]) {
      const training = form(lineBreaks);
      const result = await test.index.upsertTraining(training);
      expect(result).toMatchObject({ status: "indexed", embedded: 0, reused: ids.length, removed: 0 });
      await expectGiven(test, training);
      expect((await storedRows(test)).map(({ id }) => id)).toEqual(ids);
      const before = await allVersions(test);
      expect(await test.index.upsertTraining(training)).toMatchObject({ status: "unchanged" });
      expect(await allVersions(test)).toEqual(before);
    }
    expect(test.embeddings.calls).toBe(0);
  });

  it("embeds the same texts as for a text with line feeds", async () => {
    const test = await openTestIndex(database, { header: () => "Loja\r\nSite" });
    await test.index.upsertTraining({ id: "a", content: TEXT });
    const texts = test.embeddings.texts.splice(0);
    await test.index.upsertTraining({ id: "b", content: withCrlf(TEXT) });
    expect(test.embeddings.texts).toEqual(texts);
    expect(texts.join("")).not.toContain("\r");
  });

  it("an edit that also changes the line endings embeds only the edit", async () => {
    const test = await openTestIndex(database);
    await test.index.upsertTraining({ id: "a", content: TEXT });
    const edited = { id: "a", content: withCrlf(`${paragraph("Novo")}\n\n${TEXT}`) };
    const result = await test.index.upsertTraining(edited);
    expect(result.embedded).toBeLessThanOrEqual(2);
    await expectGiven(test, edited);
    const back = { id: "a", content: TEXT.replace("Veja", "Leia") };
    expect((await test.index.upsertTraining(back)).embedded).toBeLessThanOrEqual(2);
    await expectGiven(test, back);
  });

  it("chunks that are too long for the model are split at the same places", async () => {
    const test = await openTestIndex(database);
    test.embeddings.before = (texts) => {
      if (texts.some((text) => text.length > 300)) {
        throw new EmbeddingError("TEXT_TOO_LONG", "too long", false);
      }
    };
    const each = Object.assign(test.embeddings, {
      embedEach: async (texts: string[]) =>
        Promise.all(
          texts.map(async (text) => {
            try {
              const [vector = []] = await test.embeddings.embedDocuments([text]);
              return vector;
            } catch (error) {
              return error as EmbeddingError;
            }
          }),
        ),
    });
    await test.index.upsertTraining({ id: "a", content: TEXT });
    await expectGiven(test, { id: "a", content: TEXT });
    const texts = new Set(each.texts.splice(0));
    const crlf = { id: "a", content: withCrlf(TEXT) };
    expect(await test.index.upsertTraining(crlf)).toMatchObject({ status: "indexed", removed: 0 });
    await expectGiven(test, crlf);
    expect(each.texts.filter((text) => !texts.has(text))).toEqual([]);
  });
});
