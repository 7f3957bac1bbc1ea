import { describe, expect, it } from "vitest";
import type { PlannedChunk } from "../../src/chunking/chunk-plan.js";
import type { Queryable } from "../../src/postgres/database.js";
import { namesOf, type Layout } from "../../src/schema/layout.js";
import type { PlannedTraining } from "../../src/storing/chunk-difference.js";
import { createFunctions } from "../../src/storing/distributed-functions.js";
import {
  cleanTraining,
  inKeyOrder,
  lockTraining,
  removeTraining,
  storeStatement,
  touchTraining,
} from "../../src/storing/distributed-writes.js";
import { compareVersions } from "../../src/storing/swap-statement.js";
import type { ClaimedTarget } from "../../src/storing/write-target.js";

const LAYOUT: Layout = { schema: `it's "$1"`, profileId: 1, idType: "bigint", extensionSchema: "ext", citus: "tables" };
const TARGET: ClaimedTarget = { layout: LAYOUT, vectorOid: 16_400, scope: ['{"bot": 1}'], claim: ["m", "", "", "2"] };

function chunk(content: string): PlannedChunk {
  return { id: content, content, metadata: "{}", hash: "ab", vector: undefined, start: 0, end: content.length };
}

const TRAINING: PlannedTraining = {
  key: "7",
  ticket: "9",
  revision: null,
  metadata: "{}",
  fingerprint: "cdef",
  splitter: "s",
  chunks: [chunk("um"), chunk("dois")],
  stored: undefined,
};

/** The types of the parameters of a function, as it is created. */
function typesOf(layout: Layout, verb: string): string[] {
  const plan = { ...layout, names: namesOf(layout), citus: layout.citus ?? "tables" };
  const created = createFunctions(plan).find(
    (text) => text.startsWith("CREATE") && text.includes(`.${verb}_training_1(`),
  );
  const [, parameters = ""] = /_training_1\((.*)\)\n/.exec(created ?? "") ?? [];
  return parameters.split(", ").map((parameter) => parameter.replace(/^\w+ /, ""));
}

/** The types of the arguments of a call. */
function argumentsOf(text: string): string[] {
  return [...text.matchAll(/\$\d+::((?:"ext"\.)?[\w[\]]+(?:::[\w[\]]+)?)/g)].map(([, type = ""]) =>
    type.replace(/^.*::/, ""),
  );
}

describe("the calls of the functions", () => {
  it.each(["schema", "tables"] as const)('give each parameter its type: citus "%s"', (citus) => {
    const layout = { ...LAYOUT, citus };
    const vectors = new Map([["ab", Float32Array.of(1, 2)]]);
    const version = compareVersions([TRAINING], [], vectors);
    const stored = storeStatement({ ...TARGET, layout }, TRAINING, null, version, vectors);
    expect(argumentsOf(stored.text)).toEqual(typesOf(layout, "store"));
    expect(stored.values).toHaveLength(typesOf(layout, "store").length);
    expect(argumentsOf(touchTraining(layout))).toEqual(typesOf(layout, "touch"));
    expect(argumentsOf(removeTraining(layout))).toEqual(typesOf(layout, "remove"));
    if (citus === "tables") expect(argumentsOf(cleanTraining(layout))).toEqual(typesOf(layout, "clean"));
  });

  it("name the function of their schema", () => {
    for (const text of [touchTraining(LAYOUT), removeTraining(LAYOUT), cleanTraining(LAYOUT)]) {
      expect(text).toMatch(/ FROM "it's ""\$1"""\.(touch|remove|clean)_training_1\(\$1::bigint/);
    }
  });
});

describe("inKeyOrder", () => {
  it("is the same in every process, whatever the order given or the language of the system", () => {
    const items = ["b", "B", "á", "a", "10", "9"].map((key) => ({ key }));
    const expected = ["10", "9", "B", "a", "b", "á"];
    expect(inKeyOrder(items).map(({ key }) => key)).toEqual(expected);
    expect(inKeyOrder(items.toReversed()).map(({ key }) => key)).toEqual(expected);
    expect(items[0]).toEqual({ key: "b" }); // what the caller gave stays as it is
  });
});

describe("lockTraining", () => {
  /** A client that finds the claim or not, and says what it was asked. */
  function clientWith(claimed: boolean): { client: Queryable; sent: { text: string; values: unknown }[] } {
    const sent: { text: string; values: unknown }[] = [];
    const client: Queryable = {
      query: (text, values) => {
        sent.push({ text, values });
        return Promise.resolve({ rows: sent.length > 1 || claimed ? [{}] : [], rowCount: 1 });
      },
    };
    return { client, sent };
  }

  it("reads the claim before it locks the training, so that two calls do not wait for each other", async () => {
    const { client, sent } = clientWith(true);
    expect(await lockTraining(client, TARGET, TRAINING)).toHaveLength(1);
    expect(sent.map(({ values }) => values)).toEqual([[TARGET.claim], ["7", "9", null, TARGET.scope]]);
    expect(sent[1]?.text).toMatch(/FOR NO KEY UPDATE OF t$/);
  });

  it("locks nothing without the claim", async () => {
    const { client, sent } = clientWith(false);
    expect(await lockTraining(client, TARGET, TRAINING)).toEqual([]);
    expect(sent).toHaveLength(1);
  });
});
