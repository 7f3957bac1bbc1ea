import type { Notice } from "../calls/notices.js";
import { sqlStateOf } from "../postgres/database.js";
import type { Names } from "./layout.js";
import { usingClause, type VectorIndexMethod } from "./vector-index-method.js";
import { indexedForm, vectorIndexName, type VectorIndexType } from "./vector-index.js";

/** The settings of a vector index. */
export interface VectorIndexDefinition {
  type: VectorIndexType;
  dimensions: number;
  /** Parameters of HNSW. */
  m: number;
  efConstruction: number;
  /** Takes the place of HNSW for an index of type `vector`. */
  method?: VectorIndexMethod | undefined;
}

const OPERATOR_CLASSES: Readonly<Record<VectorIndexType, string>> = {
  vector: "vector_cosine_ops",
  halfvec: "halfvec_cosine_ops",
  bit: "bit_hamming_ops",
};

/**
 * The first version of pgvector with safe parallel builds of HNSW indexes. Before, they could write past the end of a
 * buffer.
 *
 * @see https://nvd.nist.gov/vuln/detail/CVE-2026-3172
 */
export const OLDEST_SAFE_PARALLEL_BUILD = "0.8.2";

/** disk_full and out_of_memory: Postgres reports a full /dev/shm with them. */
const SHORT_OF_SHARED_MEMORY = new Set(["53100", "53200"]);

/** Whether a build may succeed without parallel workers, which need shared memory for `maintenance_work_mem`. */
export function isShortOfSharedMemory(error: unknown): boolean {
  return SHORT_OF_SHARED_MEMORY.has(sqlStateOf(error) ?? "");
}

/** @param cause - the failure of a parallel build; `undefined` if none was tried, because pgvector's are not safe */
export function serialBuildNotice(cause?: unknown): Notice {
  const message =
    cause === undefined
      ? `The vector index is built without parallel workers: those of pgvector before ${OLDEST_SAFE_PARALLEL_BUILD} can ` +
        "overwrite memory"
      : "The vector index is built again without parallel workers, for which the server has too little shared memory: " +
        "enlarge /dev/shm, or set a lower maintenance_work_mem";
  return { code: "SERIAL_BUILD", message, cause };
}

/** The statement that creates a vector index. With `concurrently` it cannot run in a transaction. */
export function createVectorIndex(
  names: Names,
  profileId: number,
  { type, dimensions, m, efConstruction, method }: VectorIndexDefinition,
  concurrently = false,
): string {
  const indexed = indexedForm(type, names, dimensions, "embedding");
  const expression = type === "vector" ? indexed : `(${indexed})`;
  const create = `CREATE INDEX ${concurrently ? "CONCURRENTLY " : ""}${vectorIndexName(profileId, type)} ON ${names.chunk}`;
  if (type === "vector" && method) {
    return `${create}\n  ${usingClause(method, { column: "embedding", dimensions, extensionSchema: names.extension })}`;
  }
  return `${create}
  USING hnsw (${expression} ${names.extension}.${OPERATOR_CLASSES[type]}) WITH (m = ${m}, ef_construction = ${efConstruction})`;
}

/** The statement that drops a vector index without blocking searches and writes. It cannot run in a transaction. */
export function dropVectorIndex(names: Names, profileId: number, type: VectorIndexType): string {
  return `DROP INDEX CONCURRENTLY IF EXISTS ${names.schema}.${vectorIndexName(profileId, type)}`;
}
