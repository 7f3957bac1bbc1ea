import { Document } from "@langchain/core/documents";
import { describe, expect, it } from "vitest";
import { InvalidArgumentError } from "../../src/errors.js";
import { encodeRevision, normalizeTraining } from "../../src/chunking/training-input.js";
import type { Revision, Training } from "../../src/types.js";

const refusal = (option: string, problem: string): InvalidArgumentError => new InvalidArgumentError(option, problem);
const normalize = (training: unknown): unknown => normalizeTraining(training as Training, "text");
const splitProblem = "can only be given with documents";

describe("normalizeTraining", () => {
  it("normalizes a training with content", () => {
    const training = {
      id: "entregas",
      content: "O prazo é de três dias.",
      metadata: { tag: "entregas", grupo: "suporte" },
    };
    expect(normalizeTraining(training, "text")).toStrictEqual({
      id: "entregas",
      key: "entregas",
      revision: null,
      metadata: '{"grupo":"suporte","tag":"entregas"}',
      sources: [{ text: "O prazo é de três dias.", metadata: '{"grupo":"suporte","tag":"entregas"}', id: undefined }],
      split: true,
      header: "",
    });
  });

  it("keeps the given id beside the form that is sent to Postgres", () => {
    const { id, key } = normalizeTraining({ id: 42n, content: "Olá" }, "bigint");
    expect([id, key]).toEqual([42n, "42"]);
    const uuid = "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11";
    const training = normalizeTraining({ id: uuid, content: "Olá" }, "uuid");
    expect([training.id, training.key]).toEqual([uuid, uuid.toLowerCase()]);
  });

  it("has empty metadata when none is given", () => {
    const training = normalizeTraining({ id: "1", content: "Olá", metadata: undefined }, "text");
    expect(training.metadata).toBe("{}");
    expect(training.sources[0]?.metadata).toBe("{}");
  });

  it("writes the revision as text", () => {
    const { revision } = normalizeTraining({ id: "1", content: "Olá", revision: 7 }, "text");
    expect(revision).toBe("7");
  });

  it("accepts blank content", () => {
    expect(normalizeTraining({ id: "1", content: "" }, "text").sources).toHaveLength(1);
    expect(normalizeTraining({ id: "1", content: " \n" }, "text").sources[0]?.text).toBe(" \n");
  });

  it("makes texts and metadata storable", () => {
    const training = normalizeTraining({ id: "1", content: "a\0\ud800", metadata: { tag: "\0" } }, "text");
    expect(training.sources[0]?.text).toBe("a\uFFFD\uFFFD");
    expect(training.metadata).toBe('{"tag":"\uFFFD"}');
    const documents = normalizeTraining({ id: "1", documents: [{ pageContent: "b\0" }] }, "text");
    expect(documents.sources[0]?.text).toBe("b\uFFFD");
  });

  it("accepts every form of a document", () => {
    const training = normalizeTraining(
      {
        id: "1",
        documents: [
          new Document({ pageContent: "um", metadata: { pagina: 1 }, id: "d1" }),
          { pageContent: "dois" },
          { page_content: "três", metadata: { pagina: 3 }, id: null },
          '{"page_content":"quatro","metadata":{"pagina":4},"id":"d4","type":"Document"}',
        ],
      },
      "text",
    );
    expect(training.split).toBe(true);
    expect(training.sources).toStrictEqual([
      { text: "um", metadata: '{"pagina":1}', id: "d1" },
      { text: "dois", metadata: "{}", id: undefined },
      { text: "três", metadata: '{"pagina":3}', id: undefined },
      { text: "quatro", metadata: '{"pagina":4}', id: "d4" },
    ]);
  });

  it("lets a document's metadata override the training's", () => {
    const training = normalizeTraining(
      {
        id: "1",
        metadata: { tag: "entregas", grupo: "suporte" },
        documents: [{ pageContent: "a", metadata: { tag: "trocas" } }],
      },
      "text",
    );
    expect(training.metadata).toBe('{"grupo":"suporte","tag":"entregas"}');
    expect(training.sources[0]?.metadata).toBe('{"grupo":"suporte","tag":"trocas"}');
  });

  it("accepts an empty list of documents", () => {
    expect(normalizeTraining({ id: "1", documents: [] }, "text").sources).toEqual([]);
  });

  it("allows a repeated document id if documents are split", () => {
    const documents = [
      { pageContent: "a", id: "d" },
      { pageContent: "b", id: "d" },
    ];
    expect(normalizeTraining({ id: "1", documents }, "text").sources.map(({ id }) => id)).toEqual(["d", "d"]);
  });

  it("refuses a repeated document id if documents are not split", () => {
    const documents = [
      { pageContent: "a", id: "d" },
      { pageContent: "b" },
      { pageContent: "c" },
      { pageContent: "d", id: "d" },
    ];
    expect(() => normalizeTraining({ id: "1", documents, split: false }, "text", "trainings[3]")).toThrow(
      refusal("trainings[3].documents", "have the same id twice: with split: false each id names one chunk"),
    );
    const distinct = normalizeTraining({ id: "1", documents: documents.slice(0, 3), split: false }, "text");
    expect(distinct.split).toBe(false);
    expect(distinct.sources.map(({ id }) => id)).toEqual(["d", undefined, undefined]);
  });

  it.each([undefined, null, "texto", 7])("refuses %s, which is not an object", (training) => {
    expect(() => normalize(training)).toThrow(
      refusal("training", "must be an object, { id, content } or { id, documents }"),
    );
  });

  it("points to upsertTrainings when given a list", () => {
    expect(() => normalize([{ id: "a", content: "loja" }])).toThrow("upsertTrainings takes lists");
  });

  it.each([
    ["training.text", { id: "a", text: "loja" }, "known are id, content"],
    ["training.meta", { id: "a", content: "loja", meta: {} }, "did you mean metadata?"],
    ["training.filters", { id: "a", content: "loja", filters: undefined }, "known are"],
  ])("refuses the unknown property %s", (option, training, hint) => {
    expect(() => normalize(training)).toThrow(
      expect.objectContaining({ option, message: expect.stringContaining(hint) as string }) as Error,
    );
  });

  it("accepts other properties in documents", () => {
    const document = { pageContent: "loja", metadata: {}, type: "Document", lc: 1 };
    expect(normalize({ id: "a", documents: [document] })).toMatchObject({ sources: [{ text: "loja" }] });
  });

  it("names the faulty property under the caller's name for the training", () => {
    expect(() => normalizeTraining({ id: "", content: "Olá" }, "text", "trainings[2]")).toThrow(
      refusal("trainings[2].id", "must not be empty or blank"),
    );
    expect(() => normalizeTraining({ id: "1", content: 5 as never }, "text", "trainings[2]")).toThrow(
      refusal("trainings[2].content", "must be a string"),
    );
  });

  it.each<[string, unknown, string, string]>([
    [
      "an id of another type",
      { id: 5, content: "a" },
      "training.id",
      'is a number, but this index stores ids as text: pass a string, or migrate with idType "bigint"',
    ],
    ["a missing id", { content: "a" }, "training.id", "must be a string"],
    [
      "a revision that is NaN",
      { id: "1", content: "a", revision: Number.NaN },
      "training.revision",
      "must be a finite number, a bigint or a valid Date",
    ],
    ["metadata that is a list", { id: "1", content: "a", metadata: [] }, "training.metadata", "must be a plain object"],
    [
      "metadata that is a string",
      { id: "1", content: "a", metadata: "x" },
      "training.metadata",
      "must be a plain object",
    ],
    [
      "metadata that is a Map",
      { id: "1", content: "a", metadata: new Map([["tag", "a"]]) },
      "training.metadata",
      "must be a plain object",
    ],
    [
      "metadata that is a Date, beside documents",
      { id: "1", documents: [], metadata: new Date(0) },
      "training.metadata",
      "must be a plain object",
    ],
    ["split: true with content", { id: "1", content: "a", split: true }, "training.split", splitProblem],
    ["split: false with content", { id: "1", content: "a", split: false }, "training.split", splitProblem],
    ["split that is null with content", { id: "1", content: "a", split: null }, "training.split", splitProblem],
    ["split with neither content nor documents", { id: "1", split: false }, "training.split", splitProblem],
    [
      "content and documents and split",
      { id: "1", content: "a", documents: [], split: true },
      "training",
      "must have either content or documents, not both",
    ],
    [
      "content and documents",
      { id: "1", content: "a", documents: [] },
      "training",
      "must have either content or documents, not both",
    ],
    ["neither content nor documents", { id: "1" }, "training.content", "must be a string"],
    ["content that is null", { id: "1", content: null }, "training.content", "must be a string"],
    ["documents that are null", { id: "1", documents: null }, "training.documents", "must be an array"],
    ["documents that are not a list", { id: "1", documents: { 0: "a" } }, "training.documents", "must be an array"],
    [
      "a document that is null",
      { id: "1", documents: [null] },
      "training.documents[0]",
      "must be a document: { pageContent, metadata }",
    ],
    [
      "a document that is a number",
      { id: "1", documents: [{ pageContent: "a" }, 7] },
      "training.documents[1]",
      "must be a document: { pageContent, metadata }",
    ],
    [
      "a document that is the JSON null",
      { id: "1", documents: ["null"] },
      "training.documents[0]",
      "must be a document: { pageContent, metadata }",
    ],
    [
      "a document that is a JSON string",
      { id: "1", documents: ['"a"'] },
      "training.documents[0]",
      "must be a document: { pageContent, metadata }",
    ],
    [
      "a document that is plain text",
      { id: "1", documents: ["Olá, mundo"] },
      "training.documents[0]",
      "is a string, but not valid JSON of a document",
    ],
    [
      "a document without a text",
      { id: "1", documents: [{ metadata: {} }] },
      "training.documents[0]",
      "must have a pageContent or page_content that is a string",
    ],
    [
      "a document whose text is a number",
      { id: "1", documents: [{ pageContent: 7 }] },
      "training.documents[0]",
      "must have a pageContent or page_content that is a string",
    ],
    [
      "metadata of a document that is a list",
      { id: "1", documents: [{ pageContent: "a", metadata: [1] }] },
      "training.documents[0].metadata",
      "must be a plain object",
    ],
    [
      "metadata of a document that is a Set",
      { id: "1", documents: [{ pageContent: "a" }, { pageContent: "b", metadata: new Set(["a"]) }] },
      "training.documents[1].metadata",
      "must be a plain object",
    ],
    [
      "metadata of a Python document that is a list",
      { id: "1", documents: ['{"page_content":"a","metadata":["a"]}'] },
      "training.documents[0].metadata",
      "must be a plain object",
    ],
    [
      "an id of a document that is a number",
      { id: "1", documents: [{ pageContent: "a", id: 7 }] },
      "training.documents[0].id",
      "must be a string",
    ],
    [
      "an id of a document that is zero",
      { id: "1", documents: [{ pageContent: "a", id: 0 }], split: false },
      "training.documents[0].id",
      "must be a string",
    ],
    [
      "an id of a document that is a bigint",
      { id: "1", documents: [{ pageContent: "a" }, { pageContent: "b", id: 7n }] },
      "training.documents[1].id",
      "must be a string",
    ],
    [
      "an id of a document that is false",
      { id: "1", documents: [{ page_content: "a", id: false }] },
      "training.documents[0].id",
      "must be a string",
    ],
    [
      "an id of a document that is an object",
      { id: "1", documents: [{ pageContent: "a", id: { toString: () => "d1" } }] },
      "training.documents[0].id",
      "must be a string",
    ],
    [
      "an id of a Python document that is a number",
      { id: "1", documents: ['{"page_content":"a","id":7}'] },
      "training.documents[0].id",
      "must be a string",
    ],
    [
      "an empty id of a document",
      { id: "1", documents: [{ pageContent: "a", id: "" }] },
      "training.documents[0].id",
      "must not be empty or blank",
    ],
    [
      "NUL in the id of a document",
      { id: "1", documents: [{ pageContent: "a", id: "a\0" }] },
      "training.documents[0].id",
      "must not hold NUL or a lone surrogate",
    ],
  ])("refuses %s", (_name, training, option, problem) => {
    expect(() => normalize(training)).toThrow(refusal(option, problem));
  });

  it("keeps the SyntaxError of unreadable JSON as the cause", () => {
    expect.assertions(1);
    try {
      normalize({ id: "1", documents: ["{"] });
    } catch (error) {
      expect((error as Error).cause).toBeInstanceOf(SyntaxError);
    }
  });

  it("treats split: undefined as left out, with content and with documents", () => {
    const content = { id: "1", content: "a", split: undefined } as never;
    expect(normalizeTraining(content, "text").split).toBe(true);
    expect(normalizeTraining({ id: "1", documents: [], split: undefined }, "text").split).toBe(true);
  });

  it("names split under the caller's name for the training", () => {
    const training = { id: "1", content: "a", split: true } as never;
    expect(() => normalizeTraining(training, "text", "trainings[2]")).toThrow(
      refusal("trainings[2].split", splitProblem),
    );
  });

  it("requires document ids to be strings, whatever the type of training ids", () => {
    const training = normalizeTraining({ id: 1, documents: [{ pageContent: "a", id: "doc-1" }] }, "integer");
    expect(training.sources[0]?.id).toBe("doc-1");
    expect(() => normalizeTraining({ id: 1, documents: [{ pageContent: "a", id: 7 as never }] }, "integer")).toThrow(
      refusal("training.documents[0].id", "must be a string"),
    );
  });
});

describe("normalizeTraining with a header", () => {
  const training: Training = { id: "1", content: "Olá", metadata: { tag: "trocas" } };
  const headerOf = (headed: Training, returned: unknown): string =>
    normalizeTraining(headed, "text", "training", () => returned as string).header;

  it("calls the header function once, with the given training", () => {
    const asked: Training[] = [];
    const { header } = normalizeTraining(training, "text", "training", (given) => {
      asked.push(given);
      return `Assunto: ${String(given.metadata?.["tag"])}`;
    });
    expect(header).toBe("Assunto: trocas");
    expect(asked).toEqual([training]);
    expect(asked[0]).toBe(training);
  });

  it("calls it for documents too", () => {
    expect(headerOf({ id: "1", documents: [{ pageContent: "Olá" }] }, "Loja")).toBe("Loja");
    expect(headerOf({ id: "1", documents: [], split: false }, "Loja")).toBe("Loja");
  });

  it("trims the header", () => {
    expect(headerOf(training, " \nLoja\nTrocas\u00a0\r\n")).toBe("Loja\nTrocas");
  });

  it.each(["", " ", "\n\t\u00a0"])("treats the blank header %j as none", (header) => {
    expect(headerOf(training, header)).toBe("");
  });

  it("makes the header storable", () => {
    expect(headerOf(training, "Lo\0ja \ud800")).toBe("Lo\uFFFDja \uFFFD");
  });

  it.each([undefined, null, 7, ["Loja"], {}, Promise.resolve("Loja")])(
    "refuses the header %o, which is not a string",
    (header) => {
      expect(() => headerOf(training, header)).toThrow(refusal("header", "must return a string"));
    },
  );

  it("names a header function that throws", () => {
    const failure = new Error("sem assunto");
    const failing = (): string => {
      throw failure;
    };
    expect(() => normalizeTraining(training, "text", "training", failing)).toThrow(
      new InvalidArgumentError("header", "threw an error, see the cause of this one", failure),
    );
  });

  const throwing = (): never => {
    throw new TypeError("segredo");
  };
  const { proxy: revoked, revoke } = Proxy.revocable({}, {});
  revoke();
  const cycle: Record<string, unknown> = {};
  cycle["self"] = cycle;
  it.each<[string, unknown]>([
    ["a getter throws", Object.defineProperty({ id: "1" }, "content", { get: throwing })],
    ["it is a proxy that throws", new Proxy({ id: "1" }, { get: throwing })],
    ["it is a proxy that was revoked", revoked],
    [
      "metadata has a getter that throws",
      {
        id: "1",
        content: "a",
        metadata: {
          a: {
            get b() {
              return throwing();
            },
          },
        },
      },
    ],
    ["metadata is a proxy that was revoked", { id: "1", content: "a", metadata: revoked }],
    [
      "metadata contains a proxy that throws",
      { id: "1", content: "a", metadata: { a: new Proxy({}, { ownKeys: throwing }) } },
    ],
    ["metadata has a toJSON that throws", { id: "1", content: "a", metadata: { a: { toJSON: throwing } } }],
    [
      "metadata has a Symbol.toStringTag that throws",
      {
        id: "1",
        content: "a",
        metadata: {
          get [Symbol.toStringTag]() {
            return throwing();
          },
        },
      },
    ],
    ["metadata contains itself", { id: "1", content: "a", metadata: cycle }],
    ["metadata contains a bigint", { id: "1", content: "a", metadata: { a: 1n } }],
    [
      "a document has a getter that throws",
      {
        id: "1",
        documents: [
          {
            get pageContent() {
              return throwing();
            },
          },
        ],
      },
    ],
    ["documents are a proxy that throws", { id: "1", documents: new Proxy([], { get: throwing }) }],
    [
      "a document's metadata throws",
      {
        id: "1",
        documents: [
          {
            pageContent: "a",
            get metadata() {
              return throwing();
            },
          },
        ],
      },
    ],
    [
      "its revision throws",
      {
        id: "1",
        content: "a",
        get revision() {
          return throwing();
        },
      },
    ],
  ])("throws a typed error when %s", (_name, given) => {
    const thrown = thrownBy(() => normalizeTraining(given as Training, "text"));
    expect(thrown).toBeInstanceOf(InvalidArgumentError);
    expect((thrown as InvalidArgumentError).option).toMatch(/^training/);
    expect((thrown as Error).message).not.toContain("segredo");
  });

  it("accepts an instance of a class with getters", () => {
    class Row {
      readonly id = "1";
      get content(): string {
        return `Olá ${this.id}`;
      }
    }
    expect(normalizeTraining(new Row(), "text").sources).toMatchObject([{ text: "Olá 1" }]);
  });

  function thrownBy(action: () => unknown): unknown {
    try {
      action();
    } catch (error) {
      return error;
    }
    return undefined;
  }

  it.each<[string, unknown]>([
    ["an id", { ...training, id: "" }],
    ["metadata", { ...training, metadata: [] }],
    ["content", { ...training, content: 7 }],
    ["documents", { id: "1", documents: [null] }],
    [
      "repeated ids",
      {
        id: "1",
        documents: [
          { pageContent: "a", id: "d" },
          { pageContent: "b", id: "d" },
        ],
        split: false,
      },
    ],
  ])("does not call the header function for a training refused for its %s", (_name, refused) => {
    let asked = 0;
    const header = (): string => `${++asked}`;
    expect(() => normalizeTraining(refused as Training, "text", "training", header)).toThrow(InvalidArgumentError);
    expect(asked).toBe(0);
  });
});

describe("encodeRevision", () => {
  it.each<[Revision, string]>([
    [0, "0"],
    [-3, "-3"],
    [1.5, "1.5"],
    [Number.MAX_SAFE_INTEGER, "9007199254740991"],
    [2n ** 80n, "1208925819614629174706176"],
    [new Date("2024-05-01T12:00:00.250Z"), "1714564800250"],
    [new Date(0), "0"],
  ])("writes %s as %s", (revision, text) => {
    expect(encodeRevision(revision, "revision")).toBe(text);
  });

  it("returns null without a revision", () => {
    expect(encodeRevision(undefined, "revision")).toBeNull();
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, new Date(Number.NaN), "1", null, {}, true])(
    "refuses %s",
    (revision) => {
      expect(() => encodeRevision(revision as never, "training.revision")).toThrow(
        refusal("training.revision", "must be a finite number, a bigint or a valid Date"),
      );
    },
  );
});
