import { existsSync, readFileSync } from "node:fs";
import type { Queryable, Training } from "langchain-training-index";
import { describe, expect, it } from "vitest";
import { allVersions, countRows, chunksWithOffsets, wholeText } from "../support/contract.js";
import { describeOnServer } from "../support/databases.js";
import {
  FIVE_PARAGRAPHS,
  chunksOf,
  inHostTransaction,
  openTestIndex,
  paragraph,
  storedRows,
} from "../support/index.js";

/** The most new chunks that an edit of one paragraph may make. */
const MAX_NEW_CHUNKS = 3;

const SENTENCES = [
  "A loja atende de segunda a sexta, das oito às dezoito.",
  "Quem compra pelo site recebe o pedido em até cinco dias úteis, com o número de rastreio.",
  "Trocas são feitas em trinta dias, com a nota fiscal.",
  "O pagamento pode ser por Pix, boleto ou cartão, em até seis vezes sem juros, conforme o valor da compra.",
  "Sim.",
  "Em caso de defeito, o cliente fala primeiro com o atendimento, que abre um chamado e responde no mesmo dia.",
];

/** Paragraphs from one line to 1100 characters, so that a chunk holds several, one, or a part of one. */
const INVENTED = Array.from({ length: 420 }, (_, place) => {
  const count = 1 + ((place * 7 + (place >> 3)) % 16);
  const sentences = Array.from({ length: count }, (_, part) => SENTENCES[(place + part) % SENTENCES.length]);
  return `${place + 1}. ${sentences.join(" ")}`;
});

/** The Wikipedia articles of FaQuAD, if the data set is on this machine. */
const FAQUAD = new URL("../../../shared/data/faquad-pt/docs.jsonl", import.meta.url);
/** In one line the splitter fills each chunk to its maximum size, so an edit moves all boundaries after it. */
const TEXTS: [string, string[], string][] = [
  ["paragraphs", INVENTED, "\n\n"],
  ["one long line", INVENTED, " "],
];
if (existsSync(FAQUAD)) {
  const documents = readFileSync(FAQUAD, "utf8").trim().split("\n");
  const texts = documents.map((line) => (JSON.parse(line) as { text: string }).text);
  TEXTS.push(["FaQuAD's articles", texts.join("\n\n").split("\n\n"), "\n\n"]);
}

const NEW_PARAGRAPH = `Novidade: ${SENTENCES.slice(0, 4).join(" ")}`;
const EDITS: [string, (paragraph: string) => string[]][] = [
  ["is replaced", () => [NEW_PARAGRAPH]],
  ["gets another sentence", (before) => [`${before} Aos sábados a loja fecha ao meio-dia.`]],
  ["gets a new one before it", (before) => [NEW_PARAGRAPH, before]],
  ["gets a new one after it", (before) => [before, NEW_PARAGRAPH]],
  ["is removed", () => []],
];

/** The chunks of training `a` in reading order, with their offsets, as a transaction sees them. */
async function rowsIn(
  database: Queryable,
  schema: string,
): Promise<{ id: string; version: string; content: string; start: number; end: number }[]> {
  const { rows } = await database.query(
    `SELECT c.id, c.xmin::text || c.ctid::text AS version, c.content, p.start_at AS start, p.end_at AS "end"
      FROM ${schema}.indexed_1 i
      CROSS JOIN LATERAL unnest(i.chunk_ids, i.starts, i.ends) WITH ORDINALITY AS p (id, start_at, end_at, place)
      JOIN ${schema}.chunk_1 c ON c.training_id = i.training_id AND c.id = p.id
      WHERE i.training_id = 'a' ORDER BY p.place`,
  );
  return rows as Awaited<ReturnType<typeof rowsIn>>;
}

/** Expects correct offsets, and nothing but white space outside the chunks. */
function expectCovered(content: string, chunks: { content: string; start: number; end: number }[]): void {
  let covered = 0;
  for (const { start, end, content: text } of chunks) {
    expect(content.slice(start, end)).toBe(text);
    expect(content.slice(covered, start).trim()).toBe("");
    covered = Math.max(covered, end);
  }
  expect(content.slice(covered).trim()).toBe("");
}

describeOnServer("C6 Incremental", (database) => {
  // Guards: the comparison by content hash, and the plan around an edit, without which all boundaries after it move.
  describe.each(TEXTS)("in a training of 200 or more chunks (%s), one paragraph", (_text, paragraphs, separator) => {
    const content = paragraphs.join(separator);
    const last = paragraphs.length - 1;
    const places = [0, 1, ...[0.2, 0.4, 0.6, 0.8].map((share) => Math.round(share * last)), last - 1, last];

    it.each(EDITS)("%s, wherever it is: at most 3 new chunks, the others keep row and id", async (_name, change) => {
      const test = await openTestIndex(database);
      const first = await test.index.upsertTraining({ id: "a", content });
      expect(first.chunks).toBeGreaterThanOrEqual(200);
      const before = await rowsIn(test.pool, test.schema);
      const stored = new Set(before.map(({ id, version }) => `${id} ${version}`));
      for (const place of places) {
        const edited = paragraphs.flatMap((text, other) => (other === place ? change(text) : [text])).join(separator);
        test.embeddings.texts = [];
        const prepared = await test.index.prepareTraining({ id: "a", content: edited });
        await inHostTransaction(test.pool, "ROLLBACK", async (client) => {
          const { status, embedded } = await prepared.commit(client);
          expect(status).toBe("indexed");
          const after = await rowsIn(client, test.schema);
          expectCovered(edited, after);
          const written = after.filter(({ id, version }) => !stored.has(`${id} ${version}`));
          expect(written.length, `rows written for paragraph ${place}`).toBeLessThanOrEqual(MAX_NEW_CHUNKS);
          expect(embedded, `texts embedded for paragraph ${place}`).toBeLessThanOrEqual(MAX_NEW_CHUNKS);
          expect(test.embeddings.texts).toHaveLength(embedded);
        });
      }
      expect(await rowsIn(test.pool, test.schema)).toEqual(before);
    });

    it("is edited repeatedly in one place: at most 3 new chunks each time", async () => {
      const test = await openTestIndex(database);
      await test.index.upsertTraining({ id: "a", content });
      for (let version = 1; version <= 10; version++) {
        const edited = paragraphs.with(50, `${version} ${NEW_PARAGRAPH} ${"Sim. ".repeat(version)}`).join(separator);
        const before = new Set(await allVersions(test));
        const { embedded, removed } = await test.index.upsertTraining({ id: "a", content: edited });
        const written = (await allVersions(test)).filter((row) => row.startsWith("chunk") && !before.has(row));
        expect(embedded).toBeLessThanOrEqual(MAX_NEW_CHUNKS);
        expect(removed).toBeLessThanOrEqual(MAX_NEW_CHUNKS + 1);
        expect(written.length).toBeLessThanOrEqual(MAX_NEW_CHUNKS);
        expectCovered(edited, await chunksWithOffsets(test));
      }
    });
  });

  it("keeps the rows of unchanged chunks, embeds new ones, removes the rest", async () => {
    const test = await openTestIndex(database);
    await test.index.upsertTraining({ id: "a", content: FIVE_PARAGRAPHS });
    const before = await storedRows(test);
    test.embeddings.texts = [];
    const edited = FIVE_PARAGRAPHS.replace(paragraph("Pagamentos"), paragraph("Pix"));
    expect(await test.index.upsertTraining({ id: "a", content: edited })).toEqual({
      id: "a",
      status: "indexed",
      chunks: 5,
      embedded: 1,
      reused: 4,
      removed: 1,
    });
    expect(test.embeddings.texts).toEqual([paragraph("Pix")]);
    const after = await storedRows(test);
    for (const place of [0, 1, 3, 4]) expect(after[place]).toEqual(before[place]);
    expect(after[2]?.content).toBe(paragraph("Pix"));
  });

  // Guards: the places of chunks are stored outside the chunks' rows.
  it.each<[string, (paragraphs: string[]) => string[], number]>([
    ["moves down when another is inserted before it", (texts) => [paragraph("Novidades"), ...texts], 1],
    ["moves up when the first is removed", (texts) => texts.slice(1), 0],
    ["swaps places with another", ([a = "", b = "", c = "", d = "", e = ""]) => [a, d, c, b, e], 0],
    ["is reversed with all others", (texts) => texts.toReversed(), 0],
  ])("text that %s keeps its row and vector", async (_name, change, embedded) => {
    const test = await openTestIndex(database);
    await test.index.upsertTraining({ id: "a", content: FIVE_PARAGRAPHS });
    const before = await storedRows(test);
    const moved = change(FIVE_PARAGRAPHS.split("\n\n")).join("\n\n");
    expect(await test.index.upsertTraining({ id: "a", content: moved })).toMatchObject({ embedded });
    expect(await wholeText(test)).toBe(moved);
    const after = await storedRows(test);
    const kept = before.filter(({ content }) => moved.includes(content));
    expect(kept.length).toBeGreaterThanOrEqual(4);
    expect(after).toEqual(expect.arrayContaining(kept));
    expect(after).toHaveLength(kept.length + embedded);
  });

  describe("when only the metadata changes", () => {
    it("embeds nothing, and searches see the new metadata", async () => {
      const test = await openTestIndex(database);
      await test.index.upsertTraining({ id: "a", content: FIVE_PARAGRAPHS, metadata: { grupo: "loja" } });
      const ids = (await storedRows(test)).map(({ id }) => id);
      test.embeddings.calls = 0;
      const changed = { id: "a", content: FIVE_PARAGRAPHS, metadata: { grupo: "site" } };
      expect(await test.index.upsertTraining(changed)).toMatchObject({
        status: "indexed",
        embedded: 0,
        reused: 5,
        removed: 0,
      });
      expect(test.embeddings.calls).toBe(0);
      expect((await storedRows(test)).map(({ id }) => id)).toEqual(ids);
      expect(await test.index.similar("loja", { filter: { grupo: "site" } })).toHaveLength(5);
      expect(await test.index.similar("loja", { filter: { grupo: "loja" } })).toEqual([]);
    });

    it("touches no row whose metadata stays the same", async () => {
      const test = await openTestIndex(database);
      const training = (grupo: string): Training => ({
        id: "a",
        metadata: { grupo },
        documents: [
          { pageContent: "A loja abre às oito.", metadata: { grupo: "próprio" } },
          { pageContent: "E fecha às seis." },
        ],
      });
      await test.index.upsertTraining(training("loja"));
      const [first, second] = await storedRows(test);
      expect(await test.index.upsertTraining(training("site"))).toMatchObject({ embedded: 0, reused: 2 });
      const after = await storedRows(test);
      expect(after[0]).toEqual(first);
      expect(after[1]?.id).toBe(second?.id);
      expect(after[1]?.version).not.toBe(second?.version);
    });
  });

  it("embeds a repeated text only once, and copies its vector for later repetitions", async () => {
    const test = await openTestIndex(database);
    const repeated = (count: number): Training => ({
      id: "a",
      content: Array.from({ length: count }, () => paragraph("Trocas")).join("\n\n"),
    });
    expect(await test.index.upsertTraining(repeated(2))).toMatchObject({ chunks: 2, embedded: 1, reused: 1 });
    expect(test.embeddings.texts).toEqual([paragraph("Trocas")]);
    expect(await test.index.upsertTraining(repeated(3))).toMatchObject({ chunks: 3, embedded: 0, reused: 3 });
    const chunks = await chunksOf(test);
    expect(new Set(chunks.map(({ distance }) => distance)).size).toBe(1);
    expect(chunks.map(({ start }) => start)).toEqual(
      [0, 1, 2].map((place) => place * (paragraph("Trocas").length + 2)),
    );
  });

  describe("when the text shrinks", () => {
    const fifty = Array.from({ length: 50 }, (_, place) => paragraph(`Parte ${place}`));

    it.each<[string, string[], number]>([
      ["to its beginning", fifty.slice(0, 3), 0],
      ["to scattered parts", [7, 21, 49].map((place) => fifty[place] ?? ""), 0],
      ["to new parts", ["Pix", "Clube", "Frete"].map(paragraph), 3],
    ])("from 50 chunks to 3, %s, no old chunk is left", async (_name, texts, embedded) => {
      const test = await openTestIndex(database);
      await test.index.upsertTraining({ id: "a", content: fifty.join("\n\n") });
      const content = texts.join("\n\n");
      const removed = 47 + embedded;
      expect(await test.index.upsertTraining({ id: "a", content })).toMatchObject({
        chunks: 3,
        embedded,
        removed,
      });
      expect(await countRows(test)).toEqual({ training: 1, indexed: 1, chunks: 3 });
      expect(await wholeText(test)).toBe(content);
      expect((await chunksOf(test)).map(({ position }) => position)).toEqual([0, 1, 2]);
    });

    it.each<[string, Training]>([
      ["an empty text", { id: "a", content: "" }],
      ["white space", { id: "a", content: " \n\t\u00a0 " }],
      ["no documents", { id: "a", documents: [] }],
      ["blank documents", { id: "a", documents: [{ pageContent: " " }, { pageContent: "" }] }],
    ])("to %s, all chunks are deleted without an embed call", async (_name, blank) => {
      const test = await openTestIndex(database);
      await test.index.upsertTraining({ id: "a", content: FIVE_PARAGRAPHS });
      test.embeddings.calls = 0;
      const emptied = await test.index.upsertTraining(blank);
      expect(emptied).toMatchObject({ status: "indexed", chunks: 0, embedded: 0, removed: 5 });
      expect(test.embeddings.calls).toBe(0);
      expect(await countRows(test)).toEqual({ training: 1, indexed: 1, chunks: 0 });
      expect(await test.index.similar("loja")).toEqual([]);
      const again = await test.index.upsertTraining({ id: "a", content: FIVE_PARAGRAPHS });
      expect(again).toMatchObject({ chunks: 5, embedded: 5, removed: 0 });
    });
  });

  // Guards: new rows are written before old ones are deleted, and a row that keeps its id is not deleted.
  it.each<[string, Training, Training]>([
    ["from a text", { id: "a", content: "A loja abre às oito." }, { id: "a", content: "A loja abre às nove." }],
    [
      "with an id of its own",
      { id: "a", documents: [{ id: "um", pageContent: "A loja abre às oito." }], split: false },
      { id: "a", documents: [{ id: "um", pageContent: "A loja abre às nove." }], split: false },
    ],
  ])("a single chunk %s is not deleted when it is embedded again", async (_name, first, second) => {
    const test = await openTestIndex(database);
    await test.index.upsertTraining(first);
    expect(await test.index.upsertTraining(second)).toMatchObject({ chunks: 1, embedded: 1 });
    expect(await countRows(test)).toEqual({ training: 1, indexed: 1, chunks: 1 });
    const [hit] = await test.index.similar("A loja abre às nove.");
    expect(hit).toMatchObject({ content: "A loja abre às nove.", position: 0 });
    expect(hit?.distance).toBeCloseTo(0, 5);
  });

  // Guards: `StalePreparation`: rows that a prepared training would keep or copy are gone at commit.
  describe("when stored chunks that a preparation would reuse are gone", () => {
    it("commit embeds them outside the transaction and retries", async () => {
      const test = await openTestIndex(database);
      await test.index.upsertTraining({ id: "a", content: FIVE_PARAGRAPHS });
      const content = `${FIVE_PARAGRAPHS}\n\n${paragraph("Clube")}`;
      const prepared = await test.index.prepareTraining({ id: "a", content, revision: 9 });
      await test.index.upsertTraining({ id: "a", content: paragraph("Outra"), revision: 8 });
      test.embeddings.texts = [];
      const clientsOut: number[] = [];
      test.embeddings.before = () => {
        clientsOut.push(test.pool.totalCount - test.pool.idleCount);
      };
      expect(await prepared.commit()).toMatchObject({
        status: "indexed",
        chunks: 6,
        embedded: 6,
        removed: 1,
      });
      expect(test.embeddings.texts).toEqual(FIVE_PARAGRAPHS.split("\n\n"));
      expect(clientsOut).toEqual([0]);
      expect(await wholeText(test)).toBe(content);
    });

    it("commit in the host's transaction fails with CONFLICT, and the transaction stays usable", async () => {
      const test = await openTestIndex(database);
      await test.index.upsertTraining({ id: "a", content: FIVE_PARAGRAPHS });
      const content = `${FIVE_PARAGRAPHS}\n\n${paragraph("Clube")}`;
      const prepared = await test.index.prepareTraining({ id: "a", content, revision: 9 });
      await test.index.upsertTraining({ id: "a", content: paragraph("Outra"), revision: 8 });
      test.embeddings.calls = 0;
      await inHostTransaction(test.pool, "COMMIT", async (client) => {
        await expect(prepared.commit(client)).rejects.toMatchObject({ code: "CONFLICT", retryable: true });
        await client.query("SELECT 1");
      });
      expect(test.embeddings.calls).toBe(0);
      expect(await wholeText(test)).toBe(paragraph("Outra"));
      expect(await prepared.commit()).toMatchObject({ status: "indexed", chunks: 6 });
      expect(await wholeText(test)).toBe(content);
    });
  });
});
