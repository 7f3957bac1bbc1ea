/**
 * A deterministic embedder for tests and first trials.
 *
 * @module langchain-training-index/testing
 */
import { Embeddings, type EmbeddingsParams } from "@langchain/core/embeddings";
import { checkOptions, namesOfProperties } from "../calls/checks.js";
import { InvalidArgumentError } from "../errors.js";
import type { EmbeddingProfile } from "./profiles.js";

/** Options of {@link HashingEmbeddings}. */
export interface HashingEmbeddingsParams extends EmbeddingsParams {
  /** Components of a vector, 8 to 16,000. Default 1024. */
  dimensions?: number | undefined;
}

const PARAMS = namesOfProperties<HashingEmbeddingsParams>({
  dimensions: true,
  maxConcurrency: true,
  maxRetries: true,
  onFailedAttempt: true,
});

const WORD = /[\p{L}\p{N}]+/gu;
const COMBINING_MARKS = /\p{M}+/gu;
const GRAM_LENGTHS = [3, 4, 5];
/**
 * The best of the tried weights on FaQuAD's passages (R@1 .70; equal weights .63). Words of fewer than four letters are
 * mostly articles and prepositions; parts of words match inflected forms (`entrega`, `entregas`).
 */
const WORD_WEIGHT = 2;
const SHORT_WORD_WEIGHT = 0.2;
const SHORT_WORD_LENGTH = 4;
const GRAM_WEIGHT = 0.6;
/** Marks parts of words, so that they differ from whole words: no word contains it. */
const GRAM_MARK = "#";
/** The only feature of a text without words, so that its vector is not zero. */
const EMPTY_FEATURE = "\u0000";

/**
 * A deterministic embedder without a model: signed feature hashing of words and their character n-grams, without
 * accents, L2-normalised. Texts that share words are near each other; it knows nothing of meaning.
 *
 * For demos and tests, where an embedding must be the same on every machine and needs no download.
 *
 * @example
 * ```ts
 * const index = await TrainingIndex.initialize(new HashingEmbeddings({ dimensions: 1024 }), { pool });
 * ```
 */
export class HashingEmbeddings extends Embeddings {
  /** Recorded in the database; changes whenever the algorithm does. */
  readonly profile: EmbeddingProfile;

  /** @throws `InvalidArgumentError` for an unknown option, or `dimensions` other than an integer from 8 to 16,000 */
  constructor(params: HashingEmbeddingsParams = {}) {
    checkOptions(params, PARAMS, "HashingEmbeddings");
    super(params);
    const { dimensions = 1024 } = params;
    if (!Number.isInteger(dimensions) || dimensions < 8 || dimensions > 16_000) {
      throw new InvalidArgumentError("dimensions", "must be an integer from 8 to 16000");
    }
    this.profile = { model: "hashing-1", dimensions, queryPrefix: "", documentPrefix: "" };
  }

  /** Embeds texts: one unit vector for each, in order. A repeat returns the same vectors. */
  embedDocuments(documents: string[]): Promise<number[][]> {
    return Promise.resolve(documents.map((text) => this.#embed(text)));
  }

  /** Embeds a query, exactly as it would embed a document. */
  embedQuery(document: string): Promise<number[]> {
    return Promise.resolve(this.#embed(document));
  }

  #embed(text: string): number[] {
    const vector = new Array<number>(this.profile.dimensions).fill(0);
    for (const [feature, weight] of features(text)) {
      const hash = murmur3(feature);
      const index = hash % vector.length;
      // The sign is the highest bit, which hardly affects the index, so that collisions cancel out on average.
      vector[index] = (vector[index] ?? 0) + (hash >>> 31 === 0 ? weight : -weight);
    }
    const norm = Math.hypot(...vector);
    if (norm === 0) return vector.map((_, index) => (index === 0 ? 1 : 0));
    return vector.map((component) => component / norm);
  }
}

/** The features of a text with their weights. A feature that occurs `n` times counts `1 + ln(n)` times. */
function features(text: string): Map<string, number> {
  const counts = new Map<string, number>();
  const add = (feature: string): void => {
    counts.set(feature, (counts.get(feature) ?? 0) + 1);
  };
  const folded = text.normalize("NFD").replace(COMBINING_MARKS, "").toLowerCase();
  for (const [word] of folded.matchAll(WORD)) {
    add(word);
    const marked = `<${word}>`;
    for (const length of GRAM_LENGTHS) {
      for (let start = 0; start + length <= marked.length; start++) {
        add(GRAM_MARK + marked.slice(start, start + length));
      }
    }
  }
  if (counts.size === 0) add(EMPTY_FEATURE);
  for (const [feature, count] of counts) {
    counts.set(feature, weightOf(feature) * (1 + Math.log(count)));
  }
  return counts;
}

function weightOf(feature: string): number {
  if (feature.startsWith(GRAM_MARK)) return GRAM_WEIGHT;
  return feature.length < SHORT_WORD_LENGTH ? SHORT_WORD_WEIGHT : WORD_WEIGHT;
}

/** MurmurHash3 (x86, 32 bit, seed 0) over UTF-16 units. */
function murmur3(text: string): number {
  let hash = 0;
  for (let index = 0; index < text.length; index++) {
    let block = Math.imul(text.charCodeAt(index), 0xcc9e2d51);
    block = (block << 15) | (block >>> 17);
    hash ^= Math.imul(block, 0x1b873593);
    hash = (hash << 13) | (hash >>> 19);
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0;
  }
  hash ^= text.length;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
