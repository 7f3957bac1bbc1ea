/**
 * Compares this library with stores that run in the process and install from npm, doing the same work: search, filtered search, replacing a training of
 * 200 chunks, deleting it, and reopening after the process was killed in the middle of a replacement.
 *
 *   npm ci --prefix bench && npm run bench:stores             10,000 chunks
 *   npm run bench:stores -- --chunks 10000,100000 --stores library,sqlite-vec --kills 10
 *
 * The library is measured on the server of `DATABASE_URL`, and left out without one. Writes stores.json and stores.md.
 */
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { loadEnvFile } from "../../tooling/env-file.js";
import { describeMachine, describePackages } from "../machine.js";
import { mean, median, quantile, timed } from "../statistics.js";
import { storeNamed, STORES } from "./all-stores.js";
import { measureCrashes } from "./crash.js";
import { dropLibraryStore } from "./library-store.js";
import { STORE_DIMENSIONS, type Store, type StoreFilter } from "./store.js";
import { REPLACED, StoreData } from "./store-data.js";
import { storesMarkdown } from "./store-report.js";
import type { StoreFigures, StoreResults } from "./store-results.js";

const K = 10;
const CHUNKS_PER_CLUSTER = 200;
const ROUNDS = 5;
const WARM_UP = 20;
const MILLISECONDS_PER_FILTER = 20_000;
const FILTERS: readonly { name: string; filter: StoreFilter | undefined }[] = [
  { name: "none", filter: undefined },
  { name: "10 %", filter: { field: "grupo", value: "g7" } },
  { name: "1 %", filter: { field: "tag", value: "t42" } },
];
const FAISS =
  "faiss-node: its install downloads a binary from outside of npm, or the source of FAISS, which failed here";

const { values } = parseArgs({
  options: {
    chunks: { type: "string", default: "10000" },
    stores: { type: "string", default: Object.keys(STORES).join(",") },
    questions: { type: "string", default: "100" },
    kills: { type: "string", default: "10" },
    output: { type: "string", default: fileURLToPath(new URL("../results", import.meta.url)) },
  },
});
loadEnvFile();
const [questions, kills] = [Number(values.questions), Number(values.kills)];
const results: StoreResults = {
  date: new Date().toISOString(),
  arguments: process.argv.slice(2),
  machine: describeMachine(),
  versions: describePackages(),
  leftOut: [FAISS],
  figures: [],
};
await mkdir(values.output, { recursive: true });
for (const chunks of values.chunks.split(",").map(Number)) {
  const clusters = Math.max(Math.round(chunks / CHUNKS_PER_CLUSTER), 1);
  const data = new StoreData(clusters);
  const exact = findExactly(data, chunks);
  for (const name of values.stores.split(",")) {
    const folder = await mkdtemp(join(tmpdir(), "bench_store_"));
    try {
      const figures = await measureStore(name, folder, { data, chunks, clusters, exact });
      if (figures) results.figures.push(figures);
      else results.leftOut.push(`${name}: not installed, or without DATABASE_URL`);
      await writeFile(join(values.output, "stores.json"), `${JSON.stringify(results, null, 2)}\n`);
      await writeFile(join(values.output, "stores.md"), storesMarkdown(results));
    } finally {
      await rm(folder, { recursive: true, force: true });
      if (name === "library") await dropLibraryStore(folder);
    }
  }
}
console.log(storesMarkdown(results));

interface Setup {
  data: StoreData;
  chunks: number;
  clusters: number;
  exact: ExactNearest;
}

async function measureStore(name: string, folder: string, setup: Setup): Promise<StoreFigures | undefined> {
  const { data, chunks, clusters, exact } = setup;
  const store = await storeNamed(name)(folder);
  if (!store) return undefined;
  progress(`${store.name}: loading ${chunks} chunks`);
  const loadSeconds = (await timed(() => store.load(data.batches(chunks)))) / 1000;
  progress(`${store.name}: loaded in ${loadSeconds.toFixed(1)} s, searching`);
  const searches = [];
  for (const { name: filter, filter: condition } of FILTERS) {
    searches.push({ filter, ...(await measureSearches(store, data, condition, exact.get(filter) ?? [])) });
  }
  progress(`${store.name}: replacing and deleting`);
  const times = { replace: [] as number[], search: [] as number[], remove: [] as number[] };
  let version = 0;
  for (let round = 0; round < ROUNDS; round++) {
    await store.replace(REPLACED, data.version(version++)); // the first one is new
    const next = data.version(version++);
    times.replace.push(await timed(() => store.replace(REPLACED, next)));
    times.search.push(...(await timesOfSearches(store, data, undefined, 20)).milliseconds);
    times.remove.push(await timed(() => store.remove(REPLACED)));
  }
  await store.replace(REPLACED, data.version(version));
  await store.close();
  const megabytes = name === "library" ? NaN : (await bytesOf(folder)) / 1e6;
  progress(`${store.name}: ${kills} crashes`);
  const crash = await measureCrashes(name, folder, data, { kills, clusters, lastVersion: version });
  progress(`${store.name}: ${JSON.stringify(crash)}`);
  return {
    ...{ store: store.name, chunks, loadSeconds, megabytes, searches, crash },
    replaceMilliseconds: median(times.replace),
    searchAfterMilliseconds: median(times.search),
    deleteMilliseconds: median(times.remove),
  };
}

async function measureSearches(
  store: Store,
  data: StoreData,
  filter: StoreFilter | undefined,
  nearest: readonly (readonly string[])[],
): Promise<{ p50: number; p95: number; recallAt10: number }> {
  await timesOfSearches(store, data, filter, WARM_UP);
  const { milliseconds, found } = await timesOfSearches(store, data, filter, questions);
  const recalls = found.map((texts, place) => {
    const wanted = nearest[place] ?? [];
    return wanted.filter((text) => texts.includes(text)).length / Math.max(wanted.length, 1);
  });
  return { p50: quantile(milliseconds, 0.5), p95: quantile(milliseconds, 0.95), recallAt10: mean(recalls) };
}

async function timesOfSearches(
  store: Store,
  data: StoreData,
  filter: StoreFilter | undefined,
  count: number,
): Promise<{ milliseconds: number[]; found: string[][] }> {
  const milliseconds: number[] = [];
  const found: string[][] = [];
  const began = performance.now();
  for (const vector of data.questions(count)) {
    if (performance.now() - began > MILLISECONDS_PER_FILTER) break;
    const started = performance.now();
    found.push(await store.search(vector, K, filter));
    milliseconds.push(performance.now() - started);
  }
  return { milliseconds, found };
}

/** By the name of the filter, the texts of the nearest chunks to each question. */
type ExactNearest = ReadonlyMap<string, string[][]>;

/** Compares all questions with all chunks, one batch after the other. */
function findExactly(data: StoreData, chunks: number): ExactNearest {
  progress(`comparing ${questions} questions with ${chunks} chunks`);
  const asked = data.questions(questions).map((vector) => Float64Array.from(vector));
  const nearest = new Map(
    FILTERS.map(({ name }): [string, { text: string; similarity: number }[][]] => [name, asked.map(() => [])]),
  );
  for (const batch of data.batches(chunks)) {
    for (const chunk of batch) {
      for (const [place, question] of asked.entries()) {
        let similarity = 0;
        for (let at = 0; at < STORE_DIMENSIONS; at++) similarity += (question[at] ?? 0) * (chunk.vector[at] ?? 0);
        for (const { name, filter } of FILTERS) {
          if (filter && chunk[filter.field] !== filter.value) continue;
          const best = nearest.get(name)?.[place] ?? [];
          if (best.length === K && similarity <= (best.at(-1)?.similarity ?? 0)) continue;
          best.push({ text: chunk.text, similarity });
          best.sort((left, right) => right.similarity - left.similarity);
          best.length = Math.min(best.length, K);
        }
      }
    }
  }
  return new Map([...nearest].map(([name, lists]) => [name, lists.map((list) => list.map(({ text }) => text))]));
}

async function bytesOf(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  let bytes = 0;
  for (const entry of entries) if (entry.isFile()) bytes += (await stat(join(entry.parentPath, entry.name))).size;
  return bytes;
}

function progress(message: string): void {
  console.error(message);
}
