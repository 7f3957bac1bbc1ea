import { BaseCallbackHandler } from "@langchain/core/callbacks/base";
import type { Document } from "@langchain/core/documents";
import { formatContext, type RetrievedMetadata, type RetrieverSearch } from "langchain-training-index";
import { expect, it } from "vitest";
import { describeOnServerOrEmbedded } from "../support/databases.js";
import { openTestIndex } from "../support/index.js";

describeOnServerOrEmbedded("asRetriever", (database) => {
  it("returns documents that say where they come from, through invoke, batch, stream and pipe", async () => {
    const { index } = await openTestIndex(database);
    await index.upsertTraining({
      id: "pix",
      content: "No Pix há desconto.",
      metadata: { tag: "pix", grupo: "financeiro" },
    });
    await index.upsertTraining({
      id: "frete",
      content: "O frete é grátis.",
      metadata: { tag: "frete", grupo: "logistica" },
    });
    const retriever = index.asRetriever({ k: 1, tags: ["bot"] });

    const [document] = await retriever.invoke("desconto no Pix");
    const [hit] = await index.similar("desconto no Pix", { k: 1 });
    expect(document).toMatchObject({
      id: hit?.chunkId,
      pageContent: "No Pix há desconto.",
      metadata: {
        tag: "pix",
        grupo: "financeiro",
        trainingIndex: {
          trainingId: "pix",
          chunkId: hit?.chunkId,
          position: 0,
          start: 0,
          end: 19,
          score: hit?.score,
          similarity: hit?.similarity,
          distance: hit?.distance,
        },
      },
    });
    const idsOf = (documents: Document<RetrievedMetadata>[]): unknown[] =>
      documents.map(({ metadata }) => metadata.trainingIndex.trainingId);
    const both = await retriever.batch(["desconto no Pix", "o frete"]);
    expect(both.map(idsOf)).toEqual([["pix"], ["frete"]]);
    for await (const streamed of await retriever.stream("o frete")) expect(idsOf(streamed)).toEqual(["frete"]);
    const context = await retriever.pipe((documents) => formatContext(documents)).invoke("Pix");
    expect(context).toBe("[1] pix - financeiro\nNo Pix há desconto.");
  });

  it("tells callbacks when it starts, ends and fails", async () => {
    const { index, embeddings } = await openTestIndex(database);
    await index.upsertTraining({ id: "a", content: "loja" });
    const events: string[] = [];
    const retriever = index.asRetriever({
      tags: ["bot"],
      metadata: { host: "loja" },
      callbacks: [
        BaseCallbackHandler.fromMethods({
          handleRetrieverStart: (_retriever, query, _runId, _parent, tags, metadata) => {
            events.push(`start ${query} ${JSON.stringify(tags)} ${JSON.stringify(metadata)}`);
          },
          handleRetrieverEnd: (documents) => {
            events.push(`end ${documents.length}`);
          },
          handleRetrieverError: (error) => {
            events.push(`error ${(error as { code: string }).code}`);
          },
        }),
      ],
    });
    await retriever.invoke("loja");
    embeddings.embedQuery = () => Promise.reject(new Error("down"));
    await expect(retriever.invoke("loja")).rejects.toMatchObject({ code: "EMBEDDING_FAILED" });
    expect(events).toEqual([
      'start loja ["bot"] {"host":"loja"}',
      "end 1",
      'start loja ["bot"] {"host":"loja"}',
      "error EMBEDDING_FAILED",
    ]);
  });

  it("applies k and filter", async () => {
    const { index } = await openTestIndex(database);
    for (const grupo of ["a", "a", "b"].entries()) {
      await index.upsertTraining({ id: `t${grupo[0]}`, content: "loja", metadata: { grupo: grupo[1] } });
    }
    expect(await index.asRetriever({ k: 3 }).invoke("loja")).toHaveLength(3);
    expect(await index.asRetriever({ k: 1 }).invoke("loja")).toHaveLength(1);
    expect(await index.asRetriever({ filter: { grupo: "a" } }).invoke("loja")).toHaveLength(2);
  });

  it("accepts options for one call; their filter further narrows those of the retriever and the index", async () => {
    const { index } = await openTestIndex(database, { filter: { bot: "loja" } });
    for (const [place, [grupo, ano]] of [
      ["a", 1],
      ["a", 2],
      ["b", 1],
      ["b", 2],
    ].entries())
      await index.upsertTraining({
        id: `t${place}`,
        content: `loja ${place}`,
        metadata: { bot: "loja", grupo, ano },
      });
    const retriever = index.asRetriever({ k: 4, filter: { grupo: "a" } });
    const idsWith = async (trainings: RetrieverSearch): Promise<unknown[]> =>
      (await retriever.invoke("loja", { configurable: { trainings } }))
        .map(({ metadata }) => metadata.trainingIndex.trainingId)
        .sort();
    expect(await idsWith({})).toEqual(["t0", "t1"]);
    expect(await idsWith({ k: 1 })).toHaveLength(1);
    expect(await idsWith({ filter: { ano: 2 } })).toEqual(["t1"]);
    expect(await idsWith({ filter: { grupo: "b" } })).toEqual([]);
    expect(await idsWith({ filter: { bot: "outra" } })).toEqual([]);
    expect(await idsWith({ filter: { grupo: "a", bot: "loja" } })).toEqual(["t0", "t1"]);
    const others = { thread_id: "conversa", k: 1, filter: { grupo: "b" }, mode: "chat", minScore: -1 };
    expect(await retriever.invoke("loja", { configurable: others })).toHaveLength(2);
  });

  it("does not change the host's metadata, whatever its keys", async () => {
    const { index } = await openTestIndex(database);
    const metadata = { start: "08:00", end: "18:00", score: "A", chunk: 1, position: [2], trainingId: null };
    await index.upsertTraining({ id: "horario", content: "Abrimos às oito.", metadata });
    const [document] = await index.asRetriever().invoke("Quando abrem?");
    const { trainingIndex, ...own } = document?.metadata ?? {};
    expect(own).toStrictEqual(metadata);
    expect(trainingIndex).toMatchObject({ trainingId: "horario", start: 0, end: 16, position: 0 });
  });

  it("refuses its own key in metadata that is written", async () => {
    const { index } = await openTestIndex(database);
    const metadata = { trainingIndex: { start: 0 } };
    const writes: [string, () => Promise<unknown>][] = [
      ["training.metadata", () => index.upsertTraining({ id: "a", content: "loja", metadata })],
      [
        "training.documents[1].metadata",
        () =>
          index.upsertTraining({
            id: "a",
            documents: [{ pageContent: "a" }, { pageContent: "b", metadata }],
          }),
      ],
      ["trainings[0].metadata", () => index.vectorStore.addDocuments([{ pageContent: "a", metadata }])],
    ];
    for (const [path, write] of writes)
      await expect(write()).rejects.toMatchObject({
        option: `${path}.trainingIndex`,
        code: "INVALID_ARGUMENT",
      });
    await index.upsertTraining({ id: "a", content: "loja", metadata: { pedido: metadata } }); // nested, the key belongs to the host
  });

  it("validates the options of a call as it does its own, and reports errors to its callbacks", async () => {
    const { index, embeddings } = await openTestIndex(database);
    const errors: unknown[] = [];
    const callbacks = [BaseCallbackHandler.fromMethods({ handleRetrieverError: (error) => void errors.push(error) })];
    embeddings.embedQuery = expect.unreachable;
    for (const [option, value] of [
      ["k", 0],
      ["k", "3"],
      ["efSearch", "40; DROP TABLE training"],
      ["rerankFactor", 0.5],
      ["mode", "words"],
      ["mode", "text"],
      ["weights", 1],
      ["onTextOnly", "x"],
      ["filter", null],
      ["filter", {}],
    ] as const) {
      for (const retriever of [
        index.asRetriever({ callbacks }),
        index.asRetriever({ callbacks, filter: { ano: 1 } }),
      ]) {
        errors.length = 0;
        const failure: unknown = await retriever
          .invoke("loja", { configurable: { trainings: { [option]: value } } })
          .catch((error: unknown) => error);
        expect(failure, `${option} ${JSON.stringify(value)}`).toMatchObject({
          option,
          code: "INVALID_ARGUMENT",
        });
        expect(errors).toEqual([failure]);
      }
    }
  });

  it("ends a call whose signal fires while the question is embedded", async () => {
    const { index, embeddings } = await openTestIndex(database);
    const controller = new AbortController();
    embeddings.embedQuery = () => {
      controller.abort();
      return new Promise(() => undefined);
    };
    const retriever = index.asRetriever();
    const { signal } = controller;
    await expect(retriever.invoke("loja", { signal })).rejects.toMatchObject({ code: "ABORTED" });
    await expect(retriever.invoke("loja", { signal })).rejects.toMatchObject({ code: "ABORTED" });
    await expect(retriever.invoke("loja", { timeout: 20 })).rejects.toMatchObject({ code: "ABORTED" });
  });
});
