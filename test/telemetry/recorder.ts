import { context, trace, type Attributes } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import {
  AggregationTemporality,
  DataPointType,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base";
import type { ReadableSpan } from "@opentelemetry/sdk-trace-base";
import { instrument, type InstrumentOptions } from "langchain-training-index/telemetry";
import { onTestFinished } from "vitest";

/** One value of a counter, or the number of values of a histogram. */
interface Point {
  metric: string;
  attributes: Attributes;
  value: number;
}

/** Spans and metrics of a test, in memory. */
export interface Recorder {
  provider: BasicTracerProvider;
  spans: () => ReadableSpan[];
  points: () => Promise<Point[]>;
  /** Forgets the spans so far. */
  reset: () => void;
  stop: () => void;
}

/** Instruments the library until the test ends. */
export function record(options: InstrumentOptions = {}): Recorder {
  const exporter = new InMemorySpanExporter();
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  const metricExporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter: metricExporter, exportIntervalMillis: 3_600_000 });
  const meterProvider = new MeterProvider({ readers: [reader] });
  const stop = instrument({ tracerProvider: provider, meterProvider, ...options });
  onTestFinished(async () => {
    stop();
    await provider.shutdown();
    await meterProvider.shutdown();
  });
  return {
    provider,
    spans: () => exporter.getFinishedSpans(),
    points: async () => {
      await reader.forceFlush();
      const metrics =
        metricExporter
          .getMetrics()
          .at(-1)
          ?.scopeMetrics.flatMap(({ metrics: found }) => found) ?? [];
      return metrics.flatMap(({ descriptor, dataPointType, dataPoints }) =>
        dataPoints.map(({ attributes, value }) => ({
          metric: descriptor.name,
          attributes,
          value: dataPointType === DataPointType.HISTOGRAM ? (value as { count: number }).count : (value as number),
        })),
      );
    },
    reset: () => {
      exporter.reset();
    },
    stop,
  };
}

/** Registers OpenTelemetry's context manager, as an application's set-up does, until the test ends. */
export function registerContextManager(): void {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  onTestFinished(() => {
    context.disable();
    trace.disable();
  });
}

/** The names of spans as a tree: children are indented below their parent, in the order in which they began. */
export function treeOf(spans: readonly ReadableSpan[]): string[] {
  const startOf = ({ startTime: [seconds, nanoseconds] }: ReadableSpan): number => seconds * 1e9 + nanoseconds;
  const ordered = [...spans].sort((left, right) => startOf(left) - startOf(right));
  const known = new Set(spans.map((span) => span.spanContext().spanId));
  const below = (parent: string | undefined, depth: number): string[] =>
    ordered
      .filter(({ parentSpanContext }) =>
        parent === undefined ? !known.has(parentSpanContext?.spanId ?? "") : parentSpanContext?.spanId === parent,
      )
      .flatMap((span) => ["  ".repeat(depth) + span.name, ...below(span.spanContext().spanId, depth + 1)]);
  return below(undefined, 0);
}
