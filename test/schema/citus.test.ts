import { DatabaseError, SchemaError } from "langchain-training-index";
import { describe, expect, it } from "vitest";
import type { Queryable } from "../../src/postgres/database.js";
import {
  functionNames,
  oneBuild,
  readBuildOfNodes,
  readCluster,
  readShardSizes,
  readShardStorage,
  refuseWorker,
  shardFunctions,
  storageFunction,
} from "../../src/schema/citus.js";
import { namesOf } from "../../src/schema/layout.js";

const NAMES = namesOf({ schema: `o'x "y"`, profileId: 2, extensionSchema: "public" });

/** A database that answers every statement with the same rows, and the statements that it was sent. */
function answering(rows: object[]): { database: Queryable; sent: { text: string; values: unknown[] }[] } {
  const sent: { text: string; values: unknown[] }[] = [];
  const database: Queryable = {
    query: (text, values = []) => {
      sent.push({ text, values });
      return Promise.resolve({ rows, rowCount: rows.length });
    },
  };
  return { database, sent };
}

/** The rows of a statement that all nodes run. */
const nodes = (...answers: object[]): object[] =>
  answers.map((answer) => ({ success: "true", result: JSON.stringify(answer) }));

describe("readCluster", () => {
  it.each([
    [
      { is_worker: "false", mode: null, distributes: "off" },
      { isWorker: false, mode: undefined, distributesNewSchemas: false },
    ],
    [
      { is_worker: "true", mode: "tables", distributes: "on" },
      { isWorker: true, mode: "tables", distributesNewSchemas: true },
    ],
  ])("reads %j", async (row, expected) => {
    const { database, sent } = answering([row]);
    expect(await readCluster(database, `o'x`)).toEqual(expected);
    expect(sent[0]?.values).toEqual([`o'x`]);
  });

  it("does not take missing catalogs for those of a database without a cluster", async () => {
    await expect(readCluster(answering([]).database, "s")).rejects.toThrow(SchemaError);
  });
});

describe("refuseWorker", () => {
  it("refuses a worker, and says where to connect to", () => {
    const refuse = (isWorker: boolean) => () => {
      refuseWorker({ isWorker });
    };
    expect(refuse(true)).toThrow(expect.objectContaining({ code: "UNSUPPORTED_SETTING" }));
    expect(refuse(true)).toThrow(/connect the pool to the coordinator$/);
    expect(refuse(false)).not.toThrow();
  });
});

describe("readShardSizes", () => {
  const sizesOf = (...answers: object[]): ReturnType<typeof readShardSizes> =>
    readShardSizes(answering(nodes(...answers)).database, NAMES);

  it("adds up the shards of all nodes; a coordinator without shards does not count", async () => {
    const sizes = await sizesOf(
      { shards: 0, largest: 0, chunks: 0, unknown: 0 },
      { shards: 3, largest: 8192, chunks: 500, unknown: 0 },
      { shards: 1, largest: 16_384, chunks: 300, unknown: 0 },
    );
    expect(sizes).toEqual({ shards: 4, largestBytes: 16_384, averageChunks: 200 });
  });

  it("knows no average before every shard was analyzed", async () => {
    const sizes = await sizesOf(
      { shards: 3, largest: 8192, chunks: 500, unknown: 0 },
      { shards: 3, largest: 8192, chunks: 0, unknown: 1 },
    );
    expect(sizes.averageChunks).toBeUndefined();
  });

  it("knows no average without shards", async () => {
    expect(await sizesOf()).toEqual({ shards: 0, largestBytes: 0, averageChunks: undefined });
  });

  it("asks all nodes for the chunks of the profile, under a name that breaks out of nothing", async () => {
    const { database, sent } = answering([]);
    await readShardSizes(database, NAMES);
    expect(sent).toHaveLength(1);
    const [asked] = sent[0]?.values ?? [];
    // The text is a value, and the name in it a quoted name in a literal.
    expect(sent[0]?.text).not.toContain("chunk_2");
    expect(asked).toContain(`'"o''x ""y""".chunk_2'::regclass`);
  });
});

describe("readShardStorage", () => {
  const ask =
    (rows: object[]) =>
    <Row>(): Promise<Row[]> =>
      Promise.resolve(rows as Row[]);

  it("returns what each node says", async () => {
    const answers = [{ largest: 1 }, { largest: 2 }];
    expect(await readShardStorage(ask(nodes(...answers)), NAMES)).toEqual(answers);
  });

  it("fails if one node does not answer, rather than adding up the others", async () => {
    const rows = [...nodes({ largest: 1 }), { success: "false", result: "connection refused" }];
    const failure: unknown = await readShardStorage(ask(rows), NAMES).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(DatabaseError);
    expect(failure).toMatchObject({ code: "CONNECTION_FAILED", retryable: true });
    expect((failure as Error).message).toContain("connection refused");
  });
});

describe("the builds of the nodes", () => {
  const waiting = { phase: "waiting for writers", blocksDone: 0, blocksTotal: 0, tuplesDone: 0, tuplesTotal: 0 };
  const loading = { phase: "loading", blocksDone: 2, blocksTotal: 8, tuplesDone: 0, tuplesTotal: 0 };
  const adding = { phase: "adding", blocksDone: 1, blocksTotal: 4, tuplesDone: 5, tuplesTotal: 9 };

  it("are one, in the phase of a node that works", () => {
    expect(oneBuild([null, waiting, loading, adding])).toEqual({
      phase: "loading",
      blocksDone: 3,
      blocksTotal: 12,
      tuplesDone: 5,
      tuplesTotal: 9,
    });
    expect(oneBuild([waiting, null])).toEqual(waiting);
    expect(oneBuild([null, null])).toBeUndefined();
    expect(oneBuild([])).toBeUndefined();
  });

  it("are read from all of them, and one that does not answer fails the read", async () => {
    const { database, sent } = answering([
      { success: "true", result: JSON.stringify(waiting) },
      { success: "true", result: "null" },
      { success: "true", result: JSON.stringify(adding) },
    ]);
    expect(await readBuildOfNodes(database, NAMES)).toEqual(adding);
    expect(sent).toHaveLength(1);
    const failing = answering([{ success: "false", result: "connection refused" }]);
    await expect(readBuildOfNodes(failing.database, NAMES)).rejects.toMatchObject({ retryable: true });
  });
});

describe("the names of functions", () => {
  it("are those of the schema and, for what belongs to a profile, of the profile", () => {
    const other = namesOf({ schema: `o'x "y"`, profileId: 3, extensionSchema: "public" });
    const ofProfile = (names: typeof NAMES): string[] => [
      ...Object.values(functionNames(names)),
      storageFunction(names),
    ];
    const all = [...ofProfile(NAMES), ...ofProfile(other), ...Object.values(shardFunctions(NAMES))];
    expect(new Set(all).size).toBe(all.length);
    for (const name of all) expect(name).toMatch(/^"o'x ""y"""\.\w+$/);
  });
});
