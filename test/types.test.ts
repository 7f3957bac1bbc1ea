/** Types of the public API. `npm run check:types` is what fails if one changes: nothing here runs. */
import type { Document } from "@langchain/core/documents";
import {
  citedContext,
  type AnySearchOptions,
  type ChunkHit,
  type FoundHit,
  type Hit,
  type HybridHit,
  type Metadata,
  type SearchMode,
  type SimilarOptions,
  type TextHit,
  type TrainingHit,
  type TrainingIndex,
  type TrainingTool,
  type TrainingToolRuntime,
} from "langchain-training-index";
import { healthHandler, similarityHandler, trainingsHandler } from "langchain-training-index/http";
import type { ClientTool } from "@langchain/core/tools";
import type { ToolMessage } from "langchain";
import { describe, expect, expectTypeOf, it } from "vitest";

/** Metadata of a host. An interface, which has no index signature. */
interface Article {
  tag: string;
  ano: number;
}

/** Its argument is compiled, and not run. */
function compiles(code: (plain: TrainingIndex, articles: TrainingIndex<Article>) => unknown): void {
  expect(code).toBeTypeOf("function");
}

describe("an index with the host's metadata", () => {
  it("keeps its type in reads, in narrowed indexes, and in what it is compared with", () => {
    compiles(async (plain, articles) => {
      expectTypeOf(articles.withFilter({ tag: "frete" })).toEqualTypeOf<TrainingIndex<Article>>();
      expectTypeOf((await articles.get("a"))?.metadata).toEqualTypeOf<Article | undefined>();
      for await (const { metadata } of articles.list()) expectTypeOf(metadata).toEqualTypeOf<Article>();
      expectTypeOf((await articles.chunks("a"))[0]?.metadata).toEqualTypeOf<Article | undefined>();
      expectTypeOf((await plain.get("a"))?.metadata).toEqualTypeOf<Metadata | undefined>();
      const metadata: Article = { tag: "frete", ano: 2026 };
      await articles.verify([{ id: "a", content: "b", metadata }]);
      await articles.reconcile([{ id: "a", revision: 1, load: () => ({ id: "a", content: "b", metadata }) }]);
      // @ts-expect-error: the metadata lacks a key
      await articles.reconcile([{ id: "a", content: "b", metadata: { tag: "frete" } }]);
    });
  });
});

describe("hits", () => {
  it("have the fields of their mode and strategy", () => {
    compiles(async (plain) => {
      expectTypeOf(await plain.similar("frete")).toEqualTypeOf<ChunkHit[]>();
      expectTypeOf(await plain.similar("frete", { mode: "text" })).toEqualTypeOf<TextHit[]>();
      expectTypeOf(await plain.similar("frete", { mode: "hybrid", k: 3 })).toEqualTypeOf<HybridHit[]>();
      expectTypeOf(await plain.similar("frete", { strategy: "trainings" })).toEqualTypeOf<TrainingHit<"vector">[]>();
      expectTypeOf((await plain.similar("frete"))[0]?.metadata).toEqualTypeOf<Metadata | undefined>();
    });
  });

  it("have the host's own metadata", () => {
    compiles(async (_plain, articles) => {
      const [hit] = await articles.similar("frete", { mode: "hybrid" });
      expectTypeOf(hit).toEqualTypeOf<HybridHit<Article> | undefined>();
      expectTypeOf(hit?.metadata.ano).toEqualTypeOf<number | undefined>();
      const [training] = await articles.similar("frete", { strategy: "trainings" });
      expectTypeOf(training?.chunks[0]?.metadata).toEqualTypeOf<Article | undefined>();
      const [document] = await articles.asRetriever().invoke("frete");
      expectTypeOf(document?.metadata.tag).toEqualTypeOf<string | undefined>();
      expectTypeOf(document?.metadata.trainingIndex.score).toEqualTypeOf<number | undefined>();
      // @ts-expect-error: the host's metadata has no such key
      return hit?.metadata.autor;
    });
  });
});

describe("writes", () => {
  it("take the host's own metadata", () => {
    compiles((plain, articles) => [
      articles.upsertTraining({ id: 1, content: "frete", metadata: { tag: "frete", ano: 2026 } }),
      articles.upsertTrainings([{ id: 1, documents: ["frete"], metadata: { tag: "frete", ano: 2026 } }]),
      plain.upsertTraining({ id: 1, content: "frete", metadata: { qualquer: [1] } }),
      // @ts-expect-error: ano is a number
      articles.upsertTraining({ id: 1, content: "frete", metadata: { tag: "frete", ano: "2026" } }),
      // @ts-expect-error: ano is missing
      articles.upsertTrainings([{ id: 1, content: "frete", metadata: { tag: "frete" } }]),
    ]);
  });
});

describe("an index with the host's own metadata", () => {
  it("fits wherever an index does", () => {
    compiles(async (_plain, articles) => {
      similarityHandler(articles);
      trainingsHandler(articles, { authorize: () => true });
      healthHandler(articles);
      citedContext(await articles.similar("frete"));
      citedContext(await articles.asRetriever().invoke("frete"));
      articles.asTool({ name: "search", description: "Searches." });
      const documents: Document[] = await articles.asRetriever().invoke("frete");
      return documents;
    });
  });
});

describe("handlers", () => {
  it("refuse options that would serve requests wrongly, or anybody", () => {
    compiles((plain) => {
      trainingsHandler(plain, { authorize: () => true, options: () => ({ filter: { empresa: "acme" } }) });
      similarityHandler(plain, { options: () => ({ filter: { empresa: "acme" }, k: 3 }) });
      // @ts-expect-error: authorize is required
      trainingsHandler(plain, {});
      // @ts-expect-error: not an option of a request
      trainingsHandler(plain, { authorize: () => true, options: () => ({ empresa: "acme" }) });
      // @ts-expect-error: the time is missing
      similarityHandler(plain, { rate: { requests: 5 } });
      // @ts-expect-error: a request has no mode of its own
      similarityHandler(plain, { options: () => ({ mode: "text" }) });
    });
  });
});

describe("SimilarOptions", () => {
  it("is the type of a variable, in any mode", () => {
    compiles(async (plain) => {
      const options: SimilarOptions = { mode: "hybrid", k: 3, minScore: 0.2 };
      expectTypeOf(await plain.similar("frete", options)).toEqualTypeOf<Hit[]>();
      const named: SimilarOptions<"hybrid"> = { mode: "hybrid" };
      expectTypeOf(await plain.similar("frete", named)).toEqualTypeOf<HybridHit[]>();
      const any: AnySearchOptions = { strategy: "trainings", mode: "text" };
      expectTypeOf(await plain.similar("frete", any)).toEqualTypeOf<FoundHit<SearchMode, "chunks" | "trainings">[]>();
    });
  });

  it("refuses combinations that cannot work, and takes those that can", () => {
    compiles((plain) => [
      plain.similar("frete", { mode: "text", minScore: 0.2 }),
      plain.similar("frete", { mode: "hybrid", maxDistance: 0.5, rerank: (_question, hits) => hits }),
      plain.similar("frete", { mmr: { fetchK: 20 } }),
      // @ts-expect-error: a search by words has no distances
      plain.similar("frete", { mode: "text", maxDistance: 0.5 }),
      // @ts-expect-error: MMR compares vectors
      plain.similar("frete", { mode: "hybrid", mmr: {} }),
      // @ts-expect-error: MMR chooses chunks
      plain.similar("frete", { strategy: "trainings", mmr: {} }),
      // @ts-expect-error: a reranker orders chunks
      plain.similar("frete", { strategy: "trainings", rerank: (_question: string, hits: Hit[]) => hits }),
      // @ts-expect-error: not a mode
      plain.similar("frete", { mode: "bm25" }),
      // @ts-expect-error: not an option
      plain.similar("frete", { filters: {} }),
    ]);
  });
});

describe("a tool", () => {
  it("is one of LangChain's, and its filter reads the host's context", () => {
    compiles(async (plain) => {
      const tool = plain.asTool<{ empresa: string }>({
        name: "search",
        description: "Searches.",
        filter: ({ context }) => ({ empresa: context.empresa }),
      });
      expectTypeOf(tool).toEqualTypeOf<TrainingTool<{ empresa: string }>>();
      expectTypeOf(tool).toExtend<ClientTool>();
      expectTypeOf(await tool.invoke({ query: "frete" })).toEqualTypeOf<string>();
      const call = { name: "search", args: { query: "frete" }, id: "1", type: "tool_call" } as const;
      expectTypeOf(await tool.invoke(call)).toExtend<ToolMessage>();
      // @ts-expect-error: the question is missing
      await tool.invoke({ grupo: "vendas" });
      expectTypeOf<TrainingToolRuntime<Article>["context"]>().toEqualTypeOf<Article>();
    });
  });
});
