import { FILTERS, ALL_CHUNKS } from "./data.js";
import {
  BARE_SQL,
  BARE_SQL_WRITE,
  LIBRARY,
  LIBRARY_BIT,
  LIBRARY_PARALLEL,
  LIBRARY_WIDE,
  PGVECTOR_STORE,
} from "./contenders/contender.js";
import { answerOf, bestByHand, editOf, returnsAllRows, SEEDED, sizesOf, writeOf } from "./figures.js";
import type { Results, SearchFigure, Threshold, WriteSituation } from "./results.js";

const KS = [5, 40];

/** Compares a run with the figures that the library must reach. */
export function checkThresholds(results: Results): Threshold[] {
  return [
    ...searchThresholds(results),
    ...filterThresholds(results),
    ...writeThresholds(results),
    ...editThresholds(results),
    atMost("peak memory of the stream", "MB", results.stream?.peakResidentMegabytes, 300),
    atMost("search while nobody listens: share of the time to find that out", "%", idlePercent(results), 0.1),
    atMost("search with instrument(): p50 against nobody listening", "x", instrumented(results), 1.5),
    atMost(
      "cold import of the main entry against @langchain/core/retrievers",
      "x",
      ratio(results.imports?.entryMilliseconds, results.imports?.baselineMilliseconds),
      1.25,
    ),
  ];
}

function idlePercent({ telemetry }: Results): number | undefined {
  const [nobody] = telemetry?.situations ?? [];
  if (!telemetry || !nobody) return undefined;
  return (100 * telemetry.checksMicroseconds) / (1000 * nobody.p50Milliseconds);
}

function instrumented({ telemetry }: Results): number | undefined {
  const situations = telemetry?.situations ?? [];
  return ratio(situations.at(-1)?.p50Milliseconds, situations[0]?.p50Milliseconds);
}

function searchThresholds(results: Results): Threshold[] {
  const [first, second] = sizesOf(results, SEEDED);
  const size = first === undefined ? "the first size" : `${first} chunks`;
  const larger = second === undefined ? "the second size" : `${second} chunks`;
  const p50At = (chunks: number | undefined, contender: string): number | undefined =>
    chunks === undefined ? undefined : answerOf(results, contender, unfiltered(chunks))?.p50Milliseconds;
  const ours = p50At(first, LIBRARY);
  const bare = p50At(first, BARE_SQL);
  const wide = first === undefined ? undefined : answerOf(results, LIBRARY_WIDE, unfiltered(first));
  return [
    atMost(`k = 5, ${size}: p50 against bare SQL`, "x", ratio(ours, bare), 1.25),
    atLeast(`k = 5, ${size}: faster than PGVectorStore`, "x", ratio(p50At(first, PGVECTOR_STORE), ours), 25),
    atLeast(`recall@10 at efSearch 100, ${size}`, "", wide?.recallAt10 ?? undefined, 0.99),
    atMost(`k = 5: p50 at ${larger} against that at ${size}`, "x", ratio(p50At(second, LIBRARY), ours), 2),
  ];
}

function filterThresholds(results: Results): Threshold[] {
  return sizesOf(results, SEEDED).flatMap((chunks, sizeIndex) => {
    const questions = FILTERS.flatMap(({ name: filter }) => KS.map((k) => ({ data: SEEDED, chunks, k, filter })));
    const answers = questions.flatMap((question) => answerOf(results, LIBRARY, question) ?? []);
    const incomplete = answers.filter((answer) => !returnsAllRows(answer));
    const ratios = answers
      .filter(({ matchingChunks }) => matchingChunks > 0)
      .map((answer) =>
        atMost(
          `filter ${answer.filter}, k = ${answer.k}, ${chunks} chunks: p50 against the best plan by hand`,
          "x",
          ratio(answer.p50Milliseconds, bestByHand(results, answer)?.p50Milliseconds),
          2,
        ),
      );
    const empty = answers.find(({ matchingChunks }) => matchingChunks === 0);
    return [
      allRows(chunks, answers, incomplete),
      ...ratios,
      ...(sizeIndex === 0 && empty
        ? [atMost(`filter that matches no row, ${chunks} chunks: p50`, "ms", empty.p50Milliseconds, 10)]
        : []),
    ];
  });
}

function allRows(chunks: number, answers: readonly SearchFigure[], incomplete: readonly SearchFigure[]): Threshold {
  return {
    demand: `filters, ${chunks} chunks: all k rows whenever k match`,
    required: "always",
    measured:
      incomplete.length === 0
        ? "always"
        : incomplete.map(({ filter, k, fewestRows }) => `${fewestRows} of ${k} at ${filter}`).join(", "),
    met: answers.length === 0 ? null : incomplete.length === 0,
  };
}

function writeThresholds(results: Results): Threshold[] {
  const pace = (situation: WriteSituation, contender: string): number | undefined =>
    writeOf(results, situation, contender)?.rowsPerSecond;
  const against = (situation: WriteSituation, contender: string, other: string): number | undefined =>
    ratio(pace(situation, contender), pace(situation, other));
  const [load, first, live] = ["no vector index", "first load with vector index", "live vector index"] as const;
  return [
    atLeast("load, no vector index, against PGVectorStore", "x", against(load, LIBRARY, PGVECTOR_STORE), 8),
    atLeast("load, no vector index, against bare binary unnest", "x", against(load, LIBRARY, BARE_SQL_WRITE), 0.8),
    atLeast("first load with vector index against PGVectorStore", "x", against(first, LIBRARY, PGVECTOR_STORE), 5),
    atLeast(
      "first load with vector index, two workers, against PGVectorStore",
      "x",
      against(first, LIBRARY_PARALLEL, PGVECTOR_STORE),
      5,
    ),
    atLeast("live vector index, two writers, against PGVectorStore", "x", against(live, LIBRARY, PGVECTOR_STORE), 1.8),
    atLeast('live "bit" index against PGVectorStore', "x", against(live, LIBRARY_BIT, PGVECTOR_STORE), 4),
  ];
}

function editThresholds(results: Results): Threshold[] {
  const edited = (contender: string): number | undefined =>
    editOf(results, "one paragraph edited", contender)?.milliseconds;
  const repeat = editOf(results, "repeated unchanged", LIBRARY);
  return [
    atLeast(
      "one paragraph of 200 chunks edited: faster than PGVectorStore",
      "x",
      ratio(edited(PGVECTOR_STORE), edited(LIBRARY)),
      20,
    ),
    atMost("the same upsert again", "round trips", repeat?.roundTrips, 2),
    atMost("the same upsert again", "chunk rows touched", repeat?.rowsTouched, 0),
  ];
}

function unfiltered(chunks: number): { data: string; chunks: number; k: number; filter: string } {
  return { data: SEEDED, chunks, k: 5, filter: ALL_CHUNKS.name };
}

function ratio(left: number | undefined, right: number | undefined): number | undefined {
  return left === undefined || right === undefined ? undefined : left / right;
}

function atMost(demand: string, unit: string, measured: number | undefined, limit: number): Threshold {
  const met = measured === undefined ? null : measured <= limit;
  return { demand, required: `at most ${quantity(limit, unit)}`, measured: formatted(measured, unit), met };
}

function atLeast(demand: string, unit: string, measured: number | undefined, limit: number): Threshold {
  const met = measured === undefined ? null : measured >= limit;
  return { demand, required: `at least ${quantity(limit, unit)}`, measured: formatted(measured, unit), met };
}

function formatted(measured: number | undefined, unit: string): string {
  if (measured === undefined) return "not measured";
  return quantity(Number(measured.toFixed(unit === "" ? 3 : 2)), unit);
}

function quantity(value: number, unit: string): string {
  return `${value} ${unit}`.trimEnd();
}
