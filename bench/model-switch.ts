/**
 * Measures how long writes and searches wait while the embedding model is switched, without and with an open transaction of the host.
 *
 *   npm run bench:switch                           100,000 trainings, about 4 minutes
 *   npm run bench:switch -- --trainings 10000 --open-seconds 20
 *
 * On the server of `DATABASE_URL`, else in a container. The vectors have 64 components: what is measured is the wait for locks.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { TrainingIndex, type SwitchProgress, type Training } from "langchain-training-index";
import { migrate } from "langchain-training-index/migrations";
import { HashingEmbeddings } from "langchain-training-index/testing";
import type pg from "pg";
import { loadEnvFile } from "../tooling/env-file.js";
import { table } from "../tooling/table.js";
import { BenchServer } from "./server.js";
import { timed } from "./statistics.js";

const DIMENSIONS = 64;
const PAUSE_MS = 5;

/** A model under a name of its own. Its vectors are those of the hashing embedder: what they are does not matter here. */
class NamedEmbeddings extends HashingEmbeddings {
  override readonly profile;

  constructor(model: string) {
    super({ dimensions: DIMENSIONS });
    this.profile = { model, dimensions: DIMENSIONS, queryPrefix: "", documentPrefix: "" };
  }
}

/** The longest wait so far, in milliseconds. */
interface Longest {
  write: number;
  search: number;
}

const { values } = parseArgs({
  options: {
    trainings: { type: "string", default: "100000" },
    "open-seconds": { type: "string", default: "60" },
  },
});
const [count, openSeconds] = [Number(values.trainings), Number(values["open-seconds"])];
loadEnvFile();
const server = await BenchServer.start();
try {
  await measure(server);
} finally {
  await server.clear();
  await server.stop();
}

async function measure(bench: BenchServer): Promise<void> {
  const { pool } = bench;
  const schema = bench.schemaName("switch");
  await migrate(pool, { schema, dimensions: DIMENSIONS });
  const [first, second] = [new NamedEmbeddings("first"), new NamedEmbeddings("second")];
  const index = await TrainingIndex.initialize([second, first], { pool, schema });
  console.error(`loading ${count} trainings of a chunk each`);
  await index.bulkLoad(trainings(), { maintenanceWorkMem: "1GB" });

  const rows: (string | number)[][] = [];
  for (const [name, target, seconds] of [
    ["to a new model", second, 0],
    ["back", first, 0],
    [`with a transaction of ${openSeconds} s that has written`, second, openSeconds],
  ] as const) {
    console.error(`switching ${name}`);
    const longest: Longest = { write: 0, search: 0 };
    const stopped = new AbortController();
    const load = Promise.all([write(index, longest, stopped.signal), search(index, longest, stopped.signal)]);
    let open: Promise<void> | undefined;
    let builtAt: number | undefined;
    const onProgress = ({ phase }: SwitchProgress): void => {
      if (phase !== "building") builtAt ??= performance.now();
      if (phase === "checking" && seconds > 0) open ??= holdTransaction(pool, index, seconds);
    };
    const started = performance.now();
    const { flip } = await index.switchModel(target, { sample: 0, onProgress });
    const tookSeconds = (performance.now() - started) / 1000;
    await open;
    stopped.abort();
    await load;
    rows.push([
      name,
      tookSeconds.toFixed(1),
      (((builtAt ?? started) - started) / 1000).toFixed(1),
      longest.write.toFixed(0),
      longest.search.toFixed(0),
      flip?.attempts ?? "",
    ]);
  }
  console.log(`${count} trainings, one writer and one searcher`);
  console.log(
    table(
      ["switch", "seconds", "building, seconds", "longest write, ms", "longest search, ms", "attempts of the flip"],
      rows,
    ),
  );
}

/** A transaction of the host's that writes a training, and stays open. */
async function holdTransaction(pool: pg.Pool, index: TrainingIndex, seconds: number): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query("BEGIN");
    await index.upsertTraining({ id: "held", content: `Aberta por ${seconds} segundos.` }, { client });
    await sleep(seconds * 1000);
    await client.query("COMMIT");
  } finally {
    client.release();
  }
}

async function write(index: TrainingIndex, longest: Longest, signal: AbortSignal): Promise<void> {
  for (let version = 1; !signal.aborted; version++) {
    const training = { id: `training-${(version * 7919) % count}`, content: contentOf(version) };
    longest.write = Math.max(longest.write, await timed(() => index.upsertTraining(training)));
    await sleep(PAUSE_MS);
  }
}

async function search(index: TrainingIndex, longest: Longest, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    longest.search = Math.max(longest.search, await timed(() => index.similar("prazo de entrega")));
    await sleep(PAUSE_MS);
  }
}

function* trainings(): Generator<Training> {
  for (let number = 0; number < count; number++) yield { id: `training-${number}`, content: contentOf(number) };
}

function contentOf(number: number): string {
  return `O prazo de entrega do pedido ${number} é de ${number % 31} dias, e o frete custa ${number % 97} reais.`;
}
