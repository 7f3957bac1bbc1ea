import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** Starts a server that answers as a reranker does, and scores a passage by the words that it shares with the question. */
export async function startStandIn(): Promise<{ url: string; close: () => void }> {
  const wordsOf = (text: string): Set<string> => new Set(text.toLowerCase().match(/\p{L}+/gu));
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      const { query, documents } = JSON.parse(Buffer.concat(parts).toString()) as {
        query: string;
        documents: string[];
      };
      const asked = wordsOf(query);
      const results = documents.map((document, index) => ({
        index,
        relevance_score: [...wordsOf(document)].filter((word) => asked.has(word)).length,
      }));
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ results }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close: () => server.close() };
}
