import type { Contender } from "./contenders/contender.js";
import type { Dataset } from "./data.js";
import type { ThroughputFigure } from "./results.js";
import { median, rotate } from "./statistics.js";

/** Numbers of concurrent callers, up to the size of the pools. */
const CALLERS = [1, 4, 16];
const K = 5;
const ROUNDS = 3;
const WARM_UP_MILLISECONDS = 200;
const MEASURED_MILLISECONDS = 700;

/** Searches per second of each contender with callers that never pause. Contenders take turns; medians are reported. */
export async function measureThroughput(
  { chunks, queries }: Dataset,
  contenders: readonly Contender[],
): Promise<ThroughputFigure[]> {
  const figures: ThroughputFigure[] = [];
  for (const callers of CALLERS) {
    const paces = new Map<Contender, number[]>(contenders.map((contender) => [contender, []]));
    for (let round = 0; round < ROUNDS; round++) {
      for (const contender of rotate(contenders, round)) {
        await askConcurrently(contender, queries, callers, WARM_UP_MILLISECONDS); // opens their connections too
        paces.get(contender)?.push(await askConcurrently(contender, queries, callers, MEASURED_MILLISECONDS));
      }
    }
    for (const [contender, measured] of paces) {
      const searchesPerSecond = median(measured);
      figures.push({ chunks: chunks.length, contender: contender.name, callers, searchesPerSecond });
    }
  }
  return figures;
}

async function askConcurrently(
  contender: Contender,
  queries: readonly number[][],
  callers: number,
  milliseconds: number,
): Promise<number> {
  let answers = 0;
  let asked = 0;
  const began = performance.now();
  const ask = async (): Promise<void> => {
    while (performance.now() - began < milliseconds) {
      const vector = queries[asked++ % queries.length] ?? [];
      await contender.search({ vector, k: K, filter: undefined });
      answers += 1;
    }
  };
  await Promise.all(Array.from({ length: callers }, ask));
  return (answers / (performance.now() - began)) * 1000;
}
