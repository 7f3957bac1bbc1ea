import { searchChannel, traced, type HitTrace, type SearchTrace } from "../calls/tracing.js";
import type { Hit, TrainingHit } from "../hit-types.js";
import type { CheckedSearch } from "./checked-search.js";

/** The trace of a search that begins. `queryText` is not enumerable, so that copies of the trace do not hold the question. */
export function beginTrace(
  query: string | ArrayLike<number>,
  { mode, strategy, k, condition, rerank }: CheckedSearch,
  { schema, model }: Pick<SearchTrace, "schema" | "model">,
): SearchTrace {
  const trace: Omit<SearchTrace, "queryText"> = {
    ...{ schema, model, mode, strategy, k },
    filtered: condition !== undefined,
    reranked: rerank !== undefined,
  };
  const queryText = (): string | undefined => (typeof query === "string" ? query : undefined);
  return Object.defineProperty(trace, "queryText", { value: queryText }) as SearchTrace;
}

/** Does a search, and publishes it. */
export function traceSearch<Found>(
  begin: () => SearchTrace,
  search: () => Promise<Found>,
  hitsOf: (found: Found) => readonly (Hit | TrainingHit)[],
): Promise<Found> {
  return traced(searchChannel, begin, search, (trace, found) => {
    trace.hits = hitsOf(found).map(toHitTrace);
  });
}

function toHitTrace(hit: Hit | TrainingHit): HitTrace {
  return { id: "chunkId" in hit ? hit.chunkId : String(hit.trainingId), score: hit.score };
}
