import { describe, expect, it } from "vitest";
import { compareChunks, type StoredChunk } from "../../src/storing/chunk-difference.js";
import { allOf, type Condition } from "../../src/filtering/condition.js";
import type { Queryable } from "../../src/postgres/database.js";
import type { Layout } from "../../src/schema/layout.js";
import { swap } from "../../src/storing/swap.js";

const COUNT = 150_000;
const METADATA = "{}";

/** More elements than a call accepts as arguments: `push(...list)` would throw a RangeError. */
describe("lists of 150,000 elements are accepted:", () => {
  const hashes = Array.from({ length: COUNT }, (_, place) => place.toString(16).padStart(64, "0"));
  const stored: StoredChunk[] = hashes.map((hash, place) => ({
    key: "a",
    id: `c${place}`,
    hash,
    metadata: METADATA,
    given_content: null,
  }));
  const training = {
    key: "a",
    ticket: "2",
    revision: null,
    metadata: METADATA,
    fingerprint: "00",
    splitter: "",
    stored: { contentTicket: "1", chunks: stored },
    chunks: [],
  };
  const target = {
    layout: { schema: "s", idType: "text", extensionSchema: "public", profileId: 1 } satisfies Layout,
    vectorOid: 1,
    scope: [],
    claim: ["m", "", "", "4"],
  } as const;

  it("chunks that are replaced", async () => {
    const client: Queryable = {
      query: (text) => {
        const locked = { key: "a", content_ticket: "1", superseded_by: null };
        return Promise.resolve({
          rows: [text.includes("FOR NO KEY UPDATE OF t") ? locked : { key: "a" }],
          rowCount: 1,
        });
      },
    };
    expect(await swap(client, target, [training], new Map(), { isOwnTransaction: true })).toEqual([
      { status: "indexed", removed: COUNT },
    ]);
  });

  it("chunks of one text that are kept", () => {
    const same = stored.map((chunk) => ({ ...chunk, hash: "00" }));
    const chunks = same.map(({ hash }, place) => ({
      content: "x",
      metadata: METADATA,
      hash,
      id: undefined,
      vector: undefined,
      start: place,
      end: place + 1,
    }));
    const difference = compareChunks([{ ...training, chunks }], same, new Map());
    expect(difference.kept).toHaveLength(COUNT);
    expect(difference.removed).toEqual([]);
  });

  it("values of a condition", () => {
    const many: Condition = { text: "($1)", values: Array.from({ length: COUNT }, () => "x") };
    expect(allOf([many, many]).values).toHaveLength(2 * COUNT);
  });
});
