/**
 * The retrievers of `@langchain/classic` around the library's retriever and vector store: each finds the right documents and
 * keeps the filter of the retriever or the index.
 */
import { AttributeInfo } from "@langchain/classic/chains/query_constructor";
import { ContextualCompressionRetriever } from "@langchain/classic/retrievers/contextual_compression";
import { EmbeddingsFilter } from "@langchain/classic/retrievers/document_compressors/embeddings_filter";
import { EnsembleRetriever } from "@langchain/classic/retrievers/ensemble";
import { MultiQueryRetriever } from "@langchain/classic/retrievers/multi_query";
import { ParentDocumentRetriever } from "@langchain/classic/retrievers/parent_document";
import { SelfQueryRetriever } from "@langchain/classic/retrievers/self_query";
import { ScoreThresholdRetriever } from "@langchain/classic/retrievers/score_threshold";
import { BaseCallbackHandler } from "@langchain/core/callbacks/base";
import { Document, type DocumentInterface } from "@langchain/core/documents";
import { RunnableLambda, RunnablePassthrough } from "@langchain/core/runnables";
import { InMemoryStore } from "@langchain/core/stores";
import { FakeListChatModel } from "@langchain/core/utils/testing";
import { RecursiveCharacterTextSplitter } from "@langchain/textsplitters";
import {
  TrainingIndex,
  TrainingTranslator,
  type Filter,
  type TrainingVectorStore,
  type RetrieverSearch,
} from "langchain-training-index";
import { describe, expect, it } from "vitest";
import { describeOnServer } from "../support/databases.js";
import { CountingEmbeddings, openTestIndex, type TestIndex } from "../support/index.js";

/** Texts that both bots have. A question finds those of the other bot too, unless the filter is kept. */
const SHOP = ["prazo de entrega", "frete da entrega", "troca de produto", "desconto no Pix"];
const BOTS = ["loja", "outra"];

async function openShop(...[database, options]: Parameters<typeof openTestIndex>): Promise<TestIndex> {
  const test = await openTestIndex(database, options, { textSearch: "portuguese" });
  for (const bot of BOTS) {
    for (const [place, text] of SHOP.entries()) {
      await test.index.upsertTraining({
        id: `${bot}${place}`,
        content: `${bot}: ${text}`,
        metadata: { bot },
      });
    }
  }
  return test;
}

function textsOf(documents: readonly DocumentInterface[]): string[] {
  return documents.map(({ pageContent }) => pageContent);
}

/** Checks that documents were found, and none of the other bot. */
function expectOwn(documents: readonly DocumentInterface[]): void {
  expect(documents).not.toEqual([]);
  expect([...new Set(documents.map(({ metadata }) => metadata["bot"] as unknown))]).toEqual(["loja"]);
}

describeOnServer("LangChain classic retrievers", (database) => {
  it("keeps its filter inside ContextualCompressionRetriever, which drops distant documents", async () => {
    const { index, embeddings } = await openShop(database);
    const retriever = new ContextualCompressionRetriever({
      baseRetriever: index.asRetriever({ k: 8, filter: { bot: "loja" } }),
      baseCompressor: new EmbeddingsFilter({ embeddings, k: 2 }),
    });
    const documents = await retriever.invoke("outra: prazo de entrega");
    expect(textsOf(documents)).toEqual(["loja: prazo de entrega", "loja: frete da entrega"]);
    expectOwn(documents);
  });

  it("takes call options through withConfig inside ContextualCompressionRetriever, and they narrow the search", async () => {
    const { index, embeddings } = await openShop(database);
    const own = index.asRetriever({ k: 8, filter: { bot: "loja" } });
    const compressedTo = (trainings: RetrieverSearch): ContextualCompressionRetriever =>
      new ContextualCompressionRetriever({
        baseRetriever: own.withConfig({ configurable: { trainings } }),
        baseCompressor: new EmbeddingsFilter({ embeddings, k: 8 }),
      });
    expect(await compressedTo({ k: 3 }).invoke("entrega")).toHaveLength(3);
    expect(await compressedTo({ filter: { bot: "outra" } }).invoke("entrega")).toEqual([]);
  });

  it("keeps its filter inside MultiQueryRetriever, for each question that the model generates", async () => {
    const { index } = await openShop(database);
    const llm = new FakeListChatModel({
      responses: [
        "<questions>\noutra: prazo de entrega\noutra: desconto no Pix\noutra: prazo de entrega\n</questions>",
      ],
    });
    const retriever = MultiQueryRetriever.fromLLM({
      llm,
      retriever: index.asRetriever({ k: 1, filter: { bot: "loja" } }),
    });
    const documents = await retriever.invoke("Quando chega e quanto custa?");
    expect(textsOf(documents).sort()).toEqual(["loja: desconto no Pix", "loja: prazo de entrega"]);
    expectOwn(documents);
  });

  it("keeps its filter inside EnsembleRetriever, which fuses vector and text searches", async () => {
    const { index } = await openShop(database);
    const filter = { bot: "loja" };
    const retriever = new EnsembleRetriever({
      retrievers: [
        index.asRetriever({ k: 3, filter }),
        index.asRetriever({ k: 3, filter, mode: "text" }),
        index.vectorStore.asRetriever({ k: 3, filter }),
      ],
      weights: [0.4, 0.4, 0.2],
    });
    const documents = await retriever.invoke("outra: prazo de entrega");
    expect(textsOf(documents)[0]).toBe("loja: prazo de entrega");
    expect(new Set(textsOf(documents)).size).toBe(documents.length);
    expectOwn(documents);
  });

  it("keeps the filter of the index inside ParentDocumentRetriever, which passes none", async () => {
    const { index, pool, schema } = await openShop(database);
    const own = await TrainingIndex.initialize(new CountingEmbeddings(), {
      pool,
      schema,
      filter: { bot: "loja" },
    });
    const retriever = new ParentDocumentRetriever({
      vectorstore: own.vectorStore,
      byteStore: new InMemoryStore<Uint8Array>(),
      childSplitter: new RecursiveCharacterTextSplitter({ chunkSize: 40, chunkOverlap: 0 }),
      childK: 20,
    });
    const text = "A garantia cobre defeitos de fábrica.\n\nO conserto leva dez dias úteis, em média.";
    await retriever.addDocuments([new Document({ pageContent: text, metadata: { bot: "loja" } })]);
    expect(textsOf(await retriever.invoke("garantia"))).toEqual([text]);
    // The child documents are trainings of the index; searches with another filter do not find them.
    expect(textsOf(await own.asRetriever({ k: 1 }).invoke("garantia cobre defeitos"))).toEqual([
      "A garantia cobre defeitos de fábrica.",
    ]);
    expect(await index.similar("garantia", { k: 100, filter: { bot: "outra" } })).toHaveLength(SHOP.length);
  });

  it("keeps the filter of the child retriever inside ParentDocumentRetriever", async () => {
    const { index } = await openShop(database);
    const { vectorStore } = index;
    const retriever = new ParentDocumentRetriever({
      vectorstore: vectorStore,
      byteStore: new InMemoryStore<Uint8Array>(),
      childSplitter: new RecursiveCharacterTextSplitter({ chunkSize: 40, chunkOverlap: 0 }),
      childDocumentRetriever: vectorStore.asRetriever({ k: 20, filter: { bot: "loja" } }),
    });
    const parents = BOTS.map(
      (bot) => new Document({ pageContent: `Garantia da ${bot}: dois anos.`, metadata: { bot } }),
    );
    await retriever.addDocuments(parents, { ids: BOTS });
    const documents = await retriever.invoke("Garantia da outra: dois anos.");
    expect(textsOf(documents)).toEqual(["Garantia da loja: dois anos."]);
    expectOwn(documents);
  });

  it("returns similarity scores, so ScoreThresholdRetriever keeps near documents and drops distant ones", async () => {
    const { index } = await openShop(database);
    const retriever = ScoreThresholdRetriever.fromVectorStore(index.vectorStore, {
      minSimilarityScore: 0.95,
      maxK: 10,
      kIncrement: 2,
      filter: { bot: "loja" },
    });
    expect(textsOf(await retriever.invoke("loja: prazo de entrega"))).toEqual(["loja: prazo de entrega"]);
    expect(await retriever.invoke("outra: xadrez")).toEqual([]);
  });

  describe("SelfQueryRetriever", () => {
    /** A retriever whose model gives this answer. */
    async function openSelfQuery(
      answer: { query: string; filter: string },
      searchParams: { k?: number; filter?: Filter; mergeFiltersOperator?: "and" | "or" | "replace" } = {},
    ): Promise<SelfQueryRetriever<TrainingVectorStore>> {
      const { index } = await openShop(database);
      for (const [place, ano] of [2024, 2025, 2026].entries()) {
        await index.upsertTraining({
          id: `tabela${ano}`,
          content: `tabela de frete ${ano}`,
          metadata: { bot: BOTS[place % 2], ano, tipo: "tabela" },
        });
      }
      return SelfQueryRetriever.fromLLM({
        llm: new FakeListChatModel({ responses: [`\`\`\`json\n${JSON.stringify(answer)}\n\`\`\``] }),
        vectorStore: index.vectorStore,
        documentContents: "Treinamentos de uma loja",
        attributeInfo: [
          new AttributeInfo("ano", "integer", "O ano de que a tabela é"),
          new AttributeInfo("tipo", "string", "O tipo do treinamento"),
        ],
        structuredQueryTranslator: new TrainingTranslator(),
        searchParams: { k: 10, ...searchParams },
      });
    }

    it.each([
      ['eq("ano", 2025)', [2025]],
      ['and(gte("ano", 2025), eq("tipo", "tabela"))', [2025, 2026]],
      ['or(lt("ano", 2025), gt("ano", 2025))', [2024, 2026]],
      ['and(eq("tipo", "tabela"), not(eq("ano", 2025)))', [2024, 2026]],
    ])("applies the filter that the model generates: %s", async (filter, years) => {
      const retriever = await openSelfQuery({ query: "tabela de frete", filter });
      const documents = await retriever.invoke("Qual é a tabela de frete de 2025?");
      expect(documents.map(({ metadata }) => metadata["ano"] as number).sort()).toEqual(years);
    });

    it("keeps the caller's filter, whatever filter the model generates", async () => {
      const params = { filter: { bot: "loja" } };
      const narrowed = await openSelfQuery({ query: "tabela", filter: 'gte("ano", 2025)' }, params);
      expect(textsOf(await narrowed.invoke("tabela?"))).toEqual(["tabela de frete 2026"]);
      const unfiltered = await openSelfQuery({ query: "tabela", filter: "NO_FILTER" }, params);
      expectOwn(await unfiltered.invoke("tabela?"));
    });

    it("refuses an unknown comparison before it searches", async () => {
      const retriever = await openSelfQuery({ query: "tabela", filter: 'parecido("ano", 2025)' });
      await expect(retriever.invoke("tabela?")).rejects.toThrow("Unknown function name");
    });
  });

  it("reports its run to a chain's callbacks as a child, and takes the chain's configurable and signal", async () => {
    const { index } = await openShop(database);
    const runs: { parent: string | undefined; query: string }[] = [];
    const callbacks = [
      BaseCallbackHandler.fromMethods({
        handleRetrieverStart: (_retriever, query, _runId, parent) => void runs.push({ parent, query }),
      }),
    ];
    const chain = RunnablePassthrough.assign({
      context: RunnableLambda.from((input: { question: string }) => input.question).pipe(
        index.asRetriever({ k: 8, filter: { bot: "loja" } }),
      ),
    });
    const { signal } = new AbortController();
    const config = { callbacks, signal, configurable: { trainings: { k: 2 }, thread_id: "conversa" } };
    const { context } = (await chain.invoke({ question: "outra: entrega" }, config)) as {
      context: Document[];
    };
    expect(context).toHaveLength(2);
    expectOwn(context);
    expect(runs).toEqual([{ parent: expect.any(String) as string, query: "outra: entrega" }]);
    const aborted = chain.invoke({ question: "entrega" }, { signal: AbortSignal.abort() });
    await expect(aborted).rejects.toThrow(/abort/i);
  });
});
