import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { InvalidArgumentError } from "../src/errors.js";
import { canonicalMetadata, isBlank, storableText, INEXACT_INTEGER } from "../src/text.js";

/** What JSON can say and metadata takes: numbers up to 2^53 - 1. */
const exactJson = fc
  .json({ maxDepth: 2 })
  .map(
    (json) =>
      JSON.parse(json, (_key, value: unknown) =>
        typeof value === "number" && Math.abs(value) > Number.MAX_SAFE_INTEGER ? Math.sign(value) : value,
      ) as unknown,
  );

describe("storableText", () => {
  it("leaves a text without anything odd as it is", () => {
    const text = "Não há frete grátis: ação válida até 30/06 👍\r\n\tpreço R$ 10\uFFFD";
    expect(storableText(text)).toBe(text);
  });

  it("puts U+FFFD for each NUL", () => {
    expect(storableText("\0pra\0\0zo\0")).toBe("\uFFFDpra\uFFFD\uFFFDzo\uFFFD");
  });

  it("puts U+FFFD for lone surrogates", () => {
    expect(storableText("a\ud800b\udc00c\ud83d")).toBe("a\uFFFDb\uFFFDc\uFFFD");
  });

  it("keeps a surrogate pair whole", () => {
    expect(storableText("\ud83d\ude00\ude00")).toBe("😀\uFFFD");
  });

  it("keeps the place of every character that Postgres can hold", () => {
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
  it.each(["", " ", "\t\r\n\v\f", "\u00a0", "\u2003\u3000", "\ufeff", "\u2028\u2029"])(
    "takes %j for blank",
    (text) => {
      expect(isBlank(text)).toBe(true);
    },
  );

  it.each(["a", " é ", "\n.\n", "😀", "\0", "\uFFFD", "\u200b", "\ud800"])("takes %j for text", (text) => {
    expect(isBlank(text)).toBe(false);
  });
});

describe("canonicalMetadata", () => {
  it("orders keys at every depth and leaves the order of arrays", () => {
    const metadata = { grupo: "suporte", a: { z: 1, b: [3, { d: null, c: true }, 1] }, Z: "é" };
    expect(canonicalMetadata(metadata, "metadata")).toBe(
      '{"Z":"é","a":{"b":[3,{"c":true,"d":null},1],"z":1},"grupo":"suporte"}',
    );
  });

  it("gives the same text for the same object whatever the order of its keys", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), exactJson), (metadata) => {
        const reversed = Object.fromEntries(Object.entries(metadata).reverse());
        expect(canonicalMetadata(reversed, "metadata")).toBe(canonicalMetadata(metadata, "metadata"));
      }),
    );
  });

  it("writes what JSON reads back as the same object", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), exactJson, { noNullPrototype: true }), (metadata) => {
        const json = canonicalMetadata(metadata, "metadata");
        expect(JSON.parse(json)).toEqual(JSON.parse(JSON.stringify(metadata)));
      }),
    );
  });

  it("makes values and keys storable at every depth", () => {
    const metadata = { "a\0": "b\0", lista: ["\ud800", { "c\udc00": "😀" }] };
    expect(canonicalMetadata(metadata, "metadata")).toBe(
      '{"a\uFFFD":"b\uFFFD","lista":["\uFFFD",{"c\uFFFD":"😀"}]}',
    );
  });

  it("writes an empty object", () => {
    expect(canonicalMetadata({}, "metadata")).toBe("{}");
  });

  it("writes values as JSON does: no undefined, text for dates", () => {
    const metadata = { a: undefined, c: new Date(0), d: [undefined] };
    expect(canonicalMetadata(metadata, "metadata")).toBe('{"c":"1970-01-01T00:00:00.000Z","d":[null]}');
  });

  it("takes an object without a prototype, and one of a class, by their own keys", () => {
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

  it("keeps a key that is named as the prototype", () => {
    const metadata: unknown = JSON.parse('{"__proto__":{"admin":true},"a":1}');
    expect(canonicalMetadata(metadata, "metadata")).toBe('{"__proto__":{"admin":true},"a":1}');
  });

  it.each([null, undefined, "texto", 1, true, ["a"], () => ({})])(
    "refuses %j, which is no object",
    (metadata) => {
      expect(() => canonicalMetadata(metadata, "training.metadata")).toThrow(
        new InvalidArgumentError("training.metadata", "must be a plain object"),
      );
    },
  );

  it("refuses a cycle and keeps what JSON said of it", () => {
    const metadata: Record<string, unknown> = {};
    metadata["eu"] = metadata;
    const error = thrownBy(() => canonicalMetadata(metadata, "metadata"));
    expect(error).toEqual(
      new InvalidArgumentError("metadata", "cannot be written as JSON (a cycle, a Map?)", error.cause),
    );
    expect(error.cause).toBeInstanceOf(Error);
  });

  it.each([new Map([["a", 1]]), new Set([1]), /x/, new Uint8Array(2)])(
    "refuses %s inside, of which JSON would make an empty object",
    (value) => {
      expect(() => canonicalMetadata({ dentro: [{ de: value }] }, "metadata")).toThrow(InvalidArgumentError);
    },
  );

  it("keeps a date inside as JSON writes it", () => {
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
  ])("refuses what would not be stored as it is, and names %s", (path, metadata, problem) => {
    const error = thrownBy(() => canonicalMetadata(metadata, "metadata"));
    expect(error).toMatchObject({ option: path, message: `${path} ${problem}` });
  });

  it("takes the largest exact integers, fractions and null", () => {
    const metadata = { a: 2 ** 53 - 1, b: -(2 ** 53) + 1, c: 0.1, d: null, e: -0 };
    expect(canonicalMetadata(metadata, "metadata")).toBe(
      '{"a":9007199254740991,"b":-9007199254740991,"c":0.1,"d":null,"e":0}',
    );
  });

  it.each([
    ["a date", new Date(0)],
    ["a date with keys of its own", Object.assign(new Date(0), { tag: "a" })],
    ["a Map", new Map([["tag", "a"]])],
    ["a Set", new Set(["a"])],
    ["a WeakMap", new WeakMap()],
    ["a pattern", /a/g],
    ["an error", new Error("a")],
    ["a promise", Promise.resolve({ tag: "a" })],
    ["an address", new URL("http://localhost")],
    ["a typed array", Float32Array.of(1)],
    ["a Buffer", Buffer.from("a")],
    ["a boxed text", Object("a")],
    ["a boxed number", Object(1)],
    ["an object that turns into a list", { toJSON: () => [1] }],
    ["an object that turns into a text", { toJSON: () => "{" }],
    ["an object that turns into nothing", { toJSON: () => undefined }],
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
