/** Helpers that send requests to a handler on a fake index. */
import { AbortError } from "../../src/errors.js";
import { similarityHandler, type HttpIndex, type SimilarityHandlerOptions } from "../../src/http/handler.js";
import type { AnySearchOptions } from "../../src/searching/search-options.js";
import type { ChunkHit, TrainingHit } from "../../src/hit-types.js";
import { checkAgainstDescription } from "./openapi.js";

/** A found chunk. */
export const hit: ChunkHit = {
  trainingId: "manual-7",
  chunkId: "c1",
  position: 2,
  start: 10,
  end: 35,
  content: "Entregamos em 3 dias úteis",
  metadata: { grupo: "entrega", page: 4 },
  score: 0.83,
  similarity: 0.83,
  distance: 0.17,
};

/** A found training, with an id that a JavaScript number cannot represent. */
export const training: TrainingHit<"vector"> = {
  trainingId: 9_007_199_254_740_993n,
  metadata: { grupo: "entrega" },
  score: 0.83,
  similarity: 0.83,
  distance: 0.17,
  chunks: [{ ...hit, trainingId: 9_007_199_254_740_993n }],
};

/** How a {@link FakeIndex} answers. */
export type Search = (
  query: string,
  options: AnySearchOptions,
) => (ChunkHit | TrainingHit)[] | Promise<(ChunkHit | TrainingHit)[]>;

/** Records its searches and answers as the test wants. */
export class FakeIndex implements HttpIndex {
  readonly calls: { query: string; options: AnySearchOptions }[] = [];
  readonly #search: Search;

  constructor(search: Search = () => [hit]) {
    this.#search = search;
  }

  async similar(query: string, options: AnySearchOptions = {}): Promise<(ChunkHit | TrainingHit)[]> {
    this.calls.push({ query, options });
    return this.#search(query, options);
  }
}

/** The answer of the handler. */
export interface Answer {
  status: number;
  body: unknown;
  text: string;
  headers: Headers;
}

/** Sends a request to a handler on `index`. */
export function send(index: HttpIndex, init: RequestInit, options?: SimilarityHandlerOptions): Promise<Answer> {
  return sendTo(similarityHandler(index, options), init, options);
}

/** Sends a request to a handler that was made with these options. */
export async function sendTo(
  handler: (request: Request) => Promise<Response>,
  init: RequestInit,
  options?: SimilarityHandlerOptions,
): Promise<Answer> {
  const response = await handler(new Request("http://localhost/x", init));
  const text = await response.text();
  checkAgainstDescription(response, text, options);
  return { status: response.status, body: JSON.parse(text), text, headers: response.headers };
}

/** Sends a JSON body with its content type. */
export function post(index: HttpIndex, body: unknown, options?: SimilarityHandlerOptions): Promise<Answer> {
  return send(index, jsonRequest(JSON.stringify(body)), options);
}

/** A POST request with the content type of JSON. */
export function jsonRequest(body: RequestInit["body"]): RequestInit {
  return { method: "POST", headers: { "content-type": "application/json" }, body: body ?? null };
}

/** The handler's answer if the search fails with this error. */
export function failWith(error: Error): Promise<Answer> {
  return post(
    new FakeIndex(() => {
      throw error;
    }),
    { query: "frete" },
  );
}

/** A search that lasts until its signal fires. */
export const untilAborted: Search = (_query, { signal }) =>
  new Promise((_resolve, reject) => {
    signal?.addEventListener("abort", () => {
      reject(new AbortError(signal.reason));
    });
  });
