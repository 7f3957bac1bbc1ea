import { describe, expect, it } from "vitest";
import type { Layout } from "../../src/schema/layout.js";
import {
  bestOfTrainings,
  GUARD,
  nearestInShards,
  nearestPassagesInShards,
  passagesInShards,
  withQuotedValues,
} from "../../src/search-sql/sharded-search-sql.js";
import type { SearchShape } from "../../src/search-sql/vector-search-sql.js";

it("quotes values into a statement, and leaves names and literals as they are", () => {
  const text = `SELECT '$2 it''s' FROM "$3 ""name""".chunk WHERE a <=> $1 AND b = $2 AND c ? $3`;
  expect(withQuotedValues(text, [1, 0.5], ["40", "o' \\ $1"])).toBe(
    `SELECT '$2 it''s' FROM "$3 ""name""".chunk WHERE a <=> '[1,0.5]' AND b = '40' AND c ? E'o'' \\\\ $1'`,
  );
});

it("quotes lists", () => {
  expect(withQuotedValues("$2", [1], [['a"b', "c\\d"]])).toBe(`E'{"a\\\\"b","c\\\\\\\\d"}'`);
});

/** With a name in which our own marks and parameters occur. */
const LAYOUT: Layout = {
  schema: `it's "$guard" $1`,
  profileId: 1,
  idType: "bigint",
  extensionSchema: "ext",
  citus: "tables",
};
const SCHEMA = `"it's ""$guard"" $1"`;
const SHAPE: SearchShape = {
  limit: 5,
  condition: "metadata ->> $1 = $2",
  type: "vector",
  dimensions: 3,
  plan: "planner's",
  candidates: 5,
};
const COLUMNS = { withEmbedding: false, neighbors: undefined, withTraining: false };

/** Each statement of a search, by name. */
function statementsOf(layout: Layout, shape: SearchShape): Record<string, string> {
  return {
    nearest: nearestInShards(layout, shape, 6),
    passages: nearestPassagesInShards(layout, shape, 6, { before: 1, after: 2 }),
    best: bestOfTrainings(layout, shape, { perTraining: 2, byTraining: true, limit: 6 }),
  };
}

describe("a statement that finds chunks in all shards", () => {
  it.each(Object.keys(statementsOf(LAYOUT, SHAPE)))(
    "%s: tests the filter, the version and the limit in each shard",
    (name) => {
      const text = statementsOf(LAYOUT, SHAPE)[name] ?? "";
      const [found = ""] = /FROM "[^;]*?chunk_1\n {4}WHERE .*\n.*/.exec(text) ?? [];
      expect(found).toContain("metadata ->> $3 = $4"); // in the innermost query, beside the chunks
      expect(text.split(GUARD)).toHaveLength(2);
      expect(text).toMatch(/\nORDER BY .*\nLIMIT 6$/);
      expect(text).not.toMatch(/LIMIT \$|OFFSET/); // Citus hands only constants on to the shards
    },
  );

  it.each(Object.keys(statementsOf(LAYOUT, SHAPE)))(
    "%s: sets the scan of the index on the node of the shard",
    (name) => {
      const layout = { ...LAYOUT, scanSettings: { "any.thing": "it's" } };
      const text = statementsOf(layout, SHAPE)[name] ?? "";
      expect(text).toContain(
        `${SCHEMA}.search_settings(ARRAY['hnsw.ef_search', 'hnsw.iterative_scan', 'any.thing'], ARRAY[$2::text, 'strict_order', 'it''s'])`,
      );
    },
  );

  it("orders as the vector index does, so that it can serve the order", () => {
    const orderOf = (shape: Partial<SearchShape>): string =>
      /\nORDER BY (.*)\n/.exec(nearestInShards(LAYOUT, { ...SHAPE, ...shape }, 6))?.[1] ?? "";
    expect(orderOf({ type: "vector" })).toBe(`c.embedding OPERATOR("ext".<=>) $1::"ext".vector`);
    expect(orderOf({ type: "halfvec" })).toBe(
      `c.embedding::"ext".halfvec(3) OPERATOR("ext".<=>) $1::"ext".vector::"ext".halfvec(3)`,
    );
    expect(orderOf({ type: "bit" })).toBe(
      `"ext".binary_quantize(c.embedding)::bit(3) OPERATOR("ext".<~>) "ext".binary_quantize($1::"ext".vector)::bit(3)`,
    );
    // An order that no index serves; the distance is that of full vectors.
    expect(orderOf({ type: undefined, plan: "exact" })).toBe(`(c.embedding OPERATOR("ext".<=>) $1::"ext".vector) + 0`);
  });

  it("returns the distance of the full vectors, whatever the index compares", () => {
    for (const type of ["vector", "halfvec", "bit"] as const) {
      const text = nearestInShards(LAYOUT, { ...SHAPE, type }, 6);
      expect(text).toContain(`(c.embedding OPERATOR("ext".<=>) $1::"ext".vector)::text AS distance`);
    }
  });

  it("hides the filter from the planner only where the vector index is to be scanned", () => {
    const hides = (plan: SearchShape["plan"]): boolean =>
      nearestInShards(LAYOUT, { ...SHAPE, plan }, 6).includes("CASE WHEN");
    expect([hides("by vector"), hides("planner's"), hides("exact")]).toEqual([true, false, false]);
  });

  it("returns neighbors that match the filter, too", () => {
    const text = nearestPassagesInShards(LAYOUT, SHAPE, 6, { before: 1, after: 2 });
    expect(text.match(/metadata ->> \$3 = \$4/g)).toHaveLength(2);
    expect(nearestPassagesInShards(LAYOUT, SHAPE, 6, undefined)).not.toContain("surroundings");
  });

  it("takes the best of each training by itself, since all of them are in one shard", () => {
    const text = bestOfTrainings(LAYOUT, SHAPE, { perTraining: 2, byTraining: false, limit: 6 });
    expect(text).toContain("PARTITION BY training_id ORDER BY distance, id");
    expect(text).toContain("c.place <= 2");
    expect(text).toMatch(/ORDER BY c\.distance, c\.training_id, c\.id\nLIMIT 6$/);
    expect(statementsOf(LAYOUT, SHAPE)["best"]).toMatch(/ORDER BY c\.of_training, c\.training_id, c\.place\nLIMIT 6$/);
  });
});

describe("the statement that reads passages", () => {
  it("reads the given chunks of the given trainings that the filter matches, in the known version of the schema", () => {
    const text = passagesInShards(LAYOUT, "metadata ->> $1 = $2", COLUMNS);
    expect(text).toContain("WHERE training_id = ANY ($1::bigint[]) AND id = ANY ($2::text[])");
    expect(text).toMatch(/AND .*metadata ->> \$3 = \$4/);
    expect(text.split(GUARD)).toHaveLength(2);
  });

  it("says of a training that the filter excludes only what it shares with the chunk", () => {
    const text = passagesInShards(LAYOUT, "metadata ->> $1 = $2", { ...COLUMNS, withTraining: true });
    expect(text).toContain(
      `CASE WHEN t.is_visible THEN t.metadata ELSE ${SCHEMA}.shared_entries(t.metadata, c.metadata) END`,
    );
    expect(text).toContain("metadata ->> $3 = $4 AS is_visible");
    expect(passagesInShards(LAYOUT, undefined, { ...COLUMNS, withTraining: true })).toContain("true AS is_visible");
  });

  it("returns vectors only if they are asked for", () => {
    expect(passagesInShards(LAYOUT, undefined, COLUMNS)).not.toContain("vector_send");
    expect(passagesInShards(LAYOUT, undefined, { ...COLUMNS, withEmbedding: true })).toContain(
      `encode("ext".vector_send(c.embedding), 'base64') AS embedding`,
    );
  });
});

it("quotes the values of a statement whose schema has a name like a parameter", () => {
  const text = withQuotedValues(nearestInShards(LAYOUT, SHAPE, 6), [1, 0, 0], ["40", "bot", "$3"]);
  expect(text).toContain("metadata ->> 'bot' = '$3'");
  expect(text).toContain(`${SCHEMA}.chunk_1`);
  expect(text.replaceAll(SCHEMA, "").replace("'$3'", "")).not.toMatch(/\$\d/);
});
