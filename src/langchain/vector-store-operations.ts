import { randomUUID } from "node:crypto";
import { checkList } from "../calls/checks.js";
import { InvalidArgumentError } from "../errors.js";
import type { Indexer } from "../writing/indexer.js";
import { checkGivenVector } from "../searching/query.js";
import type { Searcher } from "../searching/searcher.js";
import { readCurrent } from "../searching/current-statements.js";
import type { NamedStatements } from "../postgres/named-statements.js";
import type { Condition } from "../filtering/condition.js";
import { readById, refuseChunkIds } from "./chunks-by-id.js";
import type { Models } from "../models/models.js";
import type { KnownSchema } from "../schema/known-schema.js";
import { encodeChunkId, encodeTrainingId, encodeTrainingIds } from "../schema/training-id.js";
import type { NormalizedTraining } from "../chunking/training-input.js";
import type { Training, TrainingSelection, UpsertResult } from "../types.js";
import { upsertAll, type StoreBatch } from "../writing/upsert-all.js";
import type { VectorStoreOperations } from "./vector-store.js";

/** Dependencies of {@link vectorStoreOperations}. */
export interface VectorStoreParts {
  statements: NamedStatements;
  knownSchema: KnownSchema;
  models: Models;
  /** The filter of the index. */
  filter: Condition | undefined;
  indexer: Indexer;
  searcher: Searcher;
  normalize: (training: Training, option: string) => NormalizedTraining;
  deleteTrainings: (selection: TrainingSelection) => Promise<unknown>;
}

/** The operations of the index that a vector store uses. */
export function vectorStoreOperations(parts: VectorStoreParts): VectorStoreOperations {
  const { knownSchema, models, filter, indexer, searcher } = parts;
  return {
    upsert: async (trainings, given) => {
      const { vectors } = given ?? {};
      const schema = { latest: knownSchema.latest, look: () => knownSchema.look() };
      const maker =
        given && (await models.requireMaker({ vector: vectors?.[0], named: given.named, option: "vectors" }, schema));
      const { dimensions } = (maker ?? models.of(knownSchema.latest)).profile;
      // Check all before storing the first.
      const normalized = trainings.map((training, index) => {
        const document = `documents[${index}]`;
        const checked = { ...parts.normalize(training, `trainings[${index}]`), document };
        if (!vectors) return checked;
        const vector = checkGivenVector(vectors[index], dimensions, `vectors[${index}]`);
        return { ...checked, sources: checked.sources.map((source) => ({ ...source, vector })) };
      });
      const results: UpsertResult[] = [];
      const store: StoreBatch<NormalizedTraining> = (batch, signal) => indexer.upsert(batch, { signal, maker });
      for await (const result of upsertAll(store, normalized)) results.push(result as UpsertResult);
      return results;
    },
    delete: async (selection) => {
      if (selection.ids !== undefined) {
        const ids = encodeTrainingIds(selection.ids, knownSchema.layout.idType);
        await readCurrent(parts, {}, (statements, { layout }) => refuseChunkIds(statements, layout, ids, filter));
      }
      await parts.deleteTrainings(selection);
    },
    encodeId: (id, option) => encodeTrainingId(id, knownSchema.layout.idType, option),
    newId: (option) => {
      const { idType } = knownSchema.layout;
      if (idType === "text" || idType === "uuid") return randomUUID();
      throw new InvalidArgumentError(
        option,
        `is missing: ids of type ${idType} are not generated; pass { ids: ["7", ...] }, one per document`,
      );
    },
    search: (query, search) => searcher.findChunks(query, search),
    readById: async (ids) => {
      checkList("ids", ids);
      const { idType } = knownSchema.layout;
      const encoded = Array.from(ids, (id, index) => encodeChunkId(id, idType, `ids[${index}]`));
      return readCurrent(parts, {}, (statements, { layout }) => readById(statements, layout, encoded, filter));
    },
  };
}
