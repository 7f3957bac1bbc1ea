import { describe, expect, it } from "vitest";
import { nameOfStatement, withName } from "../../src/postgres/statement-names.js";

describe("withName", () => {
  it.each([
    ["SELECT 1", "SELECT /* langchain-training-index:swap */ 1"],
    ["\nWITH a AS (SELECT 1) SELECT", "\nWITH /* langchain-training-index:swap */ a AS (SELECT 1) SELECT"],
    ["SELECT '$& $1'", "SELECT /* langchain-training-index:swap */ '$& $1'"],
    ["DO $$ BEGIN END $$", "DO /* langchain-training-index:swap */ $$ BEGIN END $$"],
  ])("puts the name behind the first word of %j", (text, named) => {
    expect(withName("swap", text)).toBe(named);
    expect(nameOfStatement(named)).toBe("swap");
  });
});

describe("nameOfStatement", () => {
  it.each([
    ["COMMIT", "commit"],
    ["ROLLBACK TO SAVEPOINT training_index_1; RELEASE SAVEPOINT training_index_1", "rollback"],
    ["SELECT 1 /* langchain-training-index:swap */", "select"],
    ["", ""],
  ])("of %j is %j", (text, name) => {
    expect(nameOfStatement(text)).toBe(name);
  });
});
