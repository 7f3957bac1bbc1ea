import type { LargeIndexFigures, LargeResults, LargeSearchFigure, Times } from "./large-results.js";

/** The figures of a run as tables of Markdown, for docs/scaling.md. */
export function largeMarkdown(results: LargeResults): string {
  const { machine, versions, serverSettings, chunks, clusters, dimensions, chunksPerTraining } = results;
  const { hnsw, maintenanceWorkMem, parallelWorkers, textSearch, indexes, leftOut } = results;
  const command = ["npm run bench --", ...results.arguments].join(" ");
  const sections = [
    `\`${command}\`, ${results.date.slice(0, 10)}: ${chunks} chunks of ${dimensions} dimensions in ${clusters} clusters, ${chunksPerTraining} to a training; ` +
      `${machine.processor}, ${machine.cores} cores, ${machine.memoryGibibytes} GiB; ${listed(versions)}; ${listed(serverSettings)}. ` +
      `Build: \`m\` ${hnsw.m}, \`efConstruction\` ${hnsw.efConstruction}, \`maintenanceWorkMem\` ${maintenanceWorkMem}, ` +
      `${parallelWorkers} workers${textSearch ? ", with text search" : ""}.`,
    ...leftOut.map((note) => `Left out: ${note}.`),
    goals(indexes),
    loads(indexes),
    sizes(indexes),
    searches(indexes),
    filters(indexes),
    words(indexes),
    writes(indexes),
    vacuum(indexes),
    cold(indexes),
    recall(indexes),
    verify(indexes),
    agreement(indexes),
  ];
  return `${sections.filter((section) => section !== "").join("\n\n")}\n`;
}

/** What is demanded of a million chunks; other numbers of chunks are only compared with it. */
const GOALS = {
  minutes: 12,
  halfvec: { recall: 0.98, milliseconds: 4, bytes: 3e9 },
  bit: { recall: 0.95, bytes: 1e9 },
};

function goals(indexes: readonly LargeIndexFigures[]): string {
  const rows = indexes.flatMap(({ type, load, sizes: found, searches: asked = [] }) => {
    if (type === "vector") return [];
    const goal: { recall: number; milliseconds?: number; bytes: number } = GOALS[type];
    const settings = asked.filter(({ filter, clients }) => filter === "none" && clients === 1);
    const best = settings.find(({ recallAt10 }) => (recallAt10 ?? 0) >= goal.recall);
    const limit = goal.milliseconds === undefined ? "" : ` at p50 <= ${goal.milliseconds} ms`;
    const isMet =
      best !== undefined &&
      best.times.p50 <= (goal.milliseconds ?? Infinity) &&
      (found?.vectorIndex ?? Infinity) <= goal.bytes;
    const measured = best
      ? `${share(best.recallAt10)} at efSearch ${best.efSearch}, p50 ${milliseconds(best.times.p50)}, ${gigabytes(found?.vectorIndex ?? NaN)}`
      : `at most ${share(Math.max(...settings.map(({ recallAt10 }) => recallAt10 ?? 0)))}`;
    return [
      ...(settings.length > 0
        ? [
            [
              type,
              `recall@10 >= ${goal.recall}${limit}, index <= ${gigabytes(goal.bytes)}`,
              measured,
              isMet ? "yes" : "no",
            ],
          ]
        : []),
      ...(load
        ? [
            [
              type,
              `load and build <= ${GOALS.minutes} minutes`,
              load.minutes.toFixed(1),
              load.minutes <= GOALS.minutes ? "yes" : "no",
            ],
          ]
        : []),
    ];
  });
  return markdown(["index", "goal", "measured", "met"], rows);
}

function loads(indexes: readonly LargeIndexFigures[]): string {
  return markdown(
    ["index", "load", "rows a second", "build", "rows a second", "load and build"],
    indexes.flatMap(({ type, load }) => {
      if (!load) return [];
      const { loadSeconds, rowsPerSecond, buildSeconds, buildRowsPerSecond, minutes, wasInterrupted } = load;
      const total = `${minutes.toFixed(1)} minutes${wasInterrupted ? ", interrupted" : ""}`;
      return [
        [
          type,
          `${whole(loadSeconds)} s`,
          whole(rowsPerSecond),
          `${whole(buildSeconds)} s`,
          whole(buildRowsPerSecond),
          total,
        ],
      ];
    }),
  );
}

function sizes(indexes: readonly LargeIndexFigures[]): string {
  return markdown(
    ["index", "table", "vector index", "other indexes of the table", "whole schema"],
    indexes.flatMap(({ type, sizes: found }) =>
      found ? [[type, ...[found.table, found.vectorIndex, found.otherIndexes, found.schema].map(gigabytes)]] : [],
    ),
  );
}

function searches(indexes: readonly LargeIndexFigures[]): string {
  return markdown(
    [
      "index",
      "efSearch",
      "recall@10",
      "1 client: p50",
      "p95",
      "p99",
      "8 clients: p50",
      "p95",
      "p99",
      "searches a second",
    ],
    indexes.flatMap(({ type, searches: found = [] }) => {
      const unfiltered = found.filter(({ filter }) => filter === "none");
      return unfiltered
        .filter(({ clients }) => clients === 1)
        .map((one) => {
          const eight = unfiltered.find(({ clients, efSearch }) => clients !== 1 && efSearch === one.efSearch);
          return [
            ...[type, `${one.efSearch}`, share(one.recallAt10), ...percentiles(one.times)],
            ...(eight ? percentiles(eight.times) : ["", "", ""]),
            eight ? whole(eight.perSecond) : "",
          ];
        });
    }),
  );
}

function filters(indexes: readonly LargeIndexFigures[]): string {
  return searchTable("filter matches", indexes, ({ searches: found = [] }) =>
    found.filter(({ filter }) => filter !== "none"),
  );
}

function words(indexes: readonly LargeIndexFigures[]): string {
  return markdown(
    ["index", "mode", "filter matches", "p50", "p95", "p99"],
    indexes.flatMap(({ type, words: found = [] }) =>
      found.map(({ mode, filter, times }) => [type, mode, filter, ...percentiles(times)]),
    ),
  );
}

function searchTable(
  title: string,
  indexes: readonly LargeIndexFigures[],
  choose: (figures: LargeIndexFigures) => LargeSearchFigure[],
): string {
  return markdown(
    ["index", title, "efSearch", "recall@10", "p50", "p95", "p99"],
    indexes.flatMap((figures) =>
      choose(figures).map(({ filter, efSearch, recallAt10, times }) => [
        ...[figures.type, filter, `${efSearch}`, share(recallAt10)],
        ...percentiles(times),
      ]),
    ),
  );
}

function writes(indexes: readonly LargeIndexFigures[]): string {
  return markdown(
    ["index", "change", "p50", "p95", "p99"],
    indexes.flatMap(({ type, writes: found = [] }) =>
      found.map(({ change, times }) => [type, change, ...percentiles(times)]),
    ),
  );
}

function vacuum(indexes: readonly LargeIndexFigures[]): string {
  return markdown(
    ["index", "VACUUM takes", "dead rows", "searches beside it: p50", "p95", "p99", "new chunks: p50", "p95"],
    indexes.flatMap(({ type, vacuum: found }) => {
      if (!found) return [];
      const { seconds, deadRows, searches: asked, writes: written } = found;
      return [[type, `${whole(seconds)} s`, `${deadRows}`, ...percentiles(asked), ...percentiles(written).slice(0, 2)]];
    }),
  );
}

function cold(indexes: readonly LargeIndexFigures[]): string {
  return markdown(
    ["index", "caches emptied by", "first search", "first hundred: p50", "p95", "p99"],
    indexes.flatMap(({ type, cold: found }) =>
      found
        ? [[type, `\`${found.how}\``, milliseconds(found.firstMilliseconds), ...percentiles(found.firstHundred)]]
        : [],
    ),
  );
}

function recall(indexes: readonly LargeIndexFigures[]): string {
  return markdown(
    ["index", "what `recall({ target: 0.98 })` suggests"],
    indexes.flatMap(({ type, recall: found }) => (found ? [[type, found.suggestion]] : [])),
  );
}

function verify(indexes: readonly LargeIndexFigures[]): string {
  return markdown(
    ["index", "job", "references", "MB at start", "highest MB", "seconds"],
    indexes.flatMap(({ type, verify: found = [] }) => found.map((figures) => [type, ...figures.map(String)])),
  );
}

function agreement(indexes: readonly LargeIndexFigures[]): string {
  return markdown(
    ["index", "efSearch", "`recall()`", "computed directly"],
    indexes.flatMap(({ type, agreement: found = [] }) =>
      found.map(({ efSearch, recall: reported, direct }) => [type, `${efSearch}`, share(reported), share(direct)]),
    ),
  );
}

function markdown(head: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return "";
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

function percentiles({ p50, p95, p99 }: Times): string[] {
  return [p50, p95, p99].map(milliseconds);
}

function milliseconds(value: number): string {
  return `${value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)} ms`;
}

function gigabytes(bytes: number): string {
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(0)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}

function share(value: number | null): string {
  return value === null ? "" : value.toFixed(3);
}

function whole(value: number): string {
  return value.toFixed(0);
}

function listed(values: Record<string, string>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name} ${value}`)
    .join(", ");
}
