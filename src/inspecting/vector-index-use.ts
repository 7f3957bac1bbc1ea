import type { Condition } from "../filtering/condition.js";
import { encodeVector } from "../postgres/codec.js";
import { isLarge, type SchemaState } from "../schema/known-schema.js";
import { nearestInShards, withQuotedValues } from "../search-sql/sharded-search-sql.js";
import { searchChunks } from "../search-sql/vector-search-sql.js";
import type { CurrentStatements } from "../searching/current-statements.js";
import { scanFor } from "../searching/scan.js";
import { usesVectorIndex } from "../searching/search-cache.js";
import { DEFAULT_K, DEFAULT_RERANK_FACTOR } from "../searching/search-options.js";
import type { VectorIndexUse } from "./index-status.js";

/** How searches of an index are run by default. */
export interface DefaultSearch {
  /** The filter of the index. */
  condition: Condition | undefined;
  efSearch: number;
}

/**
 * Whether a search finds chunks by the vector index. For a large table with a usable one the planner is asked, with the statement
 * that the search would run; any vector will do, since its costs do not depend on it.
 *
 * @param state - as of now, not as it was last known
 */
export async function vectorIndexUse(
  statements: Pick<CurrentStatements, "explain">,
  state: SchemaState,
  { condition, efSearch }: DefaultSearch,
): Promise<VectorIndexUse> {
  if (state.type === undefined) return "notUsable";
  if (!isLarge(state)) return "tableIsSmall";
  const { dimensions, layout } = state;
  const page = { strategy: "chunks", k: DEFAULT_K, perTraining: undefined } as const;
  const search = { efSearch, rerankFactor: DEFAULT_RERANK_FACTOR, condition };
  const scan = scanFor(search, dimensions, { limit: DEFAULT_K, plan: "planner's" }, state);
  const vector = new Float32Array(dimensions).fill(1);
  if (layout.citus === "tables") {
    const values = [scan.efSearch, ...(condition?.values ?? [])];
    const quoted = withQuotedValues(nearestInShards(layout, scan.shape, DEFAULT_K + 1), vector, values);
    return usesVectorIndex(await statements.explain(quoted, [])) ? "used" : "notChosen";
  }
  const text = searchChunks(layout, scan.shape, page, { withEmbedding: false, neighbors: undefined });
  const plan = await statements.explain(text, [encodeVector(vector), scan.efSearch, ...(condition?.values ?? [])]);
  return usesVectorIndex(plan) ? "used" : "notChosen";
}
