import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { chartSpecification } from "./chart-specification.js";
import { importOptional, INSTALL_COMMAND } from "./contenders/optional.js";
import type { Results } from "./results.js";

/** The part of `vega-lite` that is used. */
interface VegaLiteModule {
  compile(specification: object): { spec: object };
}

/** The part of `vega` that is used. */
interface VegaModule {
  parse(specification: object): object;
  View: new (runtime: object, options: { renderer: "none" }) => { toSVG(): Promise<string> };
}

/** Draws `chart.svg` from the `results.json` in the same folder. */
export async function drawChart(folder: string): Promise<void> {
  const vegaLite = await importOptional<VegaLiteModule>("vega-lite");
  const vega = await importOptional<VegaModule>("vega");
  if (!vegaLite || !vega) {
    console.error(
      `No chart: vega and vega-lite are not installed. Run ${INSTALL_COMMAND}, then npm run bench -- chart`,
    );
    return;
  }
  const results = JSON.parse(await readFile(join(folder, "results.json"), "utf8")) as Results;
  if (results.searches.length === 0 || results.writes.length === 0) {
    console.error("No chart: it needs searches and writes, and this run left one of them out (--parts)");
    return;
  }
  const { spec } = vegaLite.compile(chartSpecification(results));
  const svg = await new vega.View(vega.parse(spec), { renderer: "none" }).toSVG();
  await writeFile(join(folder, "chart.svg"), `${svg}\n`);
}
