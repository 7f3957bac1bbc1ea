import { bareSearch, handWrittenPlans } from "./contenders/bare-sql.js";
import { LIBRARY_WIDE, LLAMAINDEX, MASTRA, type Contender } from "./contenders/contender.js";
import { KnownVectors } from "./contenders/known-vectors.js";
import { INSTALL_COMMAND } from "./contenders/optional.js";
import { ALL_CHUNKS, FILTERS, type ChunkSource, type Dataset } from "./data.js";
import { measureEdits } from "./edits.js";
import { measureLiveWrites } from "./live-writes.js";
import { closeLoaded, Loader, type Loaded } from "./loads.js";
import type { MemoryLog } from "./memory.js";
import type { BenchOptions } from "./options.js";
import type { Results } from "./results.js";
import { measureSearches, type SelectionContenders } from "./searches.js";
import type { BenchServer } from "./server.js";
import { measureSizes } from "./sizes.js";
import { measureThroughput } from "./throughput.js";

/** What all stages share: what they use, and the results that they add to. */
export interface Bench {
  server: BenchServer;
  options: BenchOptions;
  memory: MemoryLog;
  results: Results;
  progress: (message: string) => void;
}

/** `efSearch` of this library's wider search. */
const WIDE_EF_SEARCH = 100;

/** What to measure of a data set. */
export interface DatasetPlan {
  dataset: Dataset;
  /** Only the seeded data has metadata to filter by, and enough chunks to time a load. */
  isSeeded: boolean;
  onlyQuick: boolean;
  /** A source of more such chunks, if writes and edits are to be measured too. */
  source: ChunkSource | undefined;
}

/** Loads a data set into all contenders, and measures the parts that the options name. */
export async function measureDataset(bench: Bench, plan: DatasetPlan): Promise<void> {
  const { server, options, results, memory } = bench;
  const { dataset, source } = plan;
  const name = `${dataset.name}, ${dataset.chunks.length} chunks`;
  const stage = (what: string): void => {
    memory.note(`${name}: ${what}`);
  };
  const embeddings = new KnownVectors(dataset.dimensions);
  embeddings.learn(dataset.chunks);
  stage("data made");

  bench.progress(`${name}: loading`);
  const measuresWrites = options.parts.has("writes");
  const loader = new Loader(server, embeddings, dataset, {
    rounds: measuresWrites && source ? options.rounds : 1,
    isTimed: measuresWrites,
    onlyQuick: plan.onlyQuick,
  });
  const { loaded, figures } = await loader.load();
  if (measuresWrites && plan.isSeeded) results.writes.push(...figures);
  if (!plan.onlyQuick) noteMissing(loaded, results);
  await server.prepareForSearches();
  results.sizes.push(...(await measureSizes(server, dataset, loaded)));
  stage("loaded");

  if (options.parts.has("searches")) {
    bench.progress(`${name}: searching`);
    results.searches.push(...(await measureSearches(dataset, searchCases(bench, plan, loaded))));
    stage("searched");
  }
  if (options.parts.has("throughput") && plan.isSeeded) {
    bench.progress(`${name}: searching for many callers`);
    results.throughput.push(...(await measureThroughput(dataset, throughputContenders(bench, loaded))));
    stage("searched for many callers");
  }
  if (measuresWrites && source) {
    bench.progress(`${name}: writing with the vector index live`);
    const live = await measureLiveWrites(server, loaded, source, {
      rounds: options.rounds,
      rows: options.liveRows,
      rowsBefore: dataset.chunks.length,
      learn: (chunks) => {
        embeddings.learn(chunks);
      },
    });
    results.writes.push(...live);
    stage("written with the vector index live");
  }
  if (options.parts.has("edits") && source) {
    bench.progress(`${name}: editing`);
    results.edits.push(...(await measureEdits(server, loaded, embeddings)));
    stage("edited");
  }
  await closeLoaded(loaded);
  await server.clear();
}

function searchCases({ server }: Bench, { isSeeded }: DatasetPlan, loaded: Loaded): SelectionContenders[] {
  const others = otherContenders(loaded);
  const unfiltered = {
    selection: ALL_CHUNKS,
    contenders: [
      bareSearch(loaded.bareTable, server),
      loaded.library,
      loaded.library.withEfSearch(LIBRARY_WIDE, WIDE_EF_SEARCH),
      ...others,
    ],
  };
  if (!isSeeded) return [unfiltered];
  const plans = handWrittenPlans(loaded.bareTable, server);
  return [
    unfiltered,
    ...FILTERS.map((selection) => ({ selection, contenders: [...plans, loaded.library, ...others] })),
  ];
}

function throughputContenders({ server }: Bench, loaded: Loaded): Contender[] {
  return [bareSearch(loaded.bareTable, server), loaded.library, ...otherContenders(loaded)];
}

function otherContenders({ halfvec, bit, pgVectorStore, mastra, llamaIndex }: Loaded): Contender[] {
  return [halfvec, bit, pgVectorStore, mastra, llamaIndex].filter((contender) => contender !== undefined);
}

function noteMissing({ mastra, llamaIndex }: Loaded, { leftOut }: Results): void {
  const missing = [...(mastra ? [] : [MASTRA]), ...(llamaIndex ? [] : [LLAMAINDEX])];
  const note = `${missing.join(" and ")}: not installed (${INSTALL_COMMAND})`;
  if (missing.length > 0 && !leftOut.includes(note)) leftOut.push(note);
}
