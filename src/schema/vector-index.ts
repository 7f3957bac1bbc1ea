import { chunkTable, type Names } from "./layout.js";

/**
 * The form in which the vector index holds each vector.
 *
 * - `vector`: 32 bits per component; up to 2,000 dimensions.
 * - `halfvec`: 16 bits per component, in a third of the space at 1024 dimensions; up to 4,000 dimensions.
 * - `bit`: the sign of each component, in an eighteenth of the space. The candidates that it finds are compared again
 *   by their full vectors.
 *
 * The table always stores the full vectors, and distances are always computed from them.
 *
 * @see https://github.com/pgvector/pgvector#half-precision-indexing and #binary-quantization
 */
export type VectorIndexType = "vector" | "halfvec" | "bit";

/** From the largest to the smallest. */
export const vectorIndexTypes: readonly VectorIndexType[] = ["vector", "halfvec", "bit"];

/** The dimensions that an HNSW index of each type supports. For `bit` the limit is that of a column of type `vector`. */
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
 * The SQL expression of a vector in the form that the index holds. Postgres uses an expression index only for exactly the
 * same expression, so index and searches share this function.
 *
 * @param vector - an SQL expression of type `vector`
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

/** The operator that orders by distance in the form of the index: cosine distance, or the number of differing bits. */
export function indexOperator(
  type: VectorIndexType,
  { distance, hammingDistance }: Pick<Names, "distance" | "hammingDistance">,
): string {
  return type === "bit" ? hammingDistance : distance;
}
