import { describe, expect, it } from "vitest";
import { readOnShards, type ShardedColumns } from "../../src/inspecting/shard-storage.js";
import type { StorageOfNode } from "../../src/schema/citus.js";
import { CurrentStatements } from "../../src/searching/current-statements.js";
import { namesOf } from "../../src/schema/layout.js";
import { SPREAD_STATE } from "../support/spread-state.js";

const NOTHING: StorageOfNode = { tables: null, largest: 0, lacksStatistics: false, vectorIndexes: null, build: null };

type Table = NonNullable<StorageOfNode["tables"]>[number];

function table(name: string, given: Partial<Table> = {}): Table {
  return { name, bytes: 0, indexBytes: 0, liveRows: 0, deadRows: 0, lastVacuum: null, lastAnalyze: null, ...given };
}

interface Asked {
  columns: ShardedColumns;
  tables: Table[];
  vectorIndexes: unknown;
  /** Statements on the tables themselves. */
  counted: { text: string; values: unknown[] }[];
}

/** What the status says when the nodes answer so, and the coordinator has these tables. */
async function statusOf(
  nodes: readonly Partial<StorageOfNode>[],
  { own = [], counts = false, condition }: { own?: Table[]; counts?: boolean; condition?: string } = {},
): Promise<Asked> {
  const counted: Asked["counted"] = [];
  const statements = new CurrentStatements(
    {
      areKept: false,
      explain: () => Promise.reject(new Error("no plan is asked for")),
      query: <Row>(_name: string, text: string, values: unknown[]) => {
        const isForNodes = text.includes("run_command_on_all_nodes");
        if (!isForNodes) counted.push({ text, values });
        const answers = nodes.map((node) => ({ success: "true", result: JSON.stringify({ ...NOTHING, ...node }) }));
        return Promise.resolve((isForNodes ? answers : [{ counts: '{"trainings":2}' }]) as Row[]);
      },
    },
    SPREAD_STATE,
  );
  const columns = await readOnShards(statements, SPREAD_STATE.layout, {
    tables: JSON.stringify(own),
    shape: { counts, condition },
    values: ["loja"],
  });
  return {
    columns,
    tables: JSON.parse(columns.tables) as Table[],
    vectorIndexes: JSON.parse(columns.vector_indexes),
    counted,
  };
}

describe("readOnShards", () => {
  it("adds up the shards of a table, on one node and on several", async () => {
    const { tables } = await statusOf([
      { tables: [table("chunk_1", { bytes: 10, liveRows: 1 }), table("chunk_1", { bytes: 20, deadRows: 4 })] },
      { tables: [table("chunk_1", { bytes: 300, indexBytes: 7, liveRows: 2 })] },
    ]);
    expect(tables).toEqual([table("chunk_1", { bytes: 330, indexBytes: 7, liveRows: 3, deadRows: 4 })]);
  });

  it("says of a table when the shard that waits the longest was vacuumed, and nothing if one never was", async () => {
    const { tables } = await statusOf([
      { tables: [table("chunk_1", { lastVacuum: 2000, lastAnalyze: 3000 })] },
      { tables: [table("chunk_1", { lastVacuum: 1000, lastAnalyze: null })] },
      { tables: [table("chunk_1", { lastVacuum: 9000, lastAnalyze: 1000 })] },
    ]);
    expect(tables).toEqual([table("chunk_1", { lastVacuum: 1000, lastAnalyze: null })]);
  });

  it("takes a spread table from the nodes and any other from the coordinator, in the order of their names", async () => {
    const { tables } = await statusOf(
      [{ tables: [table("training", { bytes: 50 }), table("chunk_1", { bytes: 70 })] }],
      {
        // On the coordinator a spread table is empty.
        own: [table("chunk_1"), table("migration", { bytes: 8 }), table("profile", { bytes: 9 }), table("training")],
      },
    );
    expect(tables.map(({ name, bytes }) => [name, bytes])).toEqual([
      ["chunk_1", 70],
      ["migration", 8],
      ["profile", 9],
      ["training", 50],
    ]);
  });

  it("says that an index can be used only if it can be used in every shard", async () => {
    const index = { name: "chunk_1_embedding", valid: true, ready: true, bytes: 5 };
    const { vectorIndexes } = await statusOf([
      { vectorIndexes: [index, { ...index, ready: false }] },
      { vectorIndexes: [{ ...index, name: "chunk_1_embedding_bit" }, index] },
      { vectorIndexes: [{ ...index, name: "chunk_1_embedding_bit", valid: false }] },
    ]);
    expect(vectorIndexes).toEqual([
      { ...index, ready: false, bytes: 15 },
      { ...index, name: "chunk_1_embedding_bit", valid: false, bytes: 10 },
    ]);
  });

  it("takes the largest shard of chunks, and statistics for missing if one shard has none", async () => {
    const sizes = await statusOf([{ largest: 10 }, { largest: 30, lacksStatistics: true }, { largest: 20 }]);
    expect(sizes.columns).toMatchObject({ chunk_bytes: "30", lacks_statistics: "true", build: null, counts: null });
    const none = await statusOf([]);
    expect(none.columns).toMatchObject({ chunk_bytes: "0", lacks_statistics: "false" });
  });

  it("shows the build of an index on any node", async () => {
    const build = { phase: "building index", blocksDone: 1, blocksTotal: 2, tuplesDone: 3, tuplesTotal: 4 };
    const { columns } = await statusOf([{}, { build }]);
    expect(JSON.parse(columns.build ?? "null")).toEqual(build);
  });

  it("counts on the tables if that is asked for, with the filter, and only in the known version of the schema", async () => {
    const { columns, counted } = await statusOf([{}], { counts: true, condition: "metadata ? $1" });
    expect(columns.counts).toBe('{"trainings":2}');
    expect(counted).toHaveLength(1);
    expect(counted[0]?.text.match(/metadata \? \$1/g)).toHaveLength(3); // trainings, chunks and tombstones
    expect(counted[0]?.text).toContain(`${namesOf(SPREAD_STATE.layout).schema}.require_version(`);
    expect(counted[0]?.values[0]).toBe("loja");
    expect((await statusOf([{}])).counted).toEqual([]);
  });
});
