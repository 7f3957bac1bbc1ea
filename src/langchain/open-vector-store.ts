import type { EmbeddingsInterface } from "@langchain/core/embeddings";
import type { NormalizedTraining } from "../chunking/training-input.js";
import type { IndexFilter } from "../filtering/index-filter.js";
import type { Models } from "../models/models.js";
import type { BoundedPool } from "../postgres/bounded-database.js";
import type { NamedStatements } from "../postgres/named-statements.js";
import type { KnownSchema } from "../schema/known-schema.js";
import type { Layout } from "../schema/layout.js";
import type { Searcher } from "../searching/searcher.js";
import type { Training, TrainingSelection } from "../types.js";
import type { Indexer } from "../writing/indexer.js";
import { vectorStoreOperations } from "./vector-store-operations.js";
import { TrainingVectorStore } from "./vector-store.js";

/** The parts of an index that its vector store uses. */
interface StoreParts {
  models: Models;
  pool: BoundedPool;
  statements: NamedStatements;
  layout: Layout;
  knownSchema: KnownSchema;
  filter: IndexFilter;
  indexer: Indexer;
  searcher: Searcher;
}

/** The vector store of an index. */
export function openVectorStore(
  { models, pool, statements, layout, knownSchema, filter, indexer, searcher }: StoreParts,
  normalize: (training: Training, option: string) => NormalizedTraining,
  deleteTrainings: (selection: TrainingSelection) => Promise<unknown>,
): TrainingVectorStore {
  return new TrainingVectorStore(
    embeddingsInUse(models, knownSchema),
    pool.host,
    layout,
    vectorStoreOperations({
      ...{ statements, knownSchema, models, indexer, searcher, normalize, deleteTrainings },
      filter: filter.condition,
    }),
  );
}

/** The host's embedder; of an index with several models one that embeds with the model in use. */
function embeddingsInUse(models: Models, knownSchema: Pick<KnownSchema, "latest">): EmbeddingsInterface {
  const inUse = (): EmbeddingsInterface => models.of(knownSchema.latest).embeddings;
  if (!models.areSeveral) return inUse();
  return {
    embedQuery: (text) => inUse().embedQuery(text),
    embedDocuments: (texts) => inUse().embedDocuments(texts),
  };
}
