import { describe, expect, it } from "vitest";
import {
  compareChunks,
  groupBy,
  StalePreparation,
  type Difference,
  type PlannedTraining,
  type StoredChunk,
} from "../../src/storing/chunk-difference.js";
import type { PlannedChunk } from "../../src/chunking/chunk-plan.js";

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** A chunk whose hash is its text, to keep the tests readable. */
function chunk(content: string, id?: string): PlannedChunk {
  return { content, metadata: "{}", hash: content, id, vector: undefined, start: 0, end: content.length };
}

function training(key: string, ...chunks: PlannedChunk[]): PlannedTraining {
  return {
    key,
    ticket: "1",
    revision: null,
    metadata: "{}",
    fingerprint: "",
    splitter: "",
    chunks,
    stored: undefined,
  };
}

const row = (key: string, id: string, hash: string, metadata = "{}"): StoredChunk => ({
  key,
  id,
  hash,
  metadata,
  given_content: null,
});
const vectorsOf = (...hashes: string[]): Map<string, Float32Array> =>
  new Map(hashes.map((hash) => [hash, Float32Array.of(1)]));
const shown = (placed: Difference["added"]): string[] =>
  placed.map(({ key, id, chunk: { content } }) => `${key}/${id}: ${content}`);

describe("compareChunks", () => {
  it("adds every chunk of a new training, each under an id of its own", () => {
    const planned = training("t", chunk("um"), chunk("dois"));
    const { copied, added, kept, removed, ids } = compareChunks([planned], [], vectorsOf("um", "dois"));
    expect(added.map(({ key, chunk: { content } }) => [key, content])).toEqual([
      ["t", "um"],
      ["t", "dois"],
    ]);
    for (const { id } of added) expect(id).toMatch(UUID);
    expect(added[0]?.id).not.toBe(added[1]?.id);
    expect([copied, kept, removed]).toEqual([[], [], []]);
    expect(ids.get(planned)).toEqual(added.map(({ id }) => id));
  });

  it("keeps rows whose text remains, in the new order, and removes the others", () => {
    const planned = training("t", chunk("três"), chunk("um"));
    const stored = [row("t", "a", "um"), row("t", "b", "dois"), row("t", "c", "três")];
    const { copied, added, kept, removed, ids } = compareChunks([planned], stored, vectorsOf());
    expect([copied, added]).toEqual([[], []]);
    expect(shown(kept)).toEqual(["t/c: três", "t/a: um"]);
    expect(removed).toEqual([row("t", "b", "dois")]);
    expect(ids.get(planned)).toEqual(["c", "a"]);
  });

  it("keeps a row even if a vector for its text is given", () => {
    const { copied, added, kept } = compareChunks([training("t", chunk("um"))], [row("t", "a", "um")], vectorsOf("um"));
    expect([copied, added, shown(kept)]).toEqual([[], [], ["t/a: um"]]);
  });

  it("rewrites a row with its own vector if only its line breaks changed", () => {
    const given: PlannedChunk = { ...chunk("um\r\ndois"), hash: "x" };
    const stored = [row("t", "a", "x")];
    const there = compareChunks([training("t", given)], stored, vectorsOf());
    expect([shown(there.copied), there.kept, there.removed]).toEqual([["t/a: um\r\ndois"], [], []]);
    const storedRows = [{ ...row("t", "a", "x"), given_content: "um\r\ndois" }];
    const same = compareChunks([training("t", given)], storedRows, vectorsOf());
    expect([same.copied, shown(same.kept)]).toEqual([[], ["t/a: um\r\ndois"]]);
    const back = compareChunks([training("t", { ...chunk("um\ndois"), hash: "x" })], storedRows, vectorsOf());
    expect([shown(back.copied), back.kept, back.removed]).toEqual([["t/a: um\ndois"], [], []]);
  });

  it("removes all rows of a training without chunks", () => {
    const planned = training("t");
    const { removed, ids } = compareChunks([planned], [row("t", "a", "um")], vectorsOf());
    expect(removed).toEqual([row("t", "a", "um")]);
    expect(ids.get(planned)).toEqual([]);
  });

  it("keeps a row for one chunk only; a repeated text gets its own row", () => {
    const planned = training("t", chunk("um"), chunk("um"));
    const { copied, added, kept, ids } = compareChunks([planned], [row("t", "a", "um")], vectorsOf());
    expect(shown(kept)).toEqual(["t/a: um"]);
    expect(copied.map(({ key, chunk: { content } }) => [key, content])).toEqual([["t", "um"]]);
    expect(copied[0]?.id).toMatch(UUID);
    expect(added).toEqual([]);
    expect(ids.get(planned)).toEqual(["a", copied[0]?.id]);
  });

  it("adds a repeated text, rather than copy it, if a vector for it is given", () => {
    const planned = training("t", chunk("um"), chunk("um"), chunk("um", "b"));
    const { copied, added, kept, ids } = compareChunks([planned], [row("t", "a", "um")], vectorsOf("um"));
    expect(shown(kept)).toEqual(["t/a: um"]);
    expect(copied).toEqual([]);
    expect(shown(added)).toEqual([`t/${added[0]?.id}: um`, "t/b: um"]);
    expect(ids.get(planned)).toEqual(["a", added[0]?.id, "b"]);
  });

  it("removes surplus rows of a text that is stored more often than planned", () => {
    const stored = [row("t", "a", "um"), row("t", "b", "um"), row("t", "c", "um")];
    const { kept, removed } = compareChunks([training("t", chunk("um"))], stored, vectorsOf());
    expect(shown(kept)).toEqual(["t/a: um"]);
    expect(removed.map(({ id }) => id)).toEqual(["b", "c"]);
  });

  it("never takes a row of another training", () => {
    const planned = training("t", chunk("um"));
    const { added, kept, removed } = compareChunks([planned], [row("outro", "a", "um")], vectorsOf("um"));
    expect(added).toHaveLength(1);
    expect([kept, removed]).toEqual([[], []]);
  });

  it("compares several trainings, each with its own rows", () => {
    const [one, two] = [training("t1", chunk("um")), training("t2", chunk("um"), chunk("dois"))];
    const stored = [row("t2", "b", "um"), row("t1", "a", "um"), row("t1", "x", "velho")];
    const { added, kept, removed, ids } = compareChunks([one, two], stored, vectorsOf("dois"));
    expect(shown(kept)).toEqual(["t1/a: um", "t2/b: um"]);
    expect(added.map(({ key, chunk: { content } }) => [key, content])).toEqual([["t2", "dois"]]);
    expect(removed).toEqual([row("t1", "x", "velho")]);
    expect([ids.get(one), ids.get(two)]).toEqual([["a"], ["b", added[0]?.id]]);
  });

  it("has nothing to do without trainings", () => {
    const difference = compareChunks([], [row("t", "a", "um")], vectorsOf());
    expect(difference).toEqual({
      copied: [],
      added: [],
      replaced: [],
      kept: [],
      metadataChanged: [],
      removed: [],
      ids: new Map(),
    });
  });

  it("gives a chunk the id that the caller chose", () => {
    const planned = training("t", chunk("um", "meu-id"));
    const { added, ids } = compareChunks([planned], [], vectorsOf("um"));
    expect(shown(added)).toEqual(["t/meu-id: um"]);
    expect(ids.get(planned)).toEqual(["meu-id"]);
  });

  it("keeps a row with the chosen id and the same text", () => {
    const stored = [row("t", "a", "um"), row("t", "b", "um")];
    const difference = compareChunks([training("t", chunk("um", "b"))], stored, vectorsOf());
    const { copied, added, kept, removed } = difference;
    expect([copied, added, shown(kept)]).toEqual([[], [], ["t/b: um"]]);
    expect(removed).toEqual([row("t", "a", "um")]);
  });

  it("replaces a row whose id the caller chose for another text, and does not count it as removed", () => {
    const { copied, added, replaced, removed } = compareChunks(
      [training("t", chunk("dois", "a"))],
      [row("t", "a", "um")],
      vectorsOf("dois"),
    );
    expect(shown(added)).toEqual(["t/a: dois"]);
    expect(replaced).toEqual([row("t", "a", "um")]);
    expect([copied, removed]).toEqual([[], []]);
  });

  it("does not replace a row of one training for an id that another one adds", () => {
    const planned = [training("t1", chunk("novo", "a")), training("t2", chunk("um", "a"), chunk("um", "b"))];
    const stored = [row("t2", "a", "velho"), row("t2", "c", "um")];
    const { copied, added, replaced, removed } = compareChunks(planned, stored, vectorsOf("novo"));
    expect(shown(added)).toEqual(["t1/a: novo"]);
    expect(shown(copied)).toEqual(["t2/a: um", "t2/b: um"]);
    expect(replaced).toEqual([]);
    expect(removed).toEqual([row("t2", "c", "um")]);
  });

  it("distinguishes kept from changed metadata, whatever format Postgres returns", () => {
    const canonical = { ...chunk("um"), metadata: '{"a":{"c":[1,2.5]},"b":1}' };
    const other = { ...chunk("dois"), metadata: '{"a":2}' };
    const stored = [row("t", "x", "um", '{"a": {"c": [1, 2.5]}, "b": 1}'), row("t", "y", "dois", '{"a": 1}')];
    const { kept, metadataChanged } = compareChunks([training("t", canonical, other)], stored, vectorsOf());
    expect(shown(kept)).toEqual(["t/x: um"]);
    expect(shown(metadataChanged)).toEqual(["t/y: dois"]);
  });

  it("copies a text to a chosen id under which it is not stored", () => {
    const { copied, added, kept, removed } = compareChunks(
      [training("t", chunk("um", "novo"))],
      [row("t", "a", "um")],
      vectorsOf(),
    );
    expect(shown(copied)).toEqual(["t/novo: um"]);
    expect([added, kept]).toEqual([[], []]);
    expect(removed).toEqual([row("t", "a", "um")]);
  });

  it("keeps a row for the chunk that asks for its id, whatever chunks precede it", () => {
    const planned = training("t", chunk("um"), chunk("um", "a"));
    const { copied, added, kept, ids } = compareChunks([planned], [row("t", "a", "um")], vectorsOf());
    expect(shown(kept)).toEqual(["t/a: um"]);
    expect(copied.map(({ chunk: { content } }) => content)).toEqual(["um"]);
    expect(copied[0]?.id).toMatch(UUID);
    expect(added).toEqual([]);
    expect(ids.get(planned)).toEqual([copied[0]?.id, "a"]);
  });

  it("copies a text whose row a new text replaces", () => {
    const planned = training("t", chunk("dois", "a"), chunk("um", "b"));
    const { copied, added, kept, removed } = compareChunks([planned], [row("t", "a", "um")], vectorsOf("dois"));
    expect(shown(copied)).toEqual(["t/b: um"]);
    expect(shown(added)).toEqual(["t/a: dois"]);
    expect([kept, removed]).toEqual([[], []]);
  });

  it("copies both texts of two chunks that swap their ids", () => {
    const stored = [row("t", "a", "um"), row("t", "b", "dois")];
    const planned = training("t", chunk("dois", "a"), chunk("um", "b"));
    const { copied, added, kept, removed, ids } = compareChunks([planned], stored, vectorsOf());
    expect(shown(copied)).toEqual(["t/a: dois", "t/b: um"]);
    expect([added, kept, removed]).toEqual([[], [], []]);
    expect(ids.get(planned)).toEqual(["a", "b"]);
  });

  it("copies texts in the order of the chunks, even if they replace each other's sources", () => {
    // A list with numbered ids loses its first entry: each text moves to the previous id.
    const stored = [row("t", "faq-0", "um"), row("t", "faq-1", "dois"), row("t", "faq-2", "três")];
    const planned = training("t", chunk("dois", "faq-0"), chunk("três", "faq-1"));
    const { copied, added, removed } = compareChunks([planned], stored, vectorsOf());
    expect(shown(copied)).toEqual(["t/faq-0: dois", "t/faq-1: três"]);
    expect(added).toEqual([]);
    expect(removed).toEqual([row("t", "faq-2", "três")]);
    // A new first entry: each text moves to the next id.
    const grown = training("t", chunk("zero", "faq-0"), chunk("um", "faq-1"), chunk("dois", "faq-2"));
    const other = compareChunks([grown], stored, vectorsOf("zero"));
    expect(shown(other.copied)).toEqual(["t/faq-1: um", "t/faq-2: dois"]);
    expect(shown(other.added)).toEqual(["t/faq-0: zero"]);
    expect([other.kept, other.removed]).toEqual([[], []]);
  });

  it("copies texts of several trainings, each from its own rows", () => {
    const trainings = [training("t1", chunk("um", "b")), training("t2", chunk("um", "a"))];
    const stored = [row("t1", "a", "um"), row("t2", "b", "um")];
    const { copied, added, removed } = compareChunks(trainings, stored, vectorsOf());
    expect(shown(copied)).toEqual(["t1/b: um", "t2/a: um"]);
    expect(added).toEqual([]);
    expect(removed).toEqual(stored);
  });

  it("refuses a text with neither a given vector nor a row", () => {
    const call = (): unknown => compareChunks([training("t", chunk("dois"))], [row("t", "a", "um")], vectorsOf());
    expect(call).toThrow(StalePreparation);
  });

  it("refuses a text whose only row belongs to another training", () => {
    const trainings = [training("t1", chunk("um")), training("t2", chunk("um"))];
    expect(() => compareChunks(trainings, [row("t1", "a", "um")], vectorsOf())).toThrow(StalePreparation);
  });
});

describe("groupBy", () => {
  it("groups items by key, in their order", () => {
    const groups = groupBy(["ana", "bia", "ari", "caio", "beto"], (name) => name.charAt(0));
    expect([...groups]).toEqual([
      ["a", ["ana", "ari"]],
      ["b", ["bia", "beto"]],
      ["c", ["caio"]],
    ]);
  });

  it("has no groups without items", () => {
    expect(groupBy([], String).size).toBe(0);
  });
});
