import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { embeddedText, splitChunkInTwo, planChunks, type ChunkPlan } from "../../src/chunking/chunk-plan.js";
import { Chunker } from "../../src/chunking/chunker.js";
import { InvalidArgumentError } from "../../src/errors.js";
import type { Splitter } from "../../src/chunking/splitter.js";
import { normalizeTraining, type NormalizedTraining, type Source } from "../../src/chunking/training-input.js";
import type { Training } from "../../src/types.js";

const byLine: Splitter = { splitText: (text) => Promise.resolve(text.split("\n")) };
const whole: Splitter = { splitText: (text) => Promise.resolve([text]) };
const sha256 = (bytes: string | Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

const PROFILE = { model: "modelo", dimensions: 2, queryPrefix: "", documentPrefix: "" };
const chunkerOf = (splitter: Splitter): Chunker => new Chunker(splitter, PROFILE);

const plan = (training: Training, splitter = byLine, header = ""): Promise<ChunkPlan> =>
  planChunks(
    normalizeTraining(training, "text", "training", () => header),
    chunkerOf(splitter),
  );

/** The fingerprint of a training of two lines, with the test's changes applied. */
async function fingerprint(training: Partial<Training>, splitter = byLine): Promise<string> {
  const content = training.documents ? {} : { content: "um\ndois" };
  const planned = await plan({ id: "1", ...content, ...training } as Training, splitter);
  return planned.fingerprint;
}

describe("planChunks", () => {
  it("makes a chunk of each part of a text", async () => {
    const { chunks } = await plan({ id: "1", content: "Olá, João!\nAté já.", metadata: { tag: "a" } });
    const metadata = '{"tag":"a"}';
    expect(chunks).toStrictEqual([
      {
        content: "Olá, João!",
        metadata,
        hash: sha256("Olá, João!"),
        id: undefined,
        vector: undefined,
        start: 0,
        end: 10,
      },
      {
        content: "Até já.",
        metadata,
        hash: sha256("Até já."),
        id: undefined,
        vector: undefined,
        start: 11,
        end: 18,
      },
    ]);
  });

  it.each(["", " \n\t"])("makes no chunks of the blank text %j", async (content) => {
    const { chunks, fingerprint: digest } = await plan({ id: "1", content });
    expect(chunks).toEqual([]);
    expect(digest).toMatch(/^[0-9a-f]{64}$/);
  });

  it("counts offsets in the documents joined by a blank line", async () => {
    const texts = ["um\ndois", "", " três 😀", "fim"];
    const { chunks } = await plan({ id: "1", documents: texts.map((pageContent) => ({ pageContent })) });
    const content = texts.join("\n\n");
    expect(chunks.map((chunk) => chunk.content)).toEqual(["um", "dois", " três 😀", "fim"]);
    expect(chunks.map(({ start, end }) => content.slice(start, end))).toEqual(["um", "dois", " três 😀", "fim"]);
    expect(chunks.map(({ start }) => start)).toEqual([0, 3, 11, 21]);
  });

  it("keeps each document as one chunk under its own id with split: false", async () => {
    const documents = [{ pageContent: " um\ndois ", id: "d1", metadata: { n: 1 } }, { pageContent: "três" }];
    const { chunks } = await plan({ id: "1", documents, split: false, metadata: { tag: "a" } });
    expect(chunks).toStrictEqual([
      {
        content: " um\ndois ",
        metadata: '{"n":1,"tag":"a"}',
        hash: sha256(" um\ndois "),
        id: "d1",
        vector: undefined,
        start: 0,
        end: 9,
      },
      {
        content: "três",
        metadata: '{"tag":"a"}',
        hash: sha256("três"),
        id: undefined,
        vector: undefined,
        start: 11,
        end: 15,
      },
    ]);
  });

  it("leaves out blank documents with split: false, but counts them in the offsets", async () => {
    const documents = [{ pageContent: " \n" }, { pageContent: "um" }];
    const { chunks } = await plan({ id: "1", documents, split: false });
    expect(chunks.map(({ content, start, end }) => ({ content, start, end }))).toEqual([
      { content: "um", start: 4, end: 6 },
    ]);
  });

  it("does not call the splitter with split: false", async () => {
    const never: Splitter = { splitText: () => Promise.reject(new Error("is not called")) };
    const { chunks } = await plan({ id: "1", documents: [{ pageContent: "um" }], split: false }, never);
    expect(chunks).toHaveLength(1);
  });

  it("does not use document ids as chunk ids when it splits", async () => {
    const { chunks } = await plan({ id: "1", documents: [{ pageContent: "um\ndois", id: "d1" }] });
    expect(chunks.map(({ id }) => id)).toEqual([undefined, undefined]);
  });

  it.each([[["dois"]], [["um", "dois"]]])(
    "refuses splitter output that is not in the content: %j",
    async (returned) => {
      await expect(plan({ id: "1", content: "um" }, { splitText: () => Promise.resolve(returned) })).rejects.toThrow(
        new InvalidArgumentError("splitter", "returned text that is not in the content"),
      );
    },
  );

  it("makes one chunk if the splitter returns none for a text", async () => {
    const { chunks } = await plan({ id: "1", content: " ### \n" }, { splitText: () => Promise.resolve([]) });
    expect(chunks.map(({ content, start, end }) => ({ content, start, end }))).toEqual([
      { content: "###", start: 1, end: 4 },
    ]);
  });

  describe("the fingerprint", () => {
    it("is the same for the same training, whatever its id, its revision and the order of its metadata keys", async () => {
      const one = await plan({ id: "1", content: "um\ndois", revision: 1, metadata: { a: 1, b: 2 } });
      const other = await plan({ id: "2", content: "um\ndois", revision: 2, metadata: { b: 2, a: 1 } });
      expect(other.fingerprint).toBe(one.fingerprint);
    });

    it("is the same if another splitter splits at the same places", async () => {
      const otherSplitter: Splitter = { splitText: (text) => Promise.resolve(text.split(/\r?\n/)) };
      expect(await fingerprint({}, otherSplitter)).toBe(await fingerprint({}));
    });

    it.each<[string, Partial<Training>]>([
      ["the text of a chunk", { content: "um\ntrês" }],
      ["the place of a chunk", { content: "um\n dois" }],
      ["the order of chunks", { content: "dois\num" }],
      ["the training's metadata", { metadata: { tag: "a" } }],
      ["the number of chunks", { content: "um\ndois\num" }],
    ])("changes with %s", async (_name, training) => {
      expect(await fingerprint(training)).not.toBe(await fingerprint({}));
    });

    it("changes with the places where a text is split", async () => {
      expect(await fingerprint({}, whole)).not.toBe(await fingerprint({}));
    });

    it("changes with a document's metadata", async () => {
      const one = await fingerprint({ documents: [{ pageContent: "um", metadata: { n: 1 } }] });
      const other = await fingerprint({ documents: [{ pageContent: "um", metadata: { n: 2 } }] });
      expect(other).not.toBe(one);
    });

    it("changes with a document's id only if that id names the chunk", async () => {
      const named = (id: string, split: boolean): Promise<string> =>
        fingerprint({ documents: [{ pageContent: "um", id }], split });
      expect(await named("b", false)).not.toBe(await named("a", false));
      expect(await named("b", true)).toBe(await named("a", true));
    });

    it("changes with the metadata of a training without chunks", async () => {
      expect(await fingerprint({ content: "", metadata: { a: 1 } })).not.toBe(await fingerprint({ content: "" }));
    });
  });

  describe("with a header", () => {
    const content = "um\ndois";

    it("does not change the chunks' text, places and metadata", async () => {
      const shown = ({ chunks }: ChunkPlan): unknown[] => chunks.map((chunk) => ({ ...chunk, hash: "" }));
      const headed = await plan({ id: "1", content }, byLine, "Loja");
      expect(shown(headed)).toEqual(shown(await plan({ id: "1", content })));
    });

    it("has its own hashes and fingerprint, the same for the same header", async () => {
      const plans = await Promise.all(["", "Loja", "Site"].map((header) => plan({ id: "1", content }, byLine, header))); // prettier-ignore
      const hashes = plans.flatMap(({ chunks }) => chunks.map(({ hash }) => hash));
      expect(new Set(hashes).size).toBe(6);
      expect(new Set(plans.map(({ fingerprint: digest }) => digest)).size).toBe(3);
      expect(await plan({ id: "1", content }, byLine, "Loja")).toEqual(plans[1]);
    });

    it("hashes header and text separately, wherever the boundary between them is", async () => {
      const cases = [
        ["", "Loja\num"],
        ["Loja", "um"],
        ["Lojau", "m"],
        ["Loja\n", "um"],
        ["Loja\0", "um"],
      ] as const;
      const texts = cases.map(([header, text]) => plan({ id: "1", content: text }, whole, header));
      const hashes = (await Promise.all(texts)).map(({ chunks }) => chunks[0]?.hash);
      // White space around a header is trimmed.
      expect(hashes[3]).toBe(hashes[1]);
      expect(new Set(hashes).size).toBe(4);
    });

    it("is part of the hash of an unsplit document, but not of a ready vector's", async () => {
      const documents = [{ pageContent: "um" }];
      const [plain, headed] = await Promise.all(
        ["", "Loja"].map((header) => plan({ id: "1", documents, split: false }, byLine, header)),
      );
      expect(headed?.chunks[0]?.hash).not.toBe(plain?.chunks[0]?.hash);
      const training = withVectors(Float32Array.of(1, 2));
      const ready = await planChunks(training, chunkerOf(whole));
      expect((await planChunks({ ...training, header: "Loja" }, chunkerOf(whole))).chunks).toEqual(ready.chunks);
    });

    it("is embedded above the text", () => {
      const training = normalizeTraining({ id: "1", content }, "text", "training", () => " Loja: trocas\n");
      expect(embeddedText(training, "um")).toBe("Loja: trocas\num");
      expect(embeddedText({ ...training, header: "" }, "um")).toBe("um");
    });
  });

  describe("with ready vectors", () => {
    it("carries the vector, and has another hash than the same text without a vector", async () => {
      const vector = Float32Array.of(1, 2);
      const [chunk] = (await planChunks(withVectors(vector), chunkerOf(whole))).chunks;
      expect(chunk?.vector).toBe(vector);
      expect(chunk?.content).toBe("um");
      expect(chunk?.hash).toMatch(/^[0-9a-f]{64}$/);
      expect(chunk?.hash).not.toBe(sha256("um"));
    });

    it("gives the same hash only to equal vectors of the same text", async () => {
      const vectors = [Float32Array.of(1, 2), Float32Array.of(1, 2), Float32Array.of(2, 1)];
      const { chunks } = await planChunks(withVectors(...vectors), chunkerOf(whole));
      expect(chunks[1]?.hash).toBe(chunks[0]?.hash);
      expect(chunks[2]?.hash).not.toBe(chunks[0]?.hash);
    });

    it("distinguishes vectors that are views of one buffer", async () => {
      const all = Float32Array.of(1, 2, 3, 4);
      const { chunks } = await planChunks(withVectors(all.subarray(0, 2), all.subarray(2)), chunkerOf(whole));
      expect(chunks[1]?.hash).not.toBe(chunks[0]?.hash);
    });

    it("hashes the text and only those bytes of the buffer that the vector's view covers", async () => {
      const all = Float32Array.of(7, 1, 2, 8);
      const other = Float32Array.of(1, 2, 9);
      const views = [Float32Array.of(1, 2), all.subarray(1, 3), other.subarray(0, 2)];
      const { chunks } = await planChunks(withVectors(...views), chunkerOf(whole));
      const bytes = Buffer.from(Float32Array.of(1, 2).buffer);
      const expected = sha256(Buffer.concat([Buffer.from("um\0"), bytes]));
      expect(chunks.map(({ hash }) => hash)).toEqual([expected, expected, expected]);
    });
  });
});

describe("splitChunkInTwo", () => {
  it("makes two chunks with places in the joined documents, and the same header and metadata", async () => {
    const documents = [
      { pageContent: "Trocas em trinta dias.", metadata: { n: 1 } },
      { pageContent: " Frete grátis. Prazo de três dias.", metadata: { n: 2 } },
    ];
    const training = normalizeTraining({ id: "1", documents }, "text", "training", () => "Loja");
    const { chunks } = await planChunks(training, chunkerOf(whole));
    const [, second] = chunks;
    if (!second) throw new Error("there are two chunks");
    const halves = splitChunkInTwo(training, second);
    const content = documents.map(({ pageContent }) => pageContent).join("\n\n");
    expect(halves?.map((half) => half.content)).toEqual(["Frete grátis.", "Prazo de três dias."]);
    for (const half of halves ?? []) {
      expect(content.slice(half.start, half.end)).toBe(half.content);
      expect(half).toMatchObject({ metadata: '{"n":2}', id: undefined, vector: undefined });
      const alone = await plan({ id: "1", content: half.content }, whole, "Loja");
      expect(half.hash).toBe(alone.chunks[0]?.hash);
    }
  });

  it("does not cut a single character", async () => {
    const training = normalizeTraining({ id: "1", content: "😀" }, "text");
    const { chunks } = await planChunks(training, chunkerOf(whole));
    expect(chunks.map((chunk) => splitChunkInTwo(training, chunk))).toEqual([undefined]);
  });
});

/** A training of one document for each vector, all with the same text. */
function withVectors(...vectors: Float32Array[]): NormalizedTraining {
  const sources = vectors.map((vector): Source => ({ text: "um", metadata: "{}", id: undefined, vector }));
  return { id: "1", key: "1", revision: null, metadata: "{}", sources, split: false, header: "" };
}
