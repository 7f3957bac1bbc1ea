import { InvalidArgumentError } from "langchain-training-index";
import { instrument, type InstrumentOptions } from "langchain-training-index/telemetry";
import { describe, expect, it } from "vitest";
import { embeddingChannel, traced } from "../../src/calls/tracing.js";
import { record } from "./recorder.js";

describe("instrument", () => {
  it.each<[string, unknown, string]>([
    ["recordQuery", { recordQuery: true }, "recordQuery is not known to instrument: did you mean recordQueryText?"],
    ["recordQueryText", { recordQueryText: "yes" }, "recordQueryText must be true or false"],
    ["statementSpans", { statementSpans: 0 }, "statementSpans must be true or false"],
    ["tracerProvider", { tracerProvider: {} }, "tracerProvider must be a provider of OpenTelemetry"],
    ["meterProvider", { meterProvider: null }, "meterProvider must be a provider of OpenTelemetry"],
    ["options", [], "options must be an object"],
  ])("refuses a wrong %s", (option, options, message) => {
    const call = (): unknown => instrument(options as InstrumentOptions);
    expect(call).toThrow(InvalidArgumentError);
    expect(call).toThrow(
      expect.objectContaining({ option, message: expect.stringContaining(message) as string }) as Error,
    );
  });

  it.each([
    ["OpenAIEmbeddings", "openai"],
    ["AzureOpenAIEmbeddings", "azure.ai.openai"],
    ["ProfiledOllamaEmbeddings", "ollama"],
    ["OllamaEmbeddings", "ollama"],
    ["VoyageEmbeddings", "voyage"],
    ["Object", "custom"],
    ["", "custom"],
    ["constructor", "custom"],
  ])("names the provider of %s %s", async (embedder, provider) => {
    const recorder = record();
    const call = { purpose: "query", model: "m", dimensions: 2, embedder, texts: 1, characters: 3 } as const;
    await traced(
      embeddingChannel,
      () => ({ ...call }),
      () => Promise.resolve(),
    );
    expect(recorder.spans()[0]?.attributes["gen_ai.provider.name"]).toBe(provider);
  });

  it("works without an OpenTelemetry SDK", async () => {
    const stop = instrument();
    const call = { purpose: "query", model: "m", dimensions: 2, embedder: "X", texts: 1, characters: 3 } as const;
    const working = traced(
      embeddingChannel,
      () => ({ ...call }),
      () => Promise.resolve(7),
    );
    expect(await working).toBe(7);
    stop();
  });
});
