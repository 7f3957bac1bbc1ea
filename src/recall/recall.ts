import { withTimeLimit } from "../calls/time-limit.js";
import { throwIfAborted } from "../errors.js";
import { decodeVector } from "../postgres/codec.js";
import { profileRetired } from "../postgres/database.js";
import { isLarge } from "../schema/known-schema.js";
import type { FoundChunk } from "../searching/hits.js";
import type { Searcher } from "../searching/searcher.js";
import { searchByVector, searchExactly, type SearchTarget, type VectorSearch } from "../searching/vector-search.js";
import { encodeTrainingId } from "../schema/training-id.js";
import type { IdType } from "../types.js";
import type { CheckedRecall } from "./recall-options.js";
import { sampleChunks } from "./recall-sql.js";

/** How well searches with one `efSearch` find. */
export interface RecallRow {
  efSearch: number;
  /** The share of the `k` nearest chunks that was found, 0 to 1: the mean over all questions. */
  recall: number;
  /** The median time of a search, in milliseconds, seen from this process. */
  p50Ms: number;
  /** The time within which 95 % of the searches ended. */
  p95Ms: number;
}

/** The result of `recall`. */
export interface RecallReport {
  /** One for each `efSearch`, ascending. Empty if the index has no chunks. */
  rows: RecallRow[];
  k: number;
  /** How many stored vectors were used as questions: fewer than `sample` if the time was up, or there are fewer chunks. */
  questions: number;
  /** The median time of an exact search, in milliseconds. */
  exactP50Ms: number | undefined;
  /** The lowest measured `efSearch` whose recall reaches the target; `undefined` if none does. */
  suggestedEfSearch: number | undefined;
  /** What the figures mean, and what to do. */
  suggestion: string;
}

/** A stored chunk whose vector is used as a question. */
interface Question {
  key: string;
  id: string;
  vector: Float32Array;
}

/** Measures of the questions so far. */
interface Measures {
  recalls: number[];
  times: number[];
}

/**
 * Compares searches by the vector index with exact ones. The chunk whose vector is the question does not count: every search
 * would find it first. A chunk counts as found if it is as near as the k-th nearest, so that equally near ones do not matter.
 */
export async function measureRecall(searcher: Searcher, checked: CheckedRecall): Promise<RecallReport> {
  return withTimeLimit(checked, async (signal) => {
    let profileId: number | undefined;
    const read = <T>(work: (target: SearchTarget) => Promise<T>): Promise<T> =>
      searcher.read({ signal }, async (target) => {
        // Vectors of the model before are no questions for the one in use now.
        profileId ??= target.state.layout.profileId;
        if (target.state.layout.profileId !== profileId) throw profileRetired();
        return work(target);
      });
    const started = performance.now();
    const questions = await read((target) => readQuestions(target, checked));
    const { idType, scan } = await read(({ state }) =>
      Promise.resolve({ idType: state.layout.idType, scan: isLarge(state) ? (state.type ?? "missing") : "small" }),
    );
    const measures = new Map(
      checked.efSearch.map((efSearch): [number, Measures] => [efSearch, { recalls: [], times: [] }]),
    );
    const exactTimes: number[] = [];
    for (const [place, question] of questions.entries()) {
      throwIfAborted(signal);
      if (place > 0 && performance.now() - started > checked.maxMs) break;
      const [exact, exactMs] = await timed(() =>
        read((target) => searchExactly(target, searchFor(question, checked, 1))),
      );
      const nearest = withoutItself(exact, question, idType, checked.k);
      if (nearest.length === 0) continue; // the only chunk
      exactTimes.push(exactMs);
      for (const [efSearch, { recalls, times }] of measures) {
        const search = searchFor(question, checked, efSearch);
        const find = (): Promise<FoundChunk[]> => read((target) => searchByVector(target, search));
        if (place === 0) await find(); // prepares the statement, and brings the index into memory
        const [found, ms] = await timed(find);
        const near = withoutItself(found, question, idType, checked.k);
        recalls.push(shareFound(near, nearest));
        times.push(ms);
      }
    }
    const rows = [...measures].flatMap(([efSearch, { recalls, times }]) => {
      if (recalls.length === 0) return [];
      const recall = recalls.reduce((sum, share) => sum + share, 0) / recalls.length;
      return { efSearch, recall, p50Ms: percentile(times, 0.5), p95Ms: percentile(times, 0.95) };
    });
    const suggested = rows.find(({ recall }) => recall >= checked.target);
    return {
      rows,
      k: checked.k,
      questions: exactTimes.length,
      exactP50Ms: exactTimes.length === 0 ? undefined : percentile(exactTimes, 0.5),
      suggestedEfSearch: suggested?.efSearch,
      suggestion: suggest(rows, suggested, scan, checked),
    };
  });
}

/**
 * How much the distances of two equally near chunks can differ. A vector index compares vectors that it has scaled to length 1, in single
 * precision (relative error 6e-8 for each operation), and so orders such chunks otherwise than the exact search does.
 */
const ROUNDING = 1e-6;

/**
 * The recall of one search: the share of its chunks that are as near as the nearest ones. A chunk that is as near as the last of those counts.
 *
 * @param found - distances of the chunks that the search found, at most as many as `nearest` has
 * @param nearest - distances of the nearest chunks, in order; at least one
 */
export function shareFound(found: readonly number[], nearest: readonly number[]): number {
  const farthest = nearest.at(-1) ?? 0;
  return found.filter((distance) => distance <= farthest + ROUNDING).length / nearest.length;
}

async function readQuestions(
  { statements, state }: SearchTarget,
  { condition, sample }: CheckedRecall,
): Promise<Question[]> {
  const text = sampleChunks(state.layout, condition, sample);
  const values = [...(condition?.values ?? [])];
  const rows = await statements.query<Record<"key" | "id" | "embedding", string>>("sample-chunks", text, values, {
    keepsPlan: false,
  });
  return rows.map(({ key, id, embedding }) => ({ key, id, vector: decodeVector(embedding) }));
}

function searchFor(
  { vector }: Question,
  { k, condition, rerankFactor }: CheckedRecall,
  efSearch: number,
): VectorSearch {
  const page = { strategy: "chunks", k: k + 1, perTraining: undefined, neighbors: undefined } as const;
  return { ...page, condition, vector, efSearch, rerankFactor };
}

/** The distances of the `k` nearest chunks other than the question's own. */
function withoutItself(found: readonly FoundChunk[], { key, id }: Question, idType: IdType, k: number): number[] {
  return found
    .filter(({ hit: { trainingId, chunkId } }) => {
      return chunkId !== id || encodeTrainingId(trainingId, idType, "id") !== key;
    })
    .slice(0, k)
    .map(({ hit }) => hit.distance);
}

async function timed<T>(work: () => Promise<T>): Promise<[result: T, ms: number]> {
  const started = performance.now();
  const result = await work();
  return [result, performance.now() - started];
}

/** The nearest rank, as in the definition of a percentile by Hyndman and Fan, type 1. */
function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((left, right) => left - right);
  return sorted[Math.max(Math.ceil(share * sorted.length) - 1, 0)] ?? 0;
}

function suggest(
  rows: readonly RecallRow[],
  suggested: RecallRow | undefined,
  scan: string,
  { k, target }: CheckedRecall,
): string {
  if (rows.length === 0) return "There are too few chunks to measure";
  if (scan === "small") return "The index is small: every search compares all chunks, so efSearch has no effect";
  if (scan === "missing") {
    return "There is no vector index that searches can use, so every search compares all chunks: run migrate(pool, { schema })";
  }
  const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
  if (suggested) {
    const { efSearch, recall } = suggested;
    return `efSearch ${efSearch} finds ${percent(recall)} of the ${k} nearest chunks: initialize(embeddings, { hnsw: { efSearch: ${efSearch} } })`;
  }
  const wider = scan === "bit" ? "a higher rerankFactor" : "a vector index with a higher m or efConstruction";
  return `No measured efSearch finds ${percent(target)} of the ${k} nearest chunks: measure higher ones, or use ${wider}`;
}
