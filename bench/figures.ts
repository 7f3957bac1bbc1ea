import type { Contender } from "./contenders/contender.js";
import { BARE_SQL, HAND_WRITTEN } from "./contenders/contender.js";
import { ALL_CHUNKS } from "./data.js";
import type { Change, EditFigure, Results, SearchFigure, WriteFigure, WriteSituation } from "./results.js";

/** The name of the seeded data, which the thresholds are about. */
export const SEEDED = "seeded clusters";

/** Identifies one kind of search in a run. */
export type Question = Pick<SearchFigure, "data" | "chunks" | "k" | "filter">;

/** The sizes at which a data set was searched, ascending. */
export function sizesOf({ searches }: Results, data: string): number[] {
  const sizes = searches.filter((figure) => figure.data === data).map(({ chunks }) => chunks);
  return [...new Set(sizes)].sort((left, right) => left - right);
}

/** All contenders' figures for one kind of search. */
export function answersTo({ searches }: Results, question: Question): SearchFigure[] {
  return searches.filter(
    ({ data, chunks, k, filter }) =>
      data === question.data && chunks === question.chunks && k === question.k && filter === question.filter,
  );
}

/** One contender's figures for one kind of search, if measured. */
export function answerOf(results: Results, contender: Contender["name"], question: Question): SearchFigure | undefined {
  return answersTo(results, question).find((figure) => figure.contender === contender);
}

/** The baseline of comparisons: the fastest hand-written search among those that return all rows. */
export function bestByHand(results: Results, question: Question): SearchFigure | undefined {
  const isByHand = ({ contender }: SearchFigure): boolean =>
    question.filter === ALL_CHUNKS.name ? contender === BARE_SQL : contender.startsWith(HAND_WRITTEN);
  return answersTo(results, question)
    .filter((figure) => isByHand(figure) && returnsAllRows(figure))
    .sort((left, right) => left.p50Milliseconds - right.p50Milliseconds)[0];
}

/** Whether every search returned as many rows as possible. */
export function returnsAllRows({ fewestRows, k, matchingChunks }: SearchFigure): boolean {
  return fewestRows >= Math.min(k, matchingChunks);
}

/** One contender's write figures in one situation, at the first size. */
export function writeOf({ writes }: Results, situation: WriteSituation, contender: string): WriteFigure | undefined {
  return writes.find((figure) => figure.situation === situation && figure.contender === contender);
}

/** One contender's figures for one change. */
export function editOf({ edits }: Results, change: Change, contender: string): EditFigure | undefined {
  return edits.find((figure) => figure.change === change && figure.contender === contender);
}
