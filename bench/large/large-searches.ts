import type { TrainingIndex } from "langchain-training-index";
import { mean, quantile } from "../statistics.js";
import { ALL_CHUNKS, LARGE_SELECTIONS, type LargeData, type LargeSelection } from "./large-data.js";
import type { LargeOptions } from "./large-options.js";
import type { LargeSearchFigure, Times } from "./large-results.js";
import { foundShare, RECALL_K, type Truth } from "./large-truth.js";

/** Questions before each setting that are not timed. */
const WARM_UP = 200;
const CLIENTS = [1, 8];
/** Searches by words and hybrid ones take longer. */
const MAX_WORD_QUESTIONS = 200;
/** No more searches are timed after this. */
const MILLISECONDS_PER_SETTING = 60_000;

/** Runs one search, and returns the distances of what it found. */
type Ask = (place: number) => Promise<(number | undefined)[]>;

/** Searches by vector: each `efSearch` with one and eight clients, and each filter with the `efSearch` that the filters are measured at. */
export async function measureLargeSearches(
  index: TrainingIndex,
  data: LargeData,
  { queries, questions: compared, efSearch }: LargeOptions,
  truth: Truth,
  progress: (message: string) => void,
): Promise<LargeSearchFigure[]> {
  const questions = data.questions(queries);
  const figures: LargeSearchFigure[] = [];
  const measure = async (value: number, { name, filter }: LargeSelection, clients: number): Promise<void> => {
    const ask: Ask = async (place) => {
      const hits = await index.similar(questions[place % queries] ?? [], { k: RECALL_K, filter, efSearch: value });
      return hits.map(({ distance }) => distance);
    };
    const { milliseconds, distances, perSecond } = await timeCalls(ask, queries, clients);
    const shares = (truth[name] ?? [])
      .slice(0, compared)
      .flatMap((farthest, place) => (distances[place] ? [foundShare(distances[place], farthest)] : []));
    const recallAt10 = shares.length > 0 ? mean(shares) : null;
    const times = timesOf(milliseconds);
    figures.push({ mode: "vector", efSearch: value, filter: name, clients, times, perSecond, recallAt10 });
    progress(
      `efSearch ${value}, filter ${name}, ${clients} clients: p50 ${times.p50.toFixed(2)} ms, recall@10 ${recallAt10?.toFixed(3) ?? ""}`,
    );
  };
  for (const value of efSearch) {
    for (const clients of CLIENTS) await measure(value, ALL_CHUNKS, clients);
  }
  for (const selection of LARGE_SELECTIONS.filter(({ filter }) => filter)) {
    for (const value of new Set([efSearch[0] ?? 40, filteredAt(efSearch)])) await measure(value, selection, 1);
  }
  return figures;
}

/** Filters are measured at the lowest `efSearch`, and at this one. */
function filteredAt(efSearch: readonly number[]): number {
  return efSearch.find((value) => value >= 100) ?? efSearch.at(-1) ?? 100;
}

/** Searches by words, and by words and vector. */
export async function measureWordSearches(
  index: TrainingIndex,
  data: LargeData,
  { chunks, queries }: LargeOptions,
  progress: (message: string) => void,
): Promise<LargeSearchFigure[]> {
  const questions = data.wordQuestions(Math.min(queries, MAX_WORD_QUESTIONS), chunks);
  const figures: LargeSearchFigure[] = [];
  for (const mode of ["text", "hybrid"] as const) {
    for (const { name, filter } of LARGE_SELECTIONS.filter((_, place) => place === 0 || place === 3)) {
      const ask: Ask = async (place) => {
        await index.similar(questions[place % questions.length] ?? "", { mode, k: RECALL_K, filter });
        return [];
      };
      const { milliseconds, perSecond } = await timeCalls(ask, questions.length, 1);
      const times = timesOf(milliseconds);
      figures.push({ mode, efSearch: 40, filter: name, clients: 1, times, perSecond, recallAt10: null });
      progress(`${mode}, filter ${name}: p50 ${times.p50.toFixed(1)} ms`);
    }
  }
  return figures;
}

/** The percentiles of these times. */
export function timesOf(milliseconds: readonly number[]): Times {
  const [p50, p95, p99] = [0.5, 0.95, 0.99].map((share) => quantile(milliseconds, share));
  return { p50: p50 ?? NaN, p95: p95 ?? NaN, p99: p99 ?? NaN, calls: milliseconds.length };
}

interface Timed {
  milliseconds: number[];
  /** By the place of the question. */
  distances: (number | undefined)[][];
  perSecond: number;
}

/** Asks that many questions with this number of clients, after some that are not timed. */
export async function timeCalls(ask: Ask, calls: number, clients: number): Promise<Timed> {
  let next = 0;
  const warmUpEnds = performance.now() + MILLISECONDS_PER_SETTING / 4;
  await together(clients, async () => {
    while (next < Math.min(WARM_UP, calls) && performance.now() < warmUpEnds) await ask(calls - 1 - next++);
  });
  const timed: Timed = { milliseconds: [], distances: [], perSecond: 0 };
  next = 0;
  const began = performance.now();
  await together(clients, async () => {
    while (next < calls && performance.now() - began < MILLISECONDS_PER_SETTING) {
      const place = next++;
      const started = performance.now();
      timed.distances[place] = await ask(place);
      timed.milliseconds.push(performance.now() - started);
    }
  });
  timed.perSecond = (timed.milliseconds.length * 1000) / (performance.now() - began);
  return timed;
}

async function together(clients: number, work: () => Promise<void>): Promise<void> {
  await Promise.all(Array.from({ length: clients }, work));
}
