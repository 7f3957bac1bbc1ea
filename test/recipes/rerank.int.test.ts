import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, it, onTestFinished } from "vitest";
import { httpReranker } from "../../examples/rerank/http-reranker.js";
import { describeOnServerOrEmbedded, type TestDatabase } from "../support/databases.js";
import { openTestIndex, type TestIndex } from "../support/index.js";

const QUESTION = "prazo de entrega";

async function openFilled(database: TestDatabase): Promise<TestIndex> {
  const test = await openTestIndex(database);
  const documents = Array.from({ length: 40 }, (_, place) => ({
    pageContent: `prazo de entrega ${place}`,
    metadata: { place },
  }));
  await test.index.upsertTraining({ id: "a", documents, split: false });
  return test;
}

/** Answers as the servers do that speak `POST /v1/rerank`: passages in the order of their scores, which are not 0 to 1. */
async function startRerankServer(scoreOf: (text: string) => number): Promise<{ url: string; bodies: unknown[] }> {
  const bodies: unknown[] = [];
  const server = createServer((request, response) => {
    let text = "";
    request.on("data", (part: Buffer) => (text += part.toString()));
    request.on("end", () => {
      const body = JSON.parse(text) as { documents: string[]; top_n?: number };
      bodies.push({ path: request.url, ...body });
      const results = body.documents.map((document, index) => ({ index, relevance_score: scoreOf(document) }));
      results.sort((left, right) => right.relevance_score - left.relevance_score);
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ model: "stand-in", object: "list", results: results.slice(0, body.top_n) }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, bodies };
}

describeOnServerOrEmbedded("the recipe of an HTTP reranker", (database) => {
  it("orders hits by the scores of the server", async () => {
    const { index } = await openFilled(database);
    const { url, bodies } = await startRerankServer((text) => 100 - Number(/\d+/.exec(text)?.[0]));
    const hits = await index.similar(QUESTION, { k: 3, rerank: httpReranker({ url, model: "bge" }) });
    const candidates = await index.similar(QUESTION, { k: 30 });
    const places = candidates.map((hit) => Number(hit.metadata["place"])).sort((left, right) => left - right);
    expect(hits.map(({ metadata }) => metadata["place"])).toEqual(places.slice(0, 3));
    expect(hits.map(({ rerankScore }) => rerankScore)).toEqual(places.slice(0, 3).map((place) => 100 - place));
    const documents = candidates.map(({ content }) => content);
    expect(bodies).toEqual([{ path: "/v1/rerank", model: "bge", query: QUESTION, documents }]);
  });

  it("fails if the server does, without the passages in its error", async () => {
    const { index } = await openFilled(database);
    const server = createServer((_request, response) => response.writeHead(503).end("model is loading"));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => {
      server.close();
    });
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const failed = index.similar(QUESTION, { rerank: httpReranker({ url }) });
    await expect(failed).rejects.toMatchObject({
      code: "RERANK_FAILED",
      cause: { message: expect.stringContaining("503") as string },
    });
  });
});
