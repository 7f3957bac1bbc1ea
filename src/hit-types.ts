/** What searches return. */
import type { Metadata, TrainingId } from "./types.js";

/** A chunk that a search found; with the option `neighbors`, the passage around it. */
export interface ChunkPassage<OwnMetadata extends object = Metadata> {
  trainingId: TrainingId;
  chunkId: string;
  /** Position of the chunk in its training, from 0. */
  position: number;
  /** Start of the passage in the training's content, in UTF-16 units. */
  start: number;
  /**
   * End of the passage, exclusive: `content.slice(start, end)` of the training's content is the passage's text, except that
   * line breaks replace the white space between two chunks of a passage.
   */
  end: number;
  /** The text of the chunk; with the option `neighbors`, of the chunk and its neighbors. */
  content: string;
  metadata: OwnMetadata;
  /**
   * Only with the option `neighbors`: how many chunks before and after this one are part of the passage. The passage stops
   * at a chunk that the filter excludes.
   */
  neighbors?: { before: number; after: number } | undefined;
  /** Only with the option `neighbors`: the chunk alone. */
  chunk?: { content: string; start: number; end: number } | undefined;
}

/** The scores of a search by vector. */
export interface VectorScores {
  /** The order of the hits, and what `minScore` applies to: the similarity. */
  score: number;
  /** The cosine similarity, `1 - distance`: 1 for the same direction, 0 for unrelated; higher is better. */
  similarity: number;
  /** pgvector's cosine distance, 0 to 2; lower is better. */
  distance: number;
}

/** What a search by words says of the question's words. */
export interface WordScores {
  /** Words of the question that no chunk has, and what they were read as: `{ word: "prazzo", readAs: ["prazo"] }`. */
  corrections?: { word: string; readAs: string[] }[] | undefined;
}

/** The scores of a search by words. */
export interface TextScores extends WordScores {
  /** The order of the hits, and what `minScore` applies to: the coverage. */
  score: number;
  /**
   * How well the chunk covers the question's words, 0 to 1; higher is better: its BM25 as a share of the highest that any text
   * could reach for this question. Words of the question that no chunk has count too, so scores of questions can be compared.
   */
  coverage: number;
}

/** The scores of a hybrid search. */
export interface HybridScores extends WordScores {
  /**
   * The order of the hits, and what `minScore` applies to: the sum of similarity and coverage by their weights. If the question
   * could not be embedded (`onTextOnly`), it has the coverage's part only.
   */
  score: number;
  /** As in {@link VectorScores}, as is `distance`; both `undefined` if the question could not be embedded. */
  similarity: number | undefined;
  distance: number | undefined;
  /** As in {@link TextScores}; 0 without any of the question's words. */
  coverage: number;
}

/** The scores of a hit, by mode. `score` is absolute: the same chunk has the same score whatever else is found. */
export type Scores<Mode extends SearchMode = SearchMode> = {
  vector: VectorScores;
  text: TextScores;
  hybrid: HybridScores;
}[Mode];

/** What hits of every mode can have besides their passage and the scores of their mode. */
export interface Reranked {
  /** Only with the option `rerank`: the reranker's own score, if it gives one. */
  rerankScore?: number | undefined;
}

/** A chunk that a search by vector found. */
export interface ChunkHit<OwnMetadata extends object = Metadata>
  extends Reranked, ChunkPassage<OwnMetadata>, VectorScores {}

/** A part of a text, in UTF-16 units, without the unit at `end`. */
export interface TextRange {
  start: number;
  end: number;
}

/** What hits found by words can have besides. */
export interface Highlighted {
  /** Only with the option `matches`: where the question's words are in `content`, in reading order. */
  matches?: TextRange[] | undefined;
}

/** A chunk that a search by words found. */
export interface TextHit<OwnMetadata extends object = Metadata>
  extends Reranked, Highlighted, ChunkPassage<OwnMetadata>, TextScores {}

/** A chunk that a hybrid search found by its vector, its words, or both. */
export interface HybridHit<OwnMetadata extends object = Metadata>
  extends Reranked, Highlighted, ChunkPassage<OwnMetadata>, HybridScores {}

/**
 * The source and scores of a retriever's document: the fields of a hit other than `content` and `metadata`. Stored under
 * the key `trainingIndex` of the document's metadata.
 */
export type RetrievedPlace = Omit<ChunkPassage, "content" | "metadata"> &
  Reranked &
  Highlighted &
  Pick<HybridScores, "score"> &
  Partial<Omit<HybridScores, "score">>;

/**
 * - `vector`: by meaning: the chunks whose vectors are nearest to the question's.
 * - `text`: by words, ignoring inflection and accents; embeds nothing.
 * - `hybrid`: by both: every candidate of either search gets a score of both.
 */
export type SearchMode = "vector" | "text" | "hybrid";

/** Every {@link SearchMode}. */
export const searchModes: readonly SearchMode[] = ["vector", "text", "hybrid"];

/** A hit of `similar` with strategy `chunks`, by mode. */
export type Hit<Mode extends SearchMode = SearchMode, OwnMetadata extends object = Metadata> = {
  vector: ChunkHit<OwnMetadata>;
  text: TextHit<OwnMetadata>;
  hybrid: HybridHit<OwnMetadata>;
}[Mode];

/** A training that a search with strategy `trainings` found, by mode. Its scores are those of its best chunk. */
export type TrainingHit<Mode extends SearchMode = SearchMode, OwnMetadata extends object = Metadata> = Scores<Mode> & {
  trainingId: TrainingId;
  /** The training's own metadata. If the search's filter excludes it, only the entries that the best chunk shares. */
  metadata: OwnMetadata;
  /** The training's best chunks, best first: at most `perTraining`, default 3. */
  chunks: Hit<Mode, OwnMetadata>[];
};

/**
 * - `chunks`: the best chunks, possibly several of one training.
 * - `trainings`: each training once, ranked by its best chunk.
 */
export type SearchStrategy = "chunks" | "trainings";
