import { table } from "../tooling/table.js";
import { BARE_SQL, LIBRARY } from "./contenders/contender.js";
import { answersTo, bestByHand, editOf, sizesOf } from "./figures.js";
import type { Results, SearchFigure, WriteFigure } from "./results.js";

const KS = [5, 40];

/** Prints the figures and ratios of a run. */
export function printReport(results: Results): void {
  printMachine(results);
  printSizes(results);
  printSearches(results);
  printThroughput(results);
  printWrites(results);
  printEdits(results);
  printTelemetry(results);
  printMemory(results);
  printThresholds(results);
}

function printMachine({ machine, versions, server, serverSettings, poolSize, leftOut }: Results): void {
  const { processor, cores, memoryGibibytes, platform } = machine;
  console.log(`${processor}, ${cores} cores, ${memoryGibibytes} GiB, ${platform}`);
  console.log(listed(versions));
  console.log(`${server}: ${listed(serverSettings)}; pools of ${poolSize}`);
  console.log("One run; the contenders take turns. The ratios are the result: milliseconds depend on the machine.");
  for (const note of leftOut) console.log(`Left out: ${note}`);
}

function printSizes({ sizes }: Results): void {
  console.log("\nOn disk");
  const rows = sizes.map(({ data, chunks, contender, vectorIndexMegabytes, tableMegabytes }) => [
    data,
    chunks,
    contender,
    vectorIndexMegabytes.toFixed(1),
    tableMegabytes.toFixed(1),
  ]);
  console.log(table(["", "chunks", "", "vector index MB", "rows MB"], rows));
}

function printSearches(results: Results): void {
  for (const data of new Set(results.searches.map((figure) => figure.data))) {
    for (const chunks of sizesOf(results, data)) {
      const figures = results.searches.filter((figure) => figure.data === data && figure.chunks === chunks);
      for (const filter of new Set(figures.map((figure) => figure.filter))) {
        printQuestion(results, { data, chunks, filter });
      }
    }
  }
}

function printQuestion(results: Results, question: Pick<SearchFigure, "data" | "chunks" | "filter">): void {
  const { data, chunks, filter } = question;
  const [first = [], second = []] = KS.map((k) => answersTo(results, { ...question, k }));
  const best = KS.map((k) => bestByHand(results, { ...question, k }));
  const narrowed = filter === "none" ? "" : `, filter that matches ${filter}`;
  console.log(`\nSearch: ${data}, ${chunks} chunks${narrowed}`);
  const rows = first.map((figure) => {
    const other = second.find(({ contender }) => contender === figure.contender);
    return [
      figure.contender,
      ...latency(figure, best[0]),
      ...latency(other, best[1]),
      figure.recallAt10 === null ? "" : figure.recallAt10.toFixed(3),
    ];
  });
  const compared = filter === "none" ? "x bare" : "x best";
  const columns = KS.flatMap((k) => [`k=${k} p50 ms`, "p95 ms", "rows", compared]);
  console.log(table(["", ...columns, "recall@10"], rows));
  if (filter !== "none") {
    const names = best.map((figure, index) => `${figure?.contender ?? "none"} at k=${KS[index] ?? 0}`);
    console.log(`x best: against the fastest hand-written plan that returns all rows: ${names.join("; ")}`);
  }
}

function latency(figure: SearchFigure | undefined, best: SearchFigure | undefined): string[] {
  if (!figure) return ["", "", "", ""];
  const { p50Milliseconds, p95Milliseconds, fewestRows } = figure;
  return [
    p50Milliseconds.toFixed(2),
    p95Milliseconds.toFixed(2),
    fewestRows.toFixed(0),
    best ? (p50Milliseconds / best.p50Milliseconds).toFixed(2) : "",
  ];
}

function printThroughput({ throughput }: Results): void {
  for (const chunks of new Set(throughput.map((figure) => figure.chunks))) {
    const figures = throughput.filter((figure) => figure.chunks === chunks);
    const callers = [...new Set(figures.map((figure) => figure.callers))];
    const paceOf = (contender: string, count: number): number =>
      figures.find((figure) => figure.contender === contender && figure.callers === count)?.searchesPerSecond ?? NaN;
    console.log(`\nSearches a second, k = 5, ${chunks} chunks`);
    const rows = [...new Set(figures.map(({ contender }) => contender))].map((contender) => [
      contender,
      ...callers.flatMap((count) => [
        paceOf(contender, count).toFixed(0),
        (paceOf(contender, count) / paceOf(BARE_SQL, count)).toFixed(2),
      ]),
    ]);
    const columns = callers.flatMap((count) => [`${count} ${count === 1 ? "caller" : "callers"}`, "x bare"]);
    console.log(table(["", ...columns], rows));
  }
}

function printWrites({ writes }: Results): void {
  const situations = new Set(writes.map(({ situation, rowsBefore }) => `${situation} ${rowsBefore}`));
  for (const name of situations) {
    const figures = writes.filter(({ situation, rowsBefore }) => `${situation} ${rowsBefore}` === name);
    const [{ situation, rowsBefore } = { situation: "", rowsBefore: 0 }] = figures;
    console.log(`\nWrites: ${situation}${rowsBefore > 0 ? `, ${rowsBefore} rows there before` : ""}`);
    console.log(
      table(
        ["", "rows", "rounds", "rows/s", "this library is"],
        figures.map((figure) => writeRow(figure, figures)),
      ),
    );
  }
}

function writeRow(figure: WriteFigure, figures: readonly WriteFigure[]): (string | number)[] {
  const { contender, rows, rounds, rowsPerSecond } = figure;
  const ours = figures.find((other) => other.contender === LIBRARY)?.rowsPerSecond ?? NaN;
  return [contender, rows, rounds, rowsPerSecond.toFixed(0), `${(ours / rowsPerSecond).toFixed(2)} x`];
}

function printEdits(results: Results): void {
  if (results.edits.length === 0) return;
  console.log("\nA training of 200 chunks, among all loaded chunks");
  const rows = results.edits.map((figure) => {
    const ours = editOf(results, figure.change, LIBRARY)?.milliseconds ?? NaN;
    return [
      figure.change,
      figure.contender,
      figure.milliseconds.toFixed(1),
      figure.embeddedTexts,
      figure.roundTrips,
      figure.rowsTouched,
      (figure.milliseconds / ours).toFixed(1),
    ];
  });
  console.log(table(["", "", "ms", "texts embedded", "round trips", "rows touched", "x ours"], rows));
}

function printTelemetry({ telemetry }: Results): void {
  if (!telemetry) return;
  const { chunks, situations, checksMicroseconds } = telemetry;
  const [nobody] = situations;
  console.log(`\nTelemetry: searches for a text, k = 5, ${chunks} chunks`);
  const rows = situations.map(({ situation, p50Milliseconds, p95Milliseconds }) => [
    situation,
    p50Milliseconds.toFixed(3),
    p95Milliseconds.toFixed(3),
    (p50Milliseconds / (nobody?.p50Milliseconds ?? NaN)).toFixed(3),
  ]);
  console.log(table(["", "p50 ms", "p95 ms", "x nobody"], rows));
  console.log(`A search asks whether someone listens in ${checksMicroseconds.toFixed(2)} microseconds`);
}

function printMemory({ memory, stream }: Results): void {
  console.log("\nResident memory of this process, its data included");
  console.log(
    table(
      ["after", "MB"],
      memory.map(({ stage, residentMegabytes }) => [stage, residentMegabytes]),
    ),
  );
  if (!stream) return;
  const { megabytes, chunks, seconds, residentMegabytesAtStart, peakResidentMegabytes } = stream;
  console.log(
    `${megabytes} MB of text streamed through upsertTrainings, in a separate process: ${chunks} chunks in ` +
      `${seconds.toFixed(0)} s, at most ${peakResidentMegabytes} MB resident (${residentMegabytesAtStart} at start)`,
  );
}

function printThresholds({ thresholds }: Results): void {
  console.log("\nFigures that the library must reach");
  const verdict = (met: boolean | null): string => (met === null ? "" : met ? "met" : "NOT MET");
  console.log(
    table(
      ["", "required", "measured", ""],
      thresholds.map(({ demand, required, measured, met }) => [demand, required, measured, verdict(met)]),
    ),
  );
}

function listed(values: Record<string, string>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name} ${value}`)
    .join(", ");
}
