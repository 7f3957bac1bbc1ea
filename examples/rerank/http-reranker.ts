import type { Reranker } from "langchain-training-index";

/** Where a reranker listens. */
export interface HttpRerankerOptions {
  /** Without the path: `http://localhost:8080`. */
  url: string;
  /** The model's name, for servers that have several. */
  model?: string;
  headers?: Record<string, string>;
}

/** The part of a response that is read. */
interface RerankResponse {
  results?: { index: number; relevance_score: number }[];
}

/**
 * A reranker behind `POST /v1/rerank`, as llama.cpp's server (`llama-server --reranking`), vLLM and others serve it.
 *
 * @see https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md#post-reranking-rerank-documents-according-to-a-given-query
 */
export function httpReranker({ url, model, headers }: HttpRerankerOptions): Reranker {
  return async (question, hits, { signal }) => {
    const response = await fetch(new URL("/v1/rerank", url), {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify({ model, query: question, documents: hits.map(({ content }) => content) }),
      signal: signal ?? null,
    });
    if (!response.ok) throw new Error(`The reranker answered ${response.status}`);
    const { results = [] } = (await response.json()) as RerankResponse;
    return results
      .toSorted((left, right) => right.relevance_score - left.relevance_score)
      .flatMap(({ index, relevance_score }) => {
        const hit = hits[index];
        return hit ? [{ ...hit, rerankScore: relevance_score }] : [];
      });
  };
}
