import type { Embedder } from "./embedding/embedder.js";
import type { Indexer } from "./indexer.js";
import { checkGivenVector } from "./options.js";
import type { Searcher } from "./searcher.js";
import type { DatabasePool } from "./store/database.js";
import type { Conditions } from "./store/filter.js";
import type { Layout } from "./store/layout.js";
import { readById, refusePartsOfTrainings } from "./store/search.js";
import type { NormalizedTraining } from "./training-input.js";
import type { Training, TrainingSelection, UpsertResult } from "./types.js";
import { upsertAll } from "./upsert-all.js";
import type { VectorStoreOperations } from "./vector-store.js";

/** What the operations of a vector store are made of. */
export interface VectorStoreParts {
  pool: DatabasePool;
  layout: Layout;
  embedder: Embedder;
  dimensions: number;
  scope: Conditions;
  indexer: Indexer;
  searcher: Searcher;
  normalize: (training: Training, option?: string) => NormalizedTraining;
  deleteTrainings: (selection: TrainingSelection) => Promise<unknown>;
}

/** The index as a vector store sees it. */
export function vectorStoreOperations(parts: VectorStoreParts): VectorStoreOperations {
  const { pool, layout, embedder, dimensions, scope, indexer, searcher } = parts;
  return {
    upsert: async (trainings, vectors) => {
      const given = vectors?.map((vector, index) =>
        checkGivenVector(vector, dimensions, `vectors[${index}]`),
      );
      const results: UpsertResult[] = [];
      for await (const result of upsertAll(indexer, parts.normalize, trainings, {}, given)) {
        results.push(result);
      }
      return results;
    },
    delete: async (selection) => {
      if (selection.ids) await refusePartsOfTrainings(pool, layout, selection.ids);
      await parts.deleteTrainings(selection);
    },
    embedQuery: async (text) => Array.from(await embedder.embedQuery(text)),
    search: (query, { k, filter, withEmbedding }) => searcher.search(query, { k, filter }, withEmbedding),
    readById: (ids) => readById(pool, layout, ids, scope),
  };
}
