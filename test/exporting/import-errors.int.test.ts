/** Exports that are broken: what is reported, and that no training is stored in part. */
import { describe, expect, it } from "vitest";
import { linesOf } from "../../src/exporting/lines.js";
import { describeOnServer } from "../support/databases.js";
import { DIMENSIONS, sharedIndex } from "../support/index.js";
import { vectorToBase64 } from "../../src/exporting/export-format.js";

const PROFILE = { model: "hashing-1", dimensions: DIMENSIONS, queryPrefix: "", documentPrefix: "" };
const HEADER = { format: "langchain-training-index", version: 1, profile: PROFILE, trainings: 2, tombstones: 1 };
const DIGEST = "a".repeat(64);
const TRAINING = { id: "a", revision: null, metadata: {}, fingerprint: DIGEST, splitter: "s", chunks: 2 };
const VECTOR = vectorToBase64(new Float32Array(DIMENSIONS).fill(0.5));
const CHUNK = { chunk: "1", start: 0, end: 7, content: "segredo", metadata: {}, hash: DIGEST, vector: VECTOR };
const TOMBSTONE = { id: "z", revision: "3", metadata: {}, deleted: true };
const LINES = [
  HEADER,
  TRAINING,
  CHUNK,
  { ...CHUNK, chunk: "2" },
  { ...TRAINING, id: "b", chunks: 1 },
  { ...CHUNK, chunk: "3" },
  TOMBSTONE,
];

/** @param changes - by index of the line; a string takes its place, an object changes fields */
function exportWith(changes: Record<number, object | string> = {}): string {
  return LINES.map((line, index) => {
    const change = changes[index];
    return `${typeof change === "string" ? change : JSON.stringify({ ...line, ...change })}\n`;
  }).join("");
}

describeOnServer("a broken export", (database) => {
  const test = sharedIndex(database);

  it("that is whole is stored", async () => {
    const { index } = test();
    expect(await index.importTrainings([exportWith()])).toEqual({
      ...{ indexed: 2, unchanged: 0, superseded: 0, deleted: 0 },
    });
    expect(await index.count()).toEqual({ trainings: 2, chunks: 3 });
    const late = await index.upsertTraining({ id: "z", content: "Atrasado.", revision: 2 });
    expect(late).toMatchObject({ status: "superseded", reason: "deleted" });
  });

  it.each<[string, string, string]>([
    ["nothing", "", "source is empty"],
    ["no JSON", "segredo\n", "source:1 is not JSON"],
    ["another file", '{"id":"segredo","content":"x"}\n', "source:1 is not the first line of an export"],
    ["a list", "[]\n", "source:1 is not a JSON object"],
    ["a later version", exportWith({ 0: { version: 2 } }), "source:1.version is 2; this library reads version 1"],
    ["a header without a model", exportWith({ 0: { profile: {} } }), "source:1.profile must be"],
    ["a header without counts", exportWith({ 0: { trainings: -1 } }), "source:1.trainings must be"],
    ["a line that is not JSON", exportWith({ 2: "{segredo" }), "source:3 is not JSON"],
    ["a training without an id", exportWith({ 1: { id: "" } }), "source:2.id must not be empty"],
    ["metadata that are no object", exportWith({ 1: { metadata: 7 } }), "source:2.metadata must be a plain object"],
    ["a revision that is none", exportWith({ 1: { revision: "segredo" } }), "source:2.revision must be null, or"],
    ["a fingerprint that is none", exportWith({ 1: { fingerprint: "x" } }), "source:2.fingerprint must be a SHA-256"],
    ["a missing splitter", exportWith({ 1: { splitter: null } }), "source:2.splitter must be"],
    ["a number of chunks that is none", exportWith({ 1: { chunks: "2" } }), "source:2.chunks must be"],
    ["a chunk too few", exportWith({ 3: JSON.stringify(LINES[4]) }), "source:4 must be a chunk"],
    ["a chunk too many", exportWith({ 4: JSON.stringify(LINES[3]) }), "source:5.splitter must be"],
    [
      "a vector of other dimensions",
      exportWith({ 5: { vector: VECTOR.slice(0, -8) } }),
      "source:6.vector must be base64",
    ],
    ["a vector that is no base64", exportWith({ 5: { vector: VECTOR.replace("A", "!") } }), "source:6.vector must be"],
    ["a vector of zeros", exportWith({ 5: { vector: "A".repeat(VECTOR.length - 2) + "==" } }), "source:6.vector has"],
    ["offsets in the wrong order", exportWith({ 5: { start: 8 } }), "source:6.start and end must be"],
    ["a content that is none", exportWith({ 5: { content: null } }), "source:6.content must be"],
    ["two chunks with the same id", exportWith({ 3: { chunk: "1" } }), "source:2 has two chunks with the same id"],
    ["a cut line", exportWith().slice(0, -10), "source is cut off: line 7 has no end"],
    [
      "a cut training",
      exportWith().split("\n").slice(0, 3).join("\n"),
      "source is cut off: the training of line 2 has 1 of 2",
    ],
    [
      "missing lines",
      exportWith().split("\n").slice(0, 4).join("\n"),
      "source is cut off: it has 1 of 2 trainings, and 0 of 1",
    ],
  ])("of %s is refused, with its line", async (_name, text, problem) => {
    const { index, embeddings } = test();
    const error: unknown = await index.importTrainings([text]).catch((failure: unknown) => failure);
    expect(error).toMatchObject({ code: "INVALID_ARGUMENT", message: expect.stringContaining(problem) as string });
    expect((error as Error).message).not.toContain("segredo");
    expect(await index.count()).toEqual({ trainings: 0, chunks: 0 });
    expect(embeddings.calls).toBe(0);
  });

  it("leaves whole trainings behind, and a repeat with the whole one completes it", async () => {
    const { index } = test();
    const lines = Array.from({ length: 250 }, (_, number) => [
      JSON.stringify({ ...TRAINING, id: `${number}` }),
      JSON.stringify(CHUNK),
      JSON.stringify({ ...CHUNK, chunk: "2" }),
    ]).flat();
    const whole = [JSON.stringify({ ...HEADER, trainings: 250, tombstones: 0 }), ...lines, ""].join("\n");
    await expect(index.importTrainings([whole.slice(0, -100)])).rejects.toThrow(
      "source is cut off: line 751 has no end",
    );
    expect(await index.count()).toEqual({ trainings: 200, chunks: 400 });
    expect(await index.importTrainings([whole])).toMatchObject({ indexed: 50, unchanged: 200 });
    expect(await index.count()).toEqual({ trainings: 250, chunks: 500 });
  });

  it.each([
    [{ model: "outro" }, "its model is"],
    [{ dimensions: 32 }, "its dimensions is 32"],
    [{ queryPrefix: "q: " }, "its queryPrefix is"],
  ])("of another model, %j, is refused", async (different, problem) => {
    const { index } = test();
    const text = exportWith({ 0: { profile: { ...PROFILE, ...different } } });
    await expect(index.importTrainings([text])).rejects.toMatchObject({
      code: "PROFILE_MISMATCH",
      message: expect.stringContaining(problem) as string,
    });
    expect((await index.count()).trainings).toBe(0);
  });

  it("of wrong arguments is refused before anything is read", async () => {
    const { index } = test();
    const refusals: [unknown, object, string][] = [
      ["index.jsonl", {}, "source must be a stream or a list"],
      [7, {}, "source must be a list or an iterable"],
      [[], { overwirte: true }, "overwirte is not known to importTrainings: did you mean overwrite?"],
      [[], { bulk: "yes" }, "bulk must be true or false"],
      [[], { signal: 1 }, "signal must be an AbortSignal"],
    ];
    for (const [source, options, problem] of refusals) {
      await expect(index.importTrainings(source as never, options)).rejects.toThrow(problem);
    }
    expect(() => index.exportTrainings({ limit: 1 } as never)).toThrow("limit is not known to exportTrainings");
  });

  it("whose source fails has its error unchanged; a signal ends the wait for one that never ends", async () => {
    const { index } = test();
    const failure = new Error("disk");
    const parts = async function* (): AsyncGenerator<string> {
      yield await Promise.resolve(exportWith().split("\n").slice(0, 5).join("\n"));
      throw failure;
    };
    await expect(index.importTrainings(parts())).rejects.toBe(failure);
    const stop = new AbortController();
    const waiting = async function* (): AsyncGenerator<string> {
      yield exportWith().split("\n").slice(0, 5).join("\n");
      setTimeout(() => {
        stop.abort();
      }, 20);
      await new Promise(() => undefined);
    };
    await expect(index.importTrainings(waiting(), { signal: stop.signal })).rejects.toMatchObject({ code: "ABORTED" });
  });

  it("has a progress, and errors of the callback are told", async () => {
    const { index } = test();
    const seen: unknown[] = [];
    await index.importTrainings([exportWith()], { onProgress: (progress) => seen.push(progress) });
    const onExport = index.exportTrainings({ onProgress: (progress) => seen.push(progress) });
    await index.importTrainings(onExport);
    expect(seen).toEqual([1, 2, 1, 2].map((trainings) => ({ trainings, total: 2 })));
    const onProgress = (): void => {
      throw new Error("segredo");
    };
    await expect(index.importTrainings([exportWith()], { onProgress })).rejects.toThrow("onProgress threw an error");
  });
});

describe("the lines of a stream", () => {
  const read = async (parts: (string | Uint8Array)[]): Promise<string[]> => {
    const texts: string[] = [];
    for await (const { number, text, isCut } of linesOf(parts)) texts.push(`${number}${isCut ? "!" : ""} ${text}`);
    return texts;
  };

  it("are those of the text, wherever it is cut", async () => {
    expect(await read(["a\nb", "c\n", "\nd"])).toEqual(["1 a", "2 bc", "3 ", "4! d"]);
    const bytes = Buffer.from("ção\u2028🌻\n");
    expect(await read(Array.from(bytes, (byte) => Uint8Array.of(byte)))).toEqual(["1 ção\u2028🌻"]);
    expect(await read([])).toEqual([]);
  });

  it("must be UTF-8", async () => {
    await expect(read([Buffer.from("a\nça\n", "latin1")])).rejects.toThrow("source:2 is not UTF-8");
    await expect(read([Buffer.from("a\nç").subarray(0, -1)])).rejects.toThrow("source:2 is not UTF-8");
  });
});
