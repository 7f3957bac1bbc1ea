/** What the status says of trainings that are spread over a Citus cluster: every table is in many shards, and every node knows its own. */
import { oneBuild, readShardStorage, type StorageOfNode } from "../schema/citus.js";
import { namesOf, type Layout } from "../schema/layout.js";
import type { CurrentStatements } from "../searching/current-statements.js";
import { countedOnShards, type StatusShape } from "./status-sql.js";

/** The columns of a row of the status that the nodes of the shards know. */
export interface ShardedColumns {
  chunk_bytes: string;
  lacks_statistics: "true" | "false";
  tables: string;
  vector_indexes: string;
  build: string | null;
  counts: string | null;
}

type Table = NonNullable<StorageOfNode["tables"]>[number];
type VectorIndex = NonNullable<StorageOfNode["vectorIndexes"]>[number];

/**
 * Asks all nodes, and adds up what they say.
 *
 * @param tables - JSON of the tables of the coordinator
 * @param values - of the condition
 */
export async function readOnShards(
  statements: CurrentStatements,
  layout: Layout,
  { tables, shape, values }: { tables: string; shape: StatusShape; values: readonly unknown[] },
): Promise<ShardedColumns> {
  const nodes = await readShardStorage(statements.unguarded, namesOf(layout));
  const spread = merged(
    nodes.flatMap((node) => node.tables ?? []),
    addTables,
  );
  const isSpread = new Set(spread.map(({ name }) => name));
  const own = (JSON.parse(tables) as Table[]).filter(({ name }) => !isSpread.has(name));
  const [counted] = shape.counts
    ? await statements.query<{ counts: string }>("read-status", countedOnShards(layout, shape.condition), [...values], {
        keepsPlan: false,
      })
    : [];
  const build = oneBuild(nodes.map((node) => node.build));
  return {
    chunk_bytes: Math.max(0, ...nodes.map(({ largest }) => largest)).toString(),
    lacks_statistics: nodes.some(({ lacksStatistics }) => lacksStatistics) ? "true" : "false",
    tables: JSON.stringify(
      [...spread, ...own].sort((left, right) => ((left["name"] ?? "") < (right["name"] ?? "") ? -1 : 1)),
    ),
    vector_indexes: JSON.stringify(
      merged(
        nodes.flatMap((node) => node.vectorIndexes ?? []),
        addIndexes,
      ),
    ),
    build: build ? JSON.stringify(build) : null,
    counts: counted?.counts ?? null,
  };
}

/** Adds up the items with the same name. */
function merged<Item extends { name?: unknown }>(
  items: readonly Item[],
  add: (left: Item, right: Item) => Item,
): Item[] {
  const byName = new Map<unknown, Item>();
  for (const item of items) {
    const other = byName.get(item.name);
    byName.set(item.name, other ? add(other, item) : item);
  }
  return [...byName.values()];
}

function addTables(left: Table, right: Table): Table {
  return Object.fromEntries(
    Object.entries(left).map(([key, value]) => {
      if (key === "name") return [key, value];
      const [one, other] = [value, right[key] ?? null];
      if (!key.startsWith("last")) return [key, Number(one) + Number(other)];
      // The time of the shard that waits the longest.
      return [key, one === null || other === null ? null : Math.min(Number(one), Number(other))];
    }),
  );
}

/** An index can be used if it can be used in every shard. */
function addIndexes(left: VectorIndex, right: VectorIndex): VectorIndex {
  return {
    name: left.name,
    valid: left.valid && right.valid,
    ready: left.ready && right.ready,
    bytes: left.bytes + right.bytes,
  };
}
