import { LIBRARY_WIDE } from "./contenders/contender.js";
import { ALL_CHUNKS, DIMENSIONS } from "./data.js";
import { answersTo, SEEDED, sizesOf } from "./figures.js";
import type { Results, WriteSituation } from "./results.js";

const WIDTH = 520;
const BAR_HEIGHT = 22;
/** Bars of this library and of others. Distinct for colour-blind readers too, and on light and dark themes. */
const COLOURS = { ours: "#0969da", others: "#8c959f" };
const FONT = "-apple-system, 'Segoe UI', Helvetica, Arial, sans-serif";

const LOGARITHMIC_TICKS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];

interface Bar {
  contender: string;
  value: number;
  label: string;
  whose: "ours" | "others";
}

/** A chart in the grammar of Vega-Lite. @see https://vega.github.io/vega-lite/docs/ */
export function chartSpecification(results: Results): object {
  const [chunks = 0] = sizesOf(results, SEEDED);
  const searches = answersTo(results, { data: SEEDED, chunks, k: 5, filter: ALL_CHUNKS.name });
  const { machine, versions } = results;
  return {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json",
    background: "white",
    padding: 16,
    title: {
      text: "langchain-training-index compared with others",
      subtitle: [
        `One run on one server, vectors of ${count(DIMENSIONS)} dimensions`,
        `${machine.cores} cores of ${machine.processor}, ${results.date.slice(0, 10)}`,
        `Postgres ${versions["Postgres"] ?? "?"}, pgvector ${versions["pgvector"] ?? "?"}, ` +
          `Node ${versions["Node"] ?? "?"}`,
      ],
      anchor: "start",
      frame: "group",
      offset: 12,
    },
    vconcat: [
      panel(
        `Search among ${count(chunks)} chunks, k = 5`,
        { title: "median, milliseconds, logarithmic: shorter is better", isLogarithmic: true },
        searches
          .filter(({ contender }) => contender !== LIBRARY_WIDE)
          .map(({ contender, p50Milliseconds }) =>
            bar(contender, p50Milliseconds, `${p50Milliseconds.toPrecision(3)} ms`),
          ),
      ),
      writePanel(results, "no vector index", "Load without a vector index"),
      writePanel(results, "live vector index", "Writes into a live vector index"),
    ],
    config: {
      font: FONT,
      view: { stroke: null },
      axis: { labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal", labelLimit: 300 },
      title: { fontSize: 14, subtitleFontSize: 12, subtitleColor: "#57606a" },
    },
  };
}

function writePanel(results: Results, situation: WriteSituation, title: string): object {
  const bars = results.writes
    .filter((figure) => figure.situation === situation)
    .map(({ contender, rowsPerSecond }) => bar(contender, rowsPerSecond, count(Math.round(rowsPerSecond))));
  return panel(title, { title: "rows per second: longer is better", isLogarithmic: false }, bars);
}

function panel(title: string, scale: { title: string; isLogarithmic: boolean }, bars: readonly Bar[]): object {
  // Bars on a logarithmic scale cannot start at zero.
  const lowest = Math.min(...bars.map(({ value }) => value));
  const highest = Math.max(...bars.map(({ value }) => value));
  const start = scale.isLogarithmic ? lowest / 2 : 0;
  const y = { field: "contender", type: "nominal", sort: null, title: null };
  const x = {
    field: "value",
    type: "quantitative",
    title: scale.title,
    scale: scale.isLogarithmic
      ? { type: "log", domain: [start, highest * 2], nice: false }
      : { domain: [0, highest * 1.15], nice: false },
    axis: {
      grid: true,
      gridColor: "#d8dee4",
      ...(scale.isLogarithmic
        ? { values: LOGARITHMIC_TICKS.filter((tick) => tick >= start && tick <= highest * 2), format: "~g" }
        : { tickCount: 5, format: ",d" }),
    },
  };
  return {
    title: { text: title, anchor: "start", frame: "group", fontSize: 13, offset: 8 },
    width: WIDTH,
    height: { step: BAR_HEIGHT },
    data: { values: bars },
    layer: [
      {
        mark: { type: "bar" },
        encoding: {
          y,
          x,
          x2: { datum: start },
          color: {
            field: "whose",
            scale: { domain: Object.keys(COLOURS), range: Object.values(COLOURS) },
            legend: null,
          },
        },
      },
      {
        mark: { type: "text", align: "left", dx: 4, fontSize: 12 },
        encoding: { y, x, text: { field: "label" } },
      },
    ],
  };
}

function bar(contender: string, value: number, label: string): Bar {
  return { contender, value, label, whose: contender.startsWith("this library") ? "ours" : "others" };
}

function count(value: number): string {
  return value.toLocaleString("en");
}
