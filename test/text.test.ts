import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { InvalidArgumentError } from "../src/errors.js";
import { canonicalMetadata, isBlank, storableText, INEXACT_INTEGER } from "../src/text.js";

/** JSON values that metadata accepts: numbers up to 2^53 - 1. */
const exactJson = fc
  .json({ maxDepth: 2 })
  .map(
    (json) =>
      JSON.parse(json, (_key, value: unknown) =>
        typeof value === "number" && Math.abs(value) > Number.MAX_SAFE_INTEGER ? Math.sign(value) : value,
      ) as unknown,
  );

describe("storableText", () => {
  it("leaves an ordinary text unchanged", () => {
    const text = "Não há frete grátis: ação válida até 30/06 👍\r\n\tpreço R$ 10\uFFFD";
    expect(storableText(text)).toBe(text);
  });

  it("replaces each NUL by U+FFFD", () => {
    expect(storableText("\0pra\0\0zo\0")).toBe("\uFFFDpra\uFFFD\uFFFDzo\uFFFD");
  });

  it("replaces lone surrogates by U+FFFD", () => {
    expect(storableText("a\ud800b\udc00c\ud83d")).toBe("a\uFFFDb\uFFFDc\uFFFD");
  });

  it("keeps surrogate pairs", () => {
    expect(storableText("\ud83d\ude00\ude00")).toBe("😀\uFFFD");
  });

  it("keeps the offset of every character that Postgres can store", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "binary" }),
        fc.string({ unit: fc.constantFrom("\ud800", "\udfff", "\0", "ã") }),
        (some, odd) => {
          const text = some + odd;
          const stored = storableText(text);
          expect(stored).toHaveLength(text.length);
          expect(stored.isWellFormed()).toBe(true);
          expect(stored).not.toContain("\0");
          for (let index = 0; index < text.length; index++) {
            expect([text.charAt(index), "\uFFFD"]).toContain(stored.charAt(index));
          }
        },
      ),
    );
  });
});

describe("isBlank", () => {
  it.each(["", " ", "\t\r\n\v\f", "\u00a0", "\u2003\u3000", "\ufeff", "\u2028\u2029"])("is true for %j", (text) => {
    expect(isBlank(text)).toBe(true);
  });

  it.each(["a", " é ", "\n.\n", "😀", "\0", "\uFFFD", "\u200b", "\ud800"])("is false for %j", (text) => {
    expect(isBlank(text)).toBe(false);
  });
});

describe("canonicalMetadata", () => {
  it("sorts keys at every depth and keeps the order of arrays", () => {
    const metadata = { grupo: "suporte", a: { z: 1, b: [3, { d: null, c: true }, 1] }, Z: "é" };
    expect(canonicalMetadata(metadata, "metadata")).toBe(
      '{"Z":"é","a":{"b":[3,{"c":true,"d":null},1],"z":1},"grupo":"suporte"}',
    );
  });

  it("does not depend on the order of keys", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), exactJson), (metadata) => {
        const reversed = Object.fromEntries(Object.entries(metadata).reverse());
        expect(canonicalMetadata(reversed, "metadata")).toBe(canonicalMetadata(metadata, "metadata"));
      }),
    );
  });

  it("writes JSON that parses to the same object", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), exactJson, { noNullPrototype: true }), (metadata) => {
        const json = canonicalMetadata(metadata, "metadata");
        expect(JSON.parse(json)).toEqual(JSON.parse(JSON.stringify(metadata)));
      }),
    );
  });

  it("makes values and keys storable at every depth", () => {
    const metadata = { "a\0": "b\0", lista: ["\ud800", { "c\udc00": "😀" }] };
    expect(canonicalMetadata(metadata, "metadata")).toBe('{"a\uFFFD":"b\uFFFD","lista":["\uFFFD",{"c\uFFFD":"😀"}]}');
  });

  it("writes an empty object", () => {
    expect(canonicalMetadata({}, "metadata")).toBe("{}");
  });

  it("writes values as JSON does: omits undefined, writes dates as strings", () => {
    const metadata = { a: undefined, c: new Date(0), d: [undefined] };
    expect(canonicalMetadata(metadata, "metadata")).toBe('{"c":"1970-01-01T00:00:00.000Z","d":[null]}');
  });

  it("writes the own keys of class instances and of objects without a prototype", () => {
    const bare = Object.assign(Object.create(null) as object, { b: 1, a: 2 });
    expect(canonicalMetadata(bare, "metadata")).toBe('{"a":2,"b":1}');
    class Tagged {
      readonly tag = "a";
      get grupo(): string {
        return this.tag.repeat(2);
      }
    }
    expect(canonicalMetadata(new Tagged(), "metadata")).toBe('{"tag":"a"}');
  });

  it("keeps the key __proto__", () => {
    const metadata: unknown = JSON.parse('{"__proto__":{"admin":true},"a":1}');
    expect(canonicalMetadata(metadata, "metadata")).toBe('{"__proto__":{"admin":true},"a":1}');
  });

  it.each([null, undefined, "texto", 1, true, ["a"], () => ({})])("refuses %j, which is not an object", (metadata) => {
    expect(() => canonicalMetadata(metadata, "training.metadata")).toThrow(
      new InvalidArgumentError("training.metadata", "must be a plain object"),
    );
  });

  it("refuses a cycle and keeps the error of JSON.stringify as the cause", () => {
    const metadata: Record<string, unknown> = {};
    metadata["eu"] = metadata;
    const error = thrownBy(() => canonicalMetadata(metadata, "metadata"));
    expect(error).toEqual(
      new InvalidArgumentError("metadata", "cannot be written as JSON (a cycle, a Map?)", error.cause),
    );
    expect(error.cause).toBeInstanceOf(Error);
  });

  it.each([new Map([["a", 1]]), new Set([1]), /x/, new Uint8Array(2)])(
    "refuses a nested %s, which JSON would write as an empty object",
    (value) => {
      expect(() => canonicalMetadata({ dentro: [{ de: value }] }, "metadata")).toThrow(InvalidArgumentError);
    },
  );

  it("writes a nested date as JSON does", () => {
    expect(canonicalMetadata({ em: new Date(0) }, "metadata")).toBe('{"em":"1970-01-01T00:00:00.000Z"}');
  });

  it.each<[string, unknown, string]>([
    ["metadata.conta", { conta: Number("9007199254740993") }, INEXACT_INTEGER],
    ["metadata.conta", { conta: -(2 ** 53) }, INEXACT_INTEGER],
    ["metadata.conta", { conta: 1e300 }, INEXACT_INTEGER],
    ["metadata.conta", { conta: 10n }, INEXACT_INTEGER],
    ["metadata.loja.contas[1].numero", { loja: { contas: [1, { numero: 2 ** 60 }] } }, INEXACT_INTEGER],
    ["metadata.contas[2]", { a: "x", contas: [1, 2, 2 ** 53] }, INEXACT_INTEGER],
    ["metadata.preco", { preco: Number.NaN }, "must be a finite number"],
    ["metadata.precos[0]", { precos: [Number.NEGATIVE_INFINITY] }, "must be a finite number"],
    ["metadata.dia", { dia: new Date(Number.NaN) }, "must be a valid Date"],
  ])("refuses a value that would not be stored exactly, and names %s", (path, metadata, problem) => {
    const error = thrownBy(() => canonicalMetadata(metadata, "metadata"));
    expect(error).toMatchObject({ option: path, message: `${path} ${problem}` });
  });

  it("accepts the largest exact integers, fractions and null", () => {
    const metadata = { a: 2 ** 53 - 1, b: -(2 ** 53) + 1, c: 0.1, d: null, e: -0 };
    expect(canonicalMetadata(metadata, "metadata")).toBe(
      '{"a":9007199254740991,"b":-9007199254740991,"c":0.1,"d":null,"e":0}',
    );
  });

  it.each([
    ["a date", new Date(0)],
    ["a date with own keys", Object.assign(new Date(0), { tag: "a" })],
    ["a Map", new Map([["tag", "a"]])],
    ["a Set", new Set(["a"])],
    ["a WeakMap", new WeakMap()],
    ["a regular expression", /a/g],
    ["an error", new Error("a")],
    ["a promise", Promise.resolve({ tag: "a" })],
    ["a URL", new URL("http://localhost")],
    ["a typed array", Float32Array.of(1)],
    ["a Buffer", Buffer.from("a")],
    ["a boxed string", Object("a")],
    ["a boxed number", Object(1)],
    ["an object whose toJSON returns a list", { toJSON: () => [1] }],
    ["an object whose toJSON returns a string", { toJSON: () => "{" }],
    ["an object whose toJSON returns undefined", { toJSON: () => undefined }],
  ])("refuses %s", (_name, metadata) => {
    expect(() => canonicalMetadata(metadata, "metadata")).toThrow(
      new InvalidArgumentError("metadata", "must be a plain object"),
    );
  });
});

function thrownBy(call: () => unknown): InvalidArgumentError {
  try {
    call();
  } catch (error) {
    if (error instanceof InvalidArgumentError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}
