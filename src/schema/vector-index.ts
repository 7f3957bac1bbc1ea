import { chunkTable, type Names } from "./layout.js";

/**
 * What the vector index holds of each vector.
 *
 * - `vector`: all of it, 32 bits a component; up to 2,000 dimensions.
 * - `halfvec`: 16 bits a component, in a third of the space at 1024 dimensions; up to 4,000 dimensions.
 * - `bit`: the sign of each component, in an eighteenth of the space. The candidates that it finds are compared again
 *   on their full vectors.
 *
 * The vectors themselves are stored whole in each case, and so distances are always those of the full vectors.
 *
 * @see https://github.com/pgvector/pgvector#half-precision-indexing and #binary-quantization
 */
export type VectorIndexType = "vector" | "halfvec" | "bit";

/** In the order of their sizes. */
export const vectorIndexTypes: readonly VectorIndexType[] = ["vector", "halfvec", "bit"];

/** What an HNSW index of each type can hold; `bit` is bound by what a column of type `vector` can. */
export const MAX_DIMENSIONS: Readonly<Record<VectorIndexType, number>> = {
  vector: 2000,
  halfvec: 4000,
  bit: 16_000,
};

/** The name of a profile's vector index of a type. */
export function vectorIndexName(profileId: number, type: VectorIndexType): string {
  return `${chunkTable(profileId)}_embedding${type === "vector" ? "" : `_${type}`}`;
}

/**
 * A vector as the index holds it. Postgres uses an index on an expression only for just that expression, so both the
 * index and the searches take theirs from here.
 *
 * @param vector - SQL of a value of type `vector`
 */
export function indexedForm(
  type: VectorIndexType,
  { halfvec, binaryQuantize }: Pick<Names, "halfvec" | "binaryQuantize">,
  dimensions: number,
  vector: string,
): string {
  if (type === "vector") return vector;
  if (type === "halfvec") return `${vector}::${halfvec}(${dimensions})`;
  return `${binaryQuantize}(${vector})::bit(${dimensions})`;
}

/** The operator that orders what the index holds by its distance: cosine, and for bits how many differ. */
export function indexOperator(
  type: VectorIndexType,
  { distance, hammingDistance }: Pick<Names, "distance" | "hammingDistance">,
): string {
  return type === "bit" ? hammingDistance : distance;
}
