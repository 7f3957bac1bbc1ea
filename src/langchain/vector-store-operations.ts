import { randomUUID } from "node:crypto";
import { checkList } from "../calls/checks.js";
import { InvalidArgumentError } from "../errors.js";
import type { Indexer } from "../writing/indexer.js";
import { checkGivenVector } from "../searching/query.js";
import type { Searcher } from "../searching/searcher.js";
import type { DatabasePool } from "../postgres/database.js";
import type { Scope } from "../filtering/filter.js";
import { readById, refusePartsOfTrainings } from "./chunks-by-id.js";
import type { KnownSchema } from "../schema/known-schema.js";
import { encodeChunkId, encodeTrainingId, encodeTrainingIds } from "../schema/training-id.js";
import type { NormalizedTraining } from "../chunking/training-input.js";
import type { Training, TrainingSelection, UpsertResult } from "../types.js";
import { upsertAll } from "../writing/upsert-all.js";
import type { VectorStoreOperations } from "./vector-store.js";

/** What the operations of a vector store are made of. */
export interface VectorStoreParts {
  pool: DatabasePool;
  knownSchema: KnownSchema;
  dimensions: number;
  scope: Scope;
  indexer: Indexer;
  searcher: Searcher;
  normalize: (training: Training, option: string) => NormalizedTraining;
  deleteTrainings: (selection: TrainingSelection) => Promise<unknown>;
}

/** It does them no harm that a table has grown. */
const WRITES = { writes: true };

/** The index as a vector store sees it. */
export function vectorStoreOperations(parts: VectorStoreParts): VectorStoreOperations {
  const { pool, knownSchema, dimensions, scope, indexer, searcher } = parts;
  return {
    upsert: async (trainings, vectors) => {
      // All of them before the first is stored: here they are at hand.
      const normalized = trainings.map((training, index) => {
        const document = `documents[${index}]`;
        const checked = { ...parts.normalize(training, `trainings[${index}]`), document };
        if (!vectors) return checked;
        const vector = checkGivenVector(vectors[index], dimensions, `vectors[${index}]`);
        return { ...checked, sources: checked.sources.map((source) => ({ ...source, vector })) };
      });
      const results: UpsertResult[] = [];
      for await (const result of upsertAll(indexer, normalized)) results.push(result as UpsertResult);
      return results;
    },
    delete: async (selection) => {
      if (selection.ids !== undefined) {
        const ids = encodeTrainingIds(selection.ids, knownSchema.layout.idType);
        await knownSchema.follow(() => refusePartsOfTrainings(pool, knownSchema.layout, ids, scope), WRITES);
      }
      await parts.deleteTrainings(selection);
    },
    encodeId: (id, option) => encodeTrainingId(id, knownSchema.layout.idType, option),
    newId: (option) => {
      const { idType } = knownSchema.layout;
      if (idType === "text" || idType === "uuid") return randomUUID();
      throw new InvalidArgumentError(
        option,
        `is missing: this index stores ids as ${idType}, and none can be made up: pass { ids: ["7", ...] }, one for each document`,
      );
    },
    search: (query, search) => searcher.findChunks(query, search),
    readById: async (ids) => {
      checkList("ids", ids);
      const { idType } = knownSchema.layout;
      const encoded = Array.from(ids, (id, index) => encodeChunkId(id, idType, `ids[${index}]`));
      return knownSchema.follow(() => readById(pool, knownSchema.layout, encoded, scope), WRITES);
    },
  };
}
