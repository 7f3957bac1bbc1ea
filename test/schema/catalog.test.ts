import { describe, expect, it } from "vitest";
import { isVersionAtLeast } from "../../src/schema/catalog.js";

describe("isVersionAtLeast", () => {
  it.each([
    ["0.8.2", "0.8.2", true],
    ["0.8.1", "0.8.2", false],
    ["0.8.7", "0.8.2", true],
    ["0.7.4", "0.8.0", false],
    ["0.10.0", "0.8.2", true],
    ["0.8.10", "0.8.2", true],
    ["1.0", "0.8.2", true],
    ["0.8", "0.8.0", true],
    ["0.8", "0.8.2", false],
    ["0.8.0-yb-1.0", "0.8.0", true],
    ["0.8.0-yb-1.0", "0.8.2", false],
    ["", "0.8.2", false],
  ])("compares %j with the minimum %j: %s", (version, wanted, expected) => {
    expect(isVersionAtLeast(version, wanted)).toBe(expected);
  });
});
