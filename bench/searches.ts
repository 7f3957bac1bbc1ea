import type { Contender } from "./contenders/contender.js";
import { isSelected, type Dataset, type Selection } from "./data.js";
import { findExactly, recallOf, type ExactAnswers } from "./exact.js";
import type { SearchFigure } from "./results.js";
import { mean, quantile, rotate } from "./statistics.js";

/** Numbers of chunks to ask for. */
const KS = [5, 40];
const RECALL_K = 10;
const MAX_RECALL_QUERIES = 100;
const MIN_RECALL_QUERIES = 20;
const RECALL_MILLISECONDS = 2000;

const ROUNDS = 5;
/**
 * Before a contender's first turn. A connection's first access to each page of the index is slow, above all with small memory
 * pages on a virtual machine: at 100,000 chunks the first hundreds of searches take half as long again as later ones.
 */
const WARM_UP = { queries: 1000, milliseconds: 2000 };
/** Before each later turn. */
const SHORT_WARM_UP = { queries: 10, milliseconds: 200 };
/** Length of a contender's turn. Slow ones answer fewer queries in it; otherwise a run would take hours. */
const TURN_MILLISECONDS = 600;
const MIN_ANSWERS_PER_TURN = 3;

/** The contenders of one selection: some plans make sense only with a filter. */
export interface SelectionContenders {
  selection: Selection;
  contenders: readonly Contender[];
}

/**
 * Sends all contenders the same queries, one after the other. They take turns, each round in another order, so that a machine
 * that slows down, or a cache filled by another contender, affects all of them alike. Each turn starts with untimed queries.
 */
export async function measureSearches(
  dataset: Dataset,
  cases: readonly SelectionContenders[],
): Promise<SearchFigure[]> {
  const asked: Dataset = { ...dataset, queries: dataset.queries.slice(0, MAX_RECALL_QUERIES) };
  const exact = findExactly(
    asked,
    cases.map(({ selection }) => selection),
    RECALL_K,
  );
  const figures: SearchFigure[] = [];
  for (const { selection, contenders } of cases) {
    const matchingChunks = dataset.chunks.filter((chunk) => isSelected(chunk, selection)).length;
    const recalls = new Map<Contender, number>();
    for (const contender of contenders) {
      recalls.set(contender, await measureRecall(contender, asked.queries, selection, exact));
      await warmUp(contender, warmUpQueries(dataset), RECALL_K, selection.filter, WARM_UP);
    }
    for (const k of KS) {
      const timings = await timeInTurns(contenders, dataset.queries, k, selection);
      for (const [contender, { milliseconds, rows }] of timings) {
        figures.push({
          data: dataset.name,
          chunks: dataset.chunks.length,
          contender: contender.name,
          k,
          filter: selection.name,
          matchingChunks,
          p50Milliseconds: quantile(milliseconds, 0.5),
          p95Milliseconds: quantile(milliseconds, 0.95),
          fewestRows: Math.min(...rows),
          recallAt10: matchingChunks === 0 ? null : (recalls.get(contender) ?? null),
          answers: milliseconds.length,
        });
      }
    }
  }
  return figures;
}

interface Timings {
  milliseconds: number[];
  rows: number[];
}

async function timeInTurns(
  contenders: readonly Contender[],
  queries: readonly number[][],
  k: number,
  { filter }: Selection,
): Promise<Map<Contender, Timings>> {
  const timings = new Map<Contender, Timings>(
    contenders.map((contender) => [contender, { milliseconds: [], rows: [] }]),
  );
  const turnLength = Math.ceil(queries.length / ROUNDS);
  for (let round = 0; round < ROUNDS; round++) {
    const turn = queries.slice(round * turnLength, (round + 1) * turnLength);
    for (const contender of rotate(contenders, round)) {
      await warmUp(contender, queries.slice(-SHORT_WARM_UP.queries), k, filter, SHORT_WARM_UP);
      const { milliseconds, rows } = timings.get(contender) ?? { milliseconds: [], rows: [] };
      const began = performance.now();
      for (const [index, vector] of turn.entries()) {
        const started = performance.now();
        if (index >= MIN_ANSWERS_PER_TURN && started - began > TURN_MILLISECONDS) break;
        const found = await contender.search({ vector, k, filter });
        milliseconds.push(performance.now() - started);
        rows.push(found.length);
      }
    }
  }
  return timings;
}

/** Untimed queries from all over the data: vectors of chunks. */
function warmUpQueries({ chunks }: Dataset): number[][] {
  const step = Math.ceil(chunks.length / WARM_UP.queries);
  return chunks.flatMap(({ vector }, index) => (index % step === 0 ? [vector] : []));
}

async function warmUp(
  contender: Contender,
  queries: readonly number[][],
  k: number,
  filter: Selection["filter"],
  { milliseconds }: { milliseconds: number },
): Promise<void> {
  const began = performance.now();
  for (const vector of queries) {
    await contender.search({ vector, k, filter });
    if (performance.now() - began > milliseconds) return;
  }
}

async function measureRecall(
  contender: Contender,
  queries: readonly number[][],
  selection: Selection,
  exact: ExactAnswers,
): Promise<number> {
  const recalls: number[] = [];
  const began = performance.now();
  for (const [index, vector] of queries.entries()) {
    const isSlow = performance.now() - began > RECALL_MILLISECONDS;
    if (isSlow && index >= MIN_RECALL_QUERIES) break;
    const found = await contender.search({ vector, k: RECALL_K, filter: selection.filter });
    recalls.push(recallOf(found, exact.get(selection)?.[index] ?? []));
  }
  return mean(recalls);
}
