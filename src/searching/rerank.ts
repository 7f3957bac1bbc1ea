import type { DocumentInterface } from "@langchain/core/documents";
import { checkInteger, checkNames, isObject, namesOfProperties } from "../calls/checks.js";
import type { Notify } from "../calls/notices.js";
import { withTimeLimit } from "../calls/time-limit.js";
import { InvalidArgumentError, orAbort, throwIfAborted, TrainingIndexError } from "../errors.js";
import { PLACE_KEY } from "../text.js";
import type { ChunkPassage, Hit } from "../hit-types.js";
import type { Found } from "./hits.js";

/**
 * Puts hits into a better order, and may drop some: returns those it keeps, best first. A number in their field `rerankScore`
 * is returned with the hit.
 */
export type Reranker = (
  question: string,
  hits: Hit[],
  options: { signal: AbortSignal | undefined },
) => readonly Hit[] | Promise<readonly Hit[]>;

/** The part of LangChain's `BaseDocumentCompressor` that is called. */
export interface DocumentCompressor {
  compressDocuments(documents: DocumentInterface[], query: string): Promise<DocumentInterface[]>;
}

/** Options of reranking, see the option `rerank` of `similar`. */
export interface RerankOptions {
  /**
   * What puts the hits into order. A compressor gets each hit as a document, and its `relevanceScore`, which it may add to the
   * document's metadata, is returned as `rerankScore`. It can order and drop hits, but not change their texts.
   */
  by: Reranker | DocumentCompressor;
  /** How many candidates the search finds for it, 1 to 1000, raised to `k`. Default 30. */
  from?: number | undefined;
  /**
   * If it fails: `throw` (default) the error, or `continue` with the order of the search, which is reported to `onNotice` as
   * `NOT_RERANKED`.
   */
  onFailure?: "throw" | "continue" | undefined;
  /** After how many milliseconds it has failed. Default 10,000. */
  timeoutMs?: number | undefined;
}

const RERANK_OPTIONS = namesOfProperties<RerankOptions>({ by: true, from: true, onFailure: true, timeoutMs: true });
/** As many passages as cross-encoders compare with a question in well under a second. */
const DEFAULT_FROM = 30;
const DEFAULT_TIMEOUT_MS = 10_000;
/** The longest delay of a timer in Node. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/** The option `rerank`, checked, with its defaults. */
export type CheckedRerank = Required<{ [Key in keyof RerankOptions]: Exclude<RerankOptions[Key], undefined> }>;

/** @throws {@link InvalidArgumentError} */
export function checkRerank(
  given: Reranker | DocumentCompressor | RerankOptions | undefined,
  highest: number,
): CheckedRerank | undefined {
  if (given === undefined) return undefined;
  const options: RerankOptions = isReranker(given) || isCompressor(given) ? { by: given } : given;
  checkNames(options, RERANK_OPTIONS, "similar", "rerank");
  const { by, from = DEFAULT_FROM, onFailure = "throw", timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  if (!isReranker(by) && !isCompressor(by)) {
    throw new InvalidArgumentError("rerank", "must be a function, or an object with the method compressDocuments");
  }
  if (!["throw", "continue"].includes(onFailure)) {
    throw new InvalidArgumentError("rerank.onFailure", "must be one of throw, continue");
  }
  return {
    by,
    from: checkInteger("rerank.from", from, 1, highest),
    onFailure,
    timeoutMs: checkInteger("rerank.timeoutMs", timeoutMs, 1, MAX_TIMEOUT_MS),
  };
}

function isReranker(given: unknown): given is Reranker {
  return typeof given === "function";
}

function isCompressor(given: unknown): given is DocumentCompressor {
  return isObject(given) && "compressDocuments" in given && typeof given.compressDocuments === "function";
}

/**
 * The `k` best hits in the order that the reranker returns them.
 *
 * @throws {@link TrainingIndexError} `RERANK_FAILED`, unless `onFailure` is `continue`
 * @throws {@link InvalidArgumentError} if the reranker returns something else than hits that it was given
 * @throws {@link AbortError} | {@link DatabaseError} `TIMEOUT`, if the call's signal fires
 */
export async function reranked(
  question: string,
  found: readonly Found[],
  { k, rerank, signal, notify }: { k: number; rerank: CheckedRerank; signal: AbortSignal | undefined; notify: Notify },
): Promise<Found[]> {
  if (found.length === 0) return [];
  try {
    const order = await withTimeLimit({ signal, timeoutMs: rerank.timeoutMs }, (limit) =>
      orAbort(() => orderBy(rerank.by, question, found, limit), limit),
    );
    return order.slice(0, k);
  } catch (error) {
    throwIfAborted(signal);
    const failure = TrainingIndexError.is(error) && error.code === "INVALID_ARGUMENT" ? error : rerankFailed(error);
    if (rerank.onFailure === "throw") throw failure;
    notify({
      code: "NOT_RERANKED",
      message: "A search was answered in its own order, because the reranker failed",
      cause: error,
    });
    return found.slice(0, k);
  }
}

function rerankFailed(cause: unknown): TrainingIndexError {
  return new TrainingIndexError("The reranker failed, see the cause of this error", {
    code: "RERANK_FAILED",
    retryable: true,
    cause,
  });
}

async function orderBy(
  by: Reranker | DocumentCompressor,
  question: string,
  found: readonly Found[],
  signal: AbortSignal | undefined,
): Promise<Found[]> {
  if (isReranker(by)) {
    const hits = found.map(({ hit }) => ({ ...hit }));
    const kept: unknown = await by(question, hits, { signal });
    return inOrder(found, listOf(kept).map(ofHit));
  }
  const documents = found.map(({ hit: { content, metadata, ...place } }) => ({
    id: place.chunkId,
    pageContent: content,
    metadata: { ...metadata, [PLACE_KEY]: place },
  }));
  const kept: unknown = await by.compressDocuments(documents, question);
  return inOrder(found, listOf(kept).map(ofDocument));
}

function listOf(kept: unknown): unknown[] {
  if (Array.isArray(kept)) return kept as unknown[];
  throw new InvalidArgumentError("rerank", "must return a list of the hits that it was given");
}

/** A returned hit: which one it is, and its score. */
interface Kept {
  place: Partial<ChunkPassage>;
  score: unknown;
}

function ofHit(hit: unknown): Kept {
  const { rerankScore, ...place } = (hit ?? {}) as Partial<Hit>;
  return { place, score: rerankScore };
}

function ofDocument(document: unknown): Kept {
  const { metadata } = (document ?? {}) as Partial<DocumentInterface>;
  const { [PLACE_KEY]: place, relevanceScore } = (metadata ?? {}) as Record<string, unknown>;
  return { place: place ?? {}, score: relevanceScore };
}

function inOrder(found: readonly Found[], kept: readonly Kept[]): Found[] {
  const keyOf = ({ trainingId, chunkId }: Partial<ChunkPassage>): string =>
    `${typeof trainingId} ${trainingId} ${chunkId}`;
  const left = new Map(found.map((one) => [keyOf(one.hit), one]));
  return kept.map(({ place, score }) => {
    const key = keyOf(place);
    const one = left.get(key);
    if (!one) throw new InvalidArgumentError("rerank", "must return only hits that it was given, each once");
    left.delete(key);
    return typeof score === "number" ? { ...one, hit: { ...one.hit, rerankScore: score } } : one;
  });
}
