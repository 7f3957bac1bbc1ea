import { subscribe, tracingChannel, unsubscribe } from "node:diagnostics_channel";
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import { BasicTracerProvider } from "@opentelemetry/sdk-trace-base";
import { instrument } from "langchain-training-index/telemetry";
import { KnownVectors } from "./contenders/known-vectors.js";
import { LibraryContender } from "./contenders/library.js";
import { ChunkSource, clustersFor, DIMENSIONS } from "./data.js";
import type { TelemetryFigure, TelemetryFigures } from "./results.js";
import type { BenchServer } from "./server.js";
import { quantile, rotate, timed } from "./statistics.js";

const CHUNKS = 2000;
const K = 5;
const CHANNELS = ["search", "upsert", "embedding", "statement"].map((name) => `langchain-training-index:${name}`);
/** Searches in one situation before the next has its turn: the first ones after a change of subscribers are slower. */
const SEARCHES_PER_TURN = 100;
const CHECKS = 1_000_000;

/** Who listens: `begin` returns a function that stops it. */
interface Situation {
  name: string;
  begin: () => () => void;
}

/** The situation that the others are compared with. */
const NOBODY = "nobody listens";
const SITUATIONS: readonly Situation[] = [
  { name: NOBODY, begin: () => () => undefined },
  { name: "nobody listens, again", begin: () => () => undefined }, // how much two equal situations differ
  { name: "a subscriber of every channel", begin: () => subscribeTo(CHANNELS) },
  { name: "instrument(), spans and metrics kept by no one", begin: instrumentWithoutExport },
];

/** Searches of a question's text, so that all channels of a search are used, in turns with and without subscribers. */
export async function measureTelemetry(server: BenchServer, queries: number): Promise<TelemetryFigures> {
  const source = new ChunkSource(clustersFor(CHUNKS));
  const questions = source.take(queries).map((chunk, place) => ({ ...chunk, text: `question ${place}` }));
  const chunks = source.take(CHUNKS);
  const embeddings = new KnownVectors(DIMENSIONS);
  embeddings.learn([...questions, ...chunks]);
  const library = await LibraryContender.open(server, { name: NOBODY, dimensions: DIMENSIONS, embeddings });
  await library.bulkLoad(chunks);
  await server.prepareForSearches();
  const ask = (place: number): Promise<unknown> =>
    library.index.similar(questions[place % questions.length]?.text ?? "", { k: K });
  for (let place = 0; place < questions.length; place++) await ask(place); // opens connections, prepares statements

  const times = new Map<Situation, number[]>(SITUATIONS.map((situation) => [situation, []]));
  for (let round = 0; round * SEARCHES_PER_TURN < 5 * queries; round++) {
    for (const situation of rotate(SITUATIONS, round)) {
      const stop = situation.begin();
      for (let place = 0; place < SEARCHES_PER_TURN; place++) {
        times.get(situation)?.push(await timed(() => ask(round * SEARCHES_PER_TURN + place)));
      }
      stop();
    }
  }
  const checksMicroseconds = await measureChecks(() => ask(0));
  await server.dropSchema(library.schema);
  const situations = [...times].map(([{ name }, measured]): TelemetryFigure => ({
    situation: name,
    p50Milliseconds: quantile(measured, 0.5),
    p95Milliseconds: quantile(measured, 0.95),
    answers: measured.length,
  }));
  return { chunks: CHUNKS, situations, checksMicroseconds };
}

/** How long a search takes to ask whether someone listens: as often as it publishes something, times what asking takes. */
async function measureChecks(search: () => Promise<unknown>): Promise<number> {
  let published = 0;
  const stop = subscribeTo(CHANNELS, () => (published += 1));
  await search();
  stop();
  const channels = CHANNELS.map((name) => tracingChannel(name));
  let listeners = 0;
  const milliseconds = await timed(() => {
    for (let check = 0; check < CHECKS; check++) {
      const { start, end, asyncStart, asyncEnd, error } = channels[check % channels.length] ?? tracingChannel("none");
      if ([start, end, asyncStart, asyncEnd, error].some((channel) => channel.hasSubscribers)) listeners += 1;
    }
    return Promise.resolve();
  });
  if (listeners > 0) throw new Error("someone listens while the checks are measured");
  return (published * milliseconds * 1000) / CHECKS;
}

function subscribeTo(channels: readonly string[], onStart: () => void = () => undefined): () => void {
  const onEnd = (): void => undefined;
  for (const name of channels) {
    subscribe(`tracing:${name}:start`, onStart);
    subscribe(`tracing:${name}:asyncEnd`, onEnd);
  }
  return () => {
    for (const name of channels) {
      unsubscribe(`tracing:${name}:start`, onStart);
      unsubscribe(`tracing:${name}:asyncEnd`, onEnd);
    }
  };
}

function instrumentWithoutExport(): () => void {
  return instrument({ tracerProvider: new BasicTracerProvider(), meterProvider: new MeterProvider() });
}
