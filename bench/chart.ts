import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { chartSpecification } from "./chart-specification.js";
import { importOptional, INSTALL_COMMAND } from "./contenders/optional.js";
import type { Results } from "./results.js";

/** What is used of `vega-lite`. */
interface VegaLiteModule {
  compile(specification: object): { spec: object };
}

/** What is used of `vega`. */
interface VegaModule {
  parse(specification: object): object;
  View: new (runtime: object, options: { renderer: "none" }) => { toSVG(): Promise<string> };
}

/** Makes `chart.svg` from the `results.json` beside it, and from nothing else. */
export async function drawChart(folder: string): Promise<void> {
  const vegaLite = await importOptional<VegaLiteModule>("vega-lite");
  const vega = await importOptional<VegaModule>("vega");
  if (!vegaLite || !vega) {
    console.error(
      `No chart: what draws it is not installed (${INSTALL_COMMAND}, then npm run bench -- chart)`,
    );
    return;
  }
  const results = JSON.parse(await readFile(join(folder, "results.json"), "utf8")) as Results;
  if (results.searches.length === 0 || results.writes.length === 0) {
    console.error("No chart: it shows searches and writes, and this run left one of them out");
    return;
  }
  const { spec } = vegaLite.compile(chartSpecification(results));
  const svg = await new vega.View(vega.parse(spec), { renderer: "none" }).toSVG();
  await writeFile(join(folder, "chart.svg"), `${svg}\n`);
}
