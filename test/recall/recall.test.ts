import { expect, it } from "vitest";
import { shareFound } from "../../src/recall/recall.js";

const NEAREST = [0.1, 0.2, 0.20842623710632324];

it.each([
  { found: NEAREST, share: 1, what: "the nearest" },
  {
    found: [0.1, 0.2, 0.20842628428779197],
    share: 1,
    what: "one that is as near as the last but for rounding, as measured with ivfflat",
  },
  { found: [0.1, 0.2, 0.20843], share: 2 / 3, what: "one that is farther" },
  { found: [0.1], share: 1 / 3, what: "too few" },
  { found: [], share: 0, what: "nothing" },
])("a search that finds $what has a recall of $share", ({ found, share }) => {
  expect(shareFound(found, NEAREST)).toBeCloseTo(share, 10);
});
