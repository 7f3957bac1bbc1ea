import type { EmbeddingsInterface } from "@langchain/core/embeddings";
import { runInNewContext } from "node:vm";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Embedder, resolveProfile, type PerTextEmbeddings, type EmbedOptions } from "../../src/embedding/embedder.js";
import type { EmbeddingProfile } from "../../src/embedding/profiles.js";
import type { Notice } from "../../src/calls/notices.js";
import { narrowVector } from "../../src/embedding/vector.js";
import { AbortError, DatabaseError, EmbeddingError, InvalidArgumentError } from "../../src/errors.js";

const profile: EmbeddingProfile = {
  model: "modelo",
  dimensions: 2,
  queryPrefix: "consulta: ",
  documentPrefix: "texto: ",
};

/** Records its requests; returns `answer`, by default a vector with the length of each text. */
class RecordingEmbeddings implements EmbeddingsInterface {
  readonly requests: string[][] = [];
  readonly queries: string[] = [];
  answer: (texts: string[]) => unknown = (texts) => texts.map((text) => [text.length, 1]);

  embedDocuments(texts: string[]): Promise<number[][]> {
    this.requests.push(texts);
    return Promise.resolve(this.answer(texts) as number[][]);
  }

  embedQuery(text: string): Promise<number[]> {
    this.queries.push(text);
    const [vector] = this.answer([text]) as [number[]];
    return Promise.resolve(vector);
  }
}

function setUp(addsPrefixes = false): { embeddings: RecordingEmbeddings; embedder: Embedder } {
  const embeddings = new RecordingEmbeddings();
  return { embeddings, embedder: new Embedder(embeddings, { profile, addsPrefixes }) };
}

/** An embedder whose model always returns these vectors. */
function answering(vectors: unknown): Embedder {
  const { embeddings, embedder } = setUp();
  embeddings.answer = () => vectors;
  return embedder;
}

function failing(failure: unknown): Embedder {
  const { embeddings, embedder } = setUp();
  embeddings.answer = () => {
    throw failure as Error;
  };
  return embedder;
}

const invalid = (what: string): EmbeddingError =>
  new EmbeddingError("EMBEDDING_INVALID", `The embedder ${what}`, false);

describe("Embedder.embedDocuments", () => {
  it("returns one 32-bit vector for each text, in order", async () => {
    const { embedder } = setUp();
    await expect(embedder.embedDocuments(["Olá", "prazo"])).resolves.toEqual([
      Float32Array.of(3, 1),
      Float32Array.of(5, 1),
    ]);
  });

  it("makes no request without texts", async () => {
    const { embeddings, embedder } = setUp();
    await expect(embedder.embedDocuments([])).resolves.toEqual([]);
    expect(embeddings.requests).toEqual([]);
  });

  it("requests at most 64 texts at a time", async () => {
    const { embeddings, embedder } = setUp();
    const texts = Array.from({ length: 130 }, (_, index) => "a".repeat(index + 1));
    const progress: number[] = [];
    const vectors = await embedder.embedDocuments(texts, { onBatch: (embedded) => progress.push(embedded) });
    expect(embeddings.requests.map(({ length }) => length)).toEqual([64, 64, 2]);
    expect(embeddings.requests.flat()).toEqual(texts);
    expect(vectors.map((vector) => vector[0])).toEqual(texts.map(({ length }) => length));
    expect(progress).toEqual([64, 128, 130]);
  });

  it("requests at most 64,000 characters at a time, and a longer text by itself", async () => {
    const { embeddings, embedder } = setUp();
    const lengths = [32_000, 32_000, 1, 70_000, 2, 63_999];
    await embedder.embedDocuments(lengths.map((length) => "a".repeat(length)));
    expect(embeddings.requests.map((texts) => texts.map(({ length }) => length))).toEqual([
      [32_000, 32_000],
      [1],
      [70_000],
      [2],
      [63_999],
    ]);
  });

  it("adds the document prefix to each text with addsPrefixes", async () => {
    const { embeddings, embedder } = setUp(true);
    await embedder.embedDocuments(["um", "dois"]);
    expect(embeddings.requests).toEqual([["texto: um", "texto: dois"]]);
  });

  it("adds no prefix for a model that adds its own", async () => {
    const { embeddings, embedder } = setUp(false);
    await embedder.embedDocuments(["um"]);
    expect(embeddings.requests).toEqual([["um"]]);
  });

  it.each([
    ["fewer vectors than texts", [[1, 2]], "returned 1 vectors for 2 texts"],
    [
      "more vectors than texts",
      [
        [1, 2],
        [1, 2],
        [1, 2],
      ],
      "returned 3 vectors for 2 texts",
    ],
    ["no vectors", [], "returned 0 vectors for 2 texts"],
    ["undefined", undefined, "returned 0 vectors for 2 texts"],
    ["an object", { vectors: 2 }, "returned 0 vectors for 2 texts"],
    [
      "an array-like without elements",
      { length: 2 },
      "of model modelo returned undefined instead of a vector (texts[0])",
    ],
    [
      "a vector that is too short",
      [[1, 2], [1]],
      "of model modelo returned 1 dimensions; this index stores 2 (texts[1])",
    ],
    ["an empty vector", [[], [1, 2]], "of model modelo returned 0 dimensions; this index stores 2 (texts[0])"],
    ["a missing vector", [[1, 2], null], "of model modelo returned null instead of a vector (texts[1])"],
    [
      "NaN",
      [
        [1, 2],
        [1, Number.NaN],
      ],
      "of model modelo returned NaN, infinity or components too large to compare (texts[1])",
    ],
    [
      "null in a vector of zeros",
      [
        [1, 2],
        [null, 0],
      ],
      "of model modelo returned a component that is not a number (texts[1])",
    ],
    [
      "undefined in a vector",
      [
        [1, 2],
        [undefined, 1],
      ],
      "of model modelo returned a component that is not a number (texts[1])",
    ],
    [
      "bigints in a vector",
      [
        [1n, 2n],
        [1, 2],
      ],
      "of model modelo returned a component that is not a number (texts[0])",
    ],
    [
      "strings in a vector",
      [
        ["1", "2"],
        [1, 2],
      ],
      "of model modelo returned a component that is not a number, but a text (texts[0])",
    ],
    [
      "components too large to compare",
      [
        [1e25, 1],
        [1, 2],
      ],
      "of model modelo returned NaN, infinity or components too large to compare (texts[0])",
    ],
    [
      "components too small to compare",
      [
        [1e-25, 0],
        [1, 2],
      ],
      "of model modelo returned zeros or components too small to compare: no direction (texts[0])",
    ],
    [
      "zeros",
      [
        [0, 0],
        [1, 2],
      ],
      "of model modelo returned zeros or components too small to compare: no direction (texts[0])",
    ],
  ])("refuses a model that returns %s", async (_name, vectors, what) => {
    await expect(answering(vectors).embedDocuments(["um", "dois"])).rejects.toThrow(invalid(what));
  });

  it("says which model failed, and keeps its error as the cause", async () => {
    const failure = new Error("sem memória");
    await expect(failing(failure).embedDocuments(["um"])).rejects.toThrow(
      new EmbeddingError("EMBEDDING_FAILED", "The embedder of model modelo failed", true, failure),
    );
  });

  it("is not retryable if the model refuses the request", async () => {
    const failure = Object.assign(new Error("model not found"), { status_code: 404 });
    await expect(failing(failure).embedDocuments(["um"])).rejects.toThrow(
      new EmbeddingError("EMBEDDING_FAILED", "The embedder of model modelo failed", false, failure),
    );
  });

  it("reports a model that rejects, and one that throws undefined", async () => {
    const { embeddings, embedder } = setUp();
    embeddings.embedDocuments = () => Promise.reject(new Error("rejeitado"));
    await expect(embedder.embedDocuments(["um"])).rejects.toMatchObject({
      code: "EMBEDDING_FAILED",
      retryable: true,
    });
    await expect(failing(undefined).embedDocuments(["um"])).rejects.toMatchObject({
      code: "EMBEDDING_FAILED",
    });
  });

  it("passes on this library's own errors unchanged", async () => {
    const failure = new DatabaseError("rejeitado", { code: "CONFLICT", retryable: true });
    await expect(failing(failure).embedDocuments(["um"])).rejects.toBe(failure);
  });

  it("makes no request if the signal has already fired", async () => {
    const { embeddings, embedder } = setUp();
    await expect(embedder.embedDocuments(["um"], { signal: AbortSignal.abort("antes") })).rejects.toThrow(
      new AbortError("antes"),
    );
    expect(embeddings.requests).toEqual([]);
  });

  it("requests no further batch after the signal fires", async () => {
    const { embeddings, embedder } = setUp();
    const controller = new AbortController();
    const texts = new Array<string>(100).fill("a");
    const outcome = embedder.embedDocuments(texts, {
      signal: controller.signal,
      onBatch: () => {
        controller.abort("basta");
      },
    });
    await expect(outcome).rejects.toThrow(new AbortError("basta"));
    expect(embeddings.requests).toHaveLength(1);
  });

  it("stops waiting for the model when the signal fires", async () => {
    const { embeddings, embedder } = setUp();
    embeddings.embedDocuments = () => new Promise(() => undefined);
    const controller = new AbortController();
    const outcome = embedder.embedDocuments(["um"], { signal: controller.signal });
    controller.abort("basta");
    await expect(outcome).rejects.toThrow(new AbortError("basta"));
  });
});

/** An embedder with an outcome for each text; records the signals that it gets. */
class EachEmbeddings extends RecordingEmbeddings implements PerTextEmbeddings {
  readonly signals: (AbortSignal | undefined)[] = [];
  outcomes: unknown = [];

  embedEach(texts: readonly string[], { signal }: EmbedOptions = {}): Promise<(number[] | EmbeddingError)[]> {
    this.requests.push([...texts]);
    this.signals.push(signal);
    return Promise.resolve(this.outcomes as (number[] | EmbeddingError)[]);
  }

  override embedQuery(text: string, { signal }: EmbedOptions = {}): Promise<number[]> {
    this.signals.push(signal);
    return super.embedQuery(text);
  }
}

describe("an embedder with embedEach", () => {
  const setUpEach = (outcomes: unknown): { embeddings: EachEmbeddings; embedder: Embedder } => {
    const embeddings = new EachEmbeddings();
    embeddings.outcomes = outcomes;
    return { embeddings, embedder: new Embedder(embeddings, { profile, addsPrefixes: false }) };
  };
  const { signal } = new AbortController();
  const tooLong = new EmbeddingError("TEXT_TOO_LONG", "A text is too long", false);

  it("is called through embedEach, with the signal", async () => {
    const { embeddings, embedder } = setUpEach([[1, 2]]);
    expect(await embedder.embedDocuments(["um"], { signal })).toEqual([Float32Array.of(1, 2)]);
    await embedder.embedQuery("prazo?", signal);
    expect(embeddings.requests).toEqual([["um"]]);
    expect(embeddings.queries).toEqual(["prazo?"]);
    expect(embeddings.signals).toEqual([signal, signal]);
  });

  it("can report which texts are too long; the others get their vectors", async () => {
    const { embedder } = setUpEach([tooLong, [1, 2], tooLong]);
    expect(await embedder.embedDocuments(["um", "dois", "três"])).toEqual([
      "too long",
      Float32Array.of(1, 2),
      "too long",
    ]);
  });

  it("has any other failure of a text thrown, with the text's name", async () => {
    const failure = new EmbeddingError("EMBEDDING_FAILED", "Ollama failed", true);
    const { embedder } = setUpEach([[1, 2], failure, tooLong]);
    const thrown = (message: string): EmbeddingError => new EmbeddingError("EMBEDDING_FAILED", message, true, failure);
    const given = ["um", "dois", "três"];
    await expect(embedder.embedDocuments(given)).rejects.toThrow(thrown("Ollama failed: texts[1]"));
    const nameOf = (index: number): string => `chunk ${index} of training a`;
    await expect(embedder.embedDocuments(given, { nameOf })).rejects.toThrow(
      thrown("Ollama failed: chunk 1 of training a"),
    );
    await expect(embedder.embedDocuments(given)).rejects.toMatchObject({ retryable: true });
  });

  it("has its texts numbered across batches", async () => {
    const { embeddings, embedder } = setUpEach(undefined);
    embeddings.embedEach = (texts) => Promise.resolve(texts.map((text) => (text === "mau" ? [0, 0] : [1, 2])));
    const given = new Array<string>(70).fill("bom").with(65, "mau");
    await expect(embedder.embedDocuments(given)).rejects.toThrow("no direction (texts[65])");
  });

  it.each([[[[1, 2]]], [undefined], [[]]])("is refused when it returns %j for two texts", async (outcomes) => {
    const { embedder } = setUpEach(outcomes);
    await expect(embedder.embedDocuments(["um", "dois"])).rejects.toMatchObject({
      code: "EMBEDDING_INVALID",
    });
  });
});

describe("Embedder.embedQuery", () => {
  it("returns the vector of the text, at 32 bits", async () => {
    const { embeddings, embedder } = setUp();
    await expect(embedder.embedQuery("Olá")).resolves.toEqual(Float32Array.of(3, 1));
    expect(embeddings.queries).toEqual(["Olá"]);
  });

  it("adds the query prefix to the text with addsPrefixes", async () => {
    const { embeddings, embedder } = setUp(true);
    await embedder.embedQuery("prazo?");
    expect(embeddings.queries).toEqual(["consulta: prazo?"]);
  });

  it.each([
    ["undefined", [undefined], "undefined instead of a vector"],
    ["a vector that is too long", [[1, 2, 3]], "3 dimensions; this index stores 2"],
    ["infinity", [[1, Number.POSITIVE_INFINITY]], "NaN, infinity or components too large to compare"],
    ["components too large to compare", [[1, -1e20]], "NaN, infinity or components too large to compare"],
    ["zeros", [[0, 0]], "zeros or components too small to compare: no direction"],
    ["bigints", [[1n, 2n]], "a component that is not a number"],
  ])("refuses a model that returns %s", async (_name, vectors, what) => {
    await expect(answering(vectors).embedQuery("prazo?")).rejects.toThrow(invalid(`of model modelo returned ${what}`));
  });

  it("says which model failed, and keeps its error as the cause", async () => {
    const failure = new Error("sem memória");
    await expect(failing(failure).embedQuery("prazo?")).rejects.toThrow(
      new EmbeddingError("EMBEDDING_FAILED", "The embedder of model modelo failed", true, failure),
    );
  });

  it("stops waiting for the model when the signal fires", async () => {
    const { embeddings, embedder } = setUp();
    embeddings.embedQuery = () => new Promise(() => undefined);
    const controller = new AbortController();
    const outcome = embedder.embedQuery("prazo?", controller.signal);
    controller.abort("basta");
    await expect(outcome).rejects.toThrow(new AbortError("basta"));
    await expect(embedder.embedQuery("prazo?", controller.signal)).rejects.toThrow(new AbortError("basta"));
  });

  it("makes no request if the signal has already fired", async () => {
    const { embeddings, embedder } = setUp();
    await expect(embedder.embedQuery("prazo?", AbortSignal.abort("antes"))).rejects.toThrow(new AbortError("antes"));
    expect(embeddings.queries).toEqual([]);
  });
});

describe("an embedder's answer other than an array of numbers", () => {
  /** An array-like object. */
  const listLike = (...components: number[]): ArrayLike<number> =>
    Object.assign({ length: components.length }, components);
  const ofAnotherRealm: unknown = runInNewContext("[[3, 4]]");

  it.each<[string, unknown]>([
    ["a Float32Array", [Float32Array.of(3, 4)]],
    ["a part of a Float32Array", [Float32Array.of(1, 2, 3, 4).subarray(2)]],
    ["a Float64Array", [Float64Array.of(3, 4)]],
    ["an Int8Array", [Int8Array.of(3, 4)]],
    ["an array from another realm", ofAnotherRealm],
    ["an array-like object", [listLike(3, 4)]],
    ["an array-like list of vectors", { 0: [3, 4], length: 1 }],
  ])("is accepted if it is %s", async (_name, vectors) => {
    const embedder = answering(vectors);
    await expect(embedder.embedDocuments(["um"])).resolves.toEqual([Float32Array.of(3, 4)]);
    await expect(answering([(vectors as unknown[])[0]]).embedQuery("um")).resolves.toEqual(Float32Array.of(3, 4));
  });

  const throwing = {
    length: 2,
    get 0(): number {
      throw new Error("segredo");
    },
  };
  it.each<[string, unknown, RegExp]>([
    ["a string", "AAAAPwAAgD8=", /a text \(if it is base64, set encodingFormat: "float"/],
    ["a list in a list", [[3, 4]], /1 dimensions; .* list of lists/],
    ["an object with its embedding", { embedding: [3, 4] }, /return the list in its `embedding`/],
    ["undefined", undefined, /undefined instead of a vector/],
    ["a promise", Promise.resolve([3, 4]), /a promise \(await it\)/],
    ["a number", 3, /a number instead of a vector/],
    ["a function", (first: number, second: number) => first + second, /a function instead/],
    ["a set", new Set([3, 4]), /an object instead/],
    ["an array with holes", new Array(2), /a component that is not a number/],
    ["an object that throws when it is read", throwing, /returned a value that cannot be read/],
    ["a buffer of the bytes", Buffer.from(Float32Array.of(3, 4).buffer), /8 dimensions; .* may be bytes/],
  ])("is refused with a description if it is %s", async (_name, vector, message) => {
    const failure = { code: "EMBEDDING_INVALID", message: expect.stringMatching(message) as string };
    await expect(answering([vector]).embedDocuments(["um"])).rejects.toMatchObject(failure);
    if (vector instanceof Promise) return; // embedQuery awaits its result, so a promise is fine there
    await expect(answering([vector]).embedQuery("um")).rejects.toMatchObject(failure);
  });

  it("with a quarter of the dimensions is recognized as floats decoded as base64", async () => {
    const large = { ...profile, dimensions: 8 };
    const embeddings = new RecordingEmbeddings();
    embeddings.answer = () => [[3, 4]];
    const embedder = new Embedder(embeddings, { profile: large, addsPrefixes: false });
    await expect(embedder.embedDocuments(["um"])).rejects.toThrow(
      '2 dimensions; this index stores 8. Floats decoded as base64 leave a quarter of the dimensions: set encodingFormat: "float"',
    );
  });

  it.each<[string, unknown]>([
    ["undefined", undefined],
    ["null", null],
    ["a string", "fora do ar"],
    [
      "an error whose properties throw",
      Object.defineProperty(new Error("x"), "status", {
        get: () => {
          throw new TypeError("segredo");
        },
      }),
    ],
  ])("that is a thrown %s, synchronous or not, becomes a typed error", async (_name, reason) => {
    const failure = { code: "EMBEDDING_FAILED", name: "EmbeddingError" };
    await expect(failing(reason).embedDocuments(["um"])).rejects.toMatchObject(failure);
    const { embeddings, embedder } = setUp();
    embeddings.embedQuery = async () => {
      await Promise.resolve();
      throw reason as Error;
    };
    await expect(embedder.embedQuery("um")).rejects.toMatchObject(failure);
  });
});

describe("an embedder that never answers", () => {
  const never = <T>(): Promise<T> => new Promise<T>(() => undefined);
  const setUpNever = (): { embedder: Embedder; notices: Notice[] } => {
    const embeddings: EmbeddingsInterface = { embedDocuments: never, embedQuery: never };
    const notices: Notice[] = [];
    const notify = (notice: Notice): void => void notices.push(notice);
    return { embedder: new Embedder(embeddings, { profile, addsPrefixes: false }, notify), notices };
  };

  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it.each<[string, (embedder: Embedder) => Promise<unknown>, number, number]>([
    ["a question", (embedder) => embedder.embedQuery("um"), 2, 30],
    ["2 texts", (embedder) => embedder.embedDocuments(["um", "dois"]), 10, 300],
  ])("is reported once when asked to embed %s, and finally given up", async (what, ask, slow, limit) => {
    const { embedder, notices } = setUpNever();
    const failure = ask(embedder).catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(slow * 1000 - 1);
    expect(notices).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    const late = (seconds: number): string =>
      `The embedder of model modelo has not answered for ${seconds} s (it was asked to embed ${what})`;
    expect(notices).toEqual([{ code: "SLOW_EMBEDDER", message: `${late(slow)}; still waiting` }]);
    await vi.advanceTimersByTimeAsync((limit - slow) * 1000);
    expect(await failure).toMatchObject({
      name: "EmbeddingError",
      code: "TIMEOUT",
      retryable: true,
      message: `${late(limit)}; gave up waiting`,
    });
    expect(notices).toHaveLength(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("leaves no timer or listener behind when the signal fires, and neither does one that answers", async () => {
    const controller = new AbortController();
    const remove = vi.spyOn(controller.signal, "removeEventListener");
    const failure = setUpNever()
      .embedder.embedQuery("um", controller.signal)
      .catch((error: unknown) => error);
    controller.abort("basta");
    expect(await failure).toBeInstanceOf(AbortError);
    await setUp().embedder.embedDocuments(["um"]);
    expect(vi.getTimerCount()).toBe(0);
    expect(remove).toHaveBeenCalledTimes(1);
  });
});

describe("narrowVector", () => {
  const tooLarge = "NaN, infinity or components too large to compare";
  const tooSmall = "zeros or components too small to compare: no direction";

  it("narrows to the 32 bits that pgvector stores", () => {
    expect(narrowVector([0.1, -2, 1e-40], 3)).toEqual(Float32Array.of(0.1, -2, 1e-40));
    expect(narrowVector([1e-25, 1], 2)).toEqual(Float32Array.of(1e-25, 1));
    expect(narrowVector([1.8e19, 0], 2)).toEqual(Float32Array.of(1.8e19, 0));
    expect(narrowVector([3e-23, 0], 2)).toEqual(Float32Array.of(3e-23, 0));
    expect(narrowVector(Float64Array.of(1, 2), 2)).toEqual(Float32Array.of(1, 2));
  });

  it.each([
    [[1], "1 dimensions; this index stores 2"],
    [[], "0 dimensions; this index stores 2"],
    [[1, 2, 3], "3 dimensions; this index stores 2"],
    [[Number.NaN, 1], tooLarge],
    [[1, Number.NEGATIVE_INFINITY], tooLarge],
    [[Number.MAX_VALUE, 1], tooLarge],
    [[0, -0], tooSmall],
    [[1e-60, -1e-60], tooSmall],
  ])("says what is wrong with %j", (vector, problem) => {
    expect(narrowVector(vector, 2)).toBe(problem);
  });

  it.each<[string, ArrayLike<unknown>]>([
    ["a bigint", [1n, 1]],
    ["bigints in a typed array", BigInt64Array.of(1n, 2n)],
    ["undefined", [1, undefined]],
    ["null", [null, 1]],
    ["a hole", new Array(2)],
    ["a string", ["1", 1]],
    ["true", [1, true]],
    ["a list", [[1], 1]],
    ["a boxed number", [Object(1), 1]],
    ["a string after NaN", [Number.NaN, "1"]],
  ])("says that %s is not a number", (_name, vector) => {
    expect(narrowVector(vector, 2)).toBe("a component that is not a number");
  });

  // pgvector sums at 32 bits: SELECT '[1e25,1]'::vector <=> '[1e25,1]'::vector is NaN, and so is that of 1e-25.
  it.each([
    [[1e25, 1], tooLarge],
    [[1, -1e20], tooLarge],
    [[1.5e19, 1.5e19], tooLarge],
    [[1e-25, 0], tooSmall],
    [[1e-23, -1e-23], tooSmall],
    [Float32Array.of(1e20, 1), tooLarge],
  ])("refuses %j, which pgvector cannot compare at 32 bits", (vector, problem) => {
    expect(narrowVector(vector, 2)).toBe(problem);
  });

  it.each([
    ["large", 2 ** 64 * (1 - 2 ** -25), 2 ** 64, tooLarge],
    ["small", 2 ** -75 * (1 + 2 ** -30), 2 ** -75, tooSmall],
  ])("checks the stored value, not the given one: too %s only after rounding", (_name, given, stored, problem) => {
    expect(Math.fround(given)).toBe(stored);
    expect(narrowVector([stored, 0], 2)).toBe(problem);
    expect(narrowVector([given, 0], 2)).toBe(problem);
  });
});

describe("resolveProfile", () => {
  const embed = new RecordingEmbeddings();
  const named = (properties: object): EmbeddingsInterface => Object.assign(new RecordingEmbeddings(), properties);

  it("uses the profile of this library's own embedders, which add their prefixes themselves", () => {
    expect(resolveProfile(named({ profile, model: "outro" }), undefined, 1024)).toStrictEqual({
      profile,
      addsPrefixes: false,
    });
  });

  it("uses a LangChain embedder's name for its model", () => {
    const expected = {
      profile: {
        model: "bge-m3",
        dimensions: 1024,
        queryPrefix: "",
        documentPrefix: "",
        maxTokens: undefined,
      },
      addsPrefixes: true,
    };
    expect(resolveProfile(named({ model: "bge-m3", modelName: "outro" }), undefined, 1024)).toStrictEqual(expected);
    expect(resolveProfile(named({ modelName: "bge-m3" }), undefined, 1024)).toStrictEqual(expected);
  });

  it("prefers a given profile, and adds its prefixes", () => {
    const given = { model: "meu", dimensions: 3, queryPrefix: "q: ", documentPrefix: "d: ", maxTokens: 512 };
    expect(resolveProfile(named({ profile, model: "outro" }), given, 1024)).toStrictEqual({
      profile: given,
      addsPrefixes: true,
    });
  });

  it("fills in what a given profile leaves out", () => {
    expect(resolveProfile(named({ model: "bge-m3" }), { queryPrefix: "q: " }, 64)).toStrictEqual({
      profile: {
        model: "bge-m3",
        dimensions: 64,
        queryPrefix: "q: ",
        documentPrefix: "",
        maxTokens: undefined,
      },
      addsPrefixes: true,
    });
  });

  it.each([
    [embed, undefined],
    [named({ model: "" }), undefined],
    [named({ model: 7 }), undefined],
    [embed, { dimensions: 3 }],
    [named({ model: "bge-m3" }), { model: "" }],
  ])("refuses an embedder without a model name (%#)", (embeddings, given) => {
    expect(() => resolveProfile(embeddings, given, 1024)).toThrow(
      new InvalidArgumentError(
        "embeddings",
        'has no model name, which is recorded with the vectors: pass profile: { model: "..." }',
      ),
    );
  });
});
