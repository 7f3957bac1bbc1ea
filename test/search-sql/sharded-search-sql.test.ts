import { expect, it } from "vitest";
import { withQuotedValues } from "../../src/search-sql/sharded-search-sql.js";

it("quotes values into a statement, and leaves names and literals as they are", () => {
  const text = `SELECT '$2 it''s' FROM "$3 ""name""".chunk WHERE a <=> $1 AND b = $2 AND c ? $3`;
  expect(withQuotedValues(text, [1, 0.5], ["40", "o' \\ $1"])).toBe(
    `SELECT '$2 it''s' FROM "$3 ""name""".chunk WHERE a <=> '[1,0.5]' AND b = '40' AND c ? E'o'' \\\\ $1'`,
  );
});

it("quotes lists", () => {
  expect(withQuotedValues("$2", [1], [['a"b', "c\\d"]])).toBe(`E'{"a\\\\"b","c\\\\\\\\d"}'`);
});
