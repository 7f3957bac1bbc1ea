import { basename } from "node:path";
import { configFromEnv, TrainingIndex, type Training } from "langchain-training-index";
import { migrate } from "langchain-training-index/migrations";
import pg from "pg";
import { KnownVectors } from "../contenders/known-vectors.js";
import { LIBRARY } from "../contenders/contender.js";
import { STORE_DIMENSIONS, type OpenStore, type Store, type StoreChunk, type StoreFilter } from "./store.js";

const POOL_SIZE = 4;

/** This library, on the server of `DATABASE_URL`, in a schema with the name of the folder. */
class LibraryStore implements Store {
  readonly name = `${LIBRARY}, on Postgres`;
  readonly #pool: pg.Pool;
  readonly #index: TrainingIndex;
  readonly #vectors: KnownVectors;

  constructor(pool: pg.Pool, index: TrainingIndex, vectors: KnownVectors) {
    this.#pool = pool;
    this.#index = index;
    this.#vectors = vectors;
  }

  async load(batches: Iterable<StoreChunk[]>): Promise<void> {
    const trainings = function* (this: LibraryStore): Generator<Training> {
      for (const batch of batches) {
        for (const [training, chunks] of byTraining(batch)) yield this.#training(training, chunks);
      }
    };
    await this.#index.bulkLoad(trainings.call(this), { maintenanceWorkMem: "800MB" });
  }

  async search(vector: number[], k: number, filter?: StoreFilter): Promise<string[]> {
    const hits = await this.#index.similar(vector, {
      k,
      ...(filter ? { filter: { [filter.field]: filter.value } } : {}),
    });
    return hits.map(({ content }) => content);
  }

  async replace(training: string, chunks: StoreChunk[]): Promise<void> {
    await this.#index.upsertTraining(this.#training(training, chunks));
  }

  async remove(training: string): Promise<void> {
    await this.#index.deleteTraining(training);
  }

  async textsOf(training: string): Promise<string[]> {
    return (await this.#index.chunks(training)).map(({ content }) => content);
  }

  close(): Promise<void> {
    return this.#pool.end();
  }

  #training(id: string, chunks: readonly StoreChunk[]): Training {
    this.#vectors.learn(chunks.map(({ text, vector }) => ({ text, vector, metadata: {} })));
    const documents = chunks.map(({ text, grupo, tag }) => ({ pageContent: text, metadata: { grupo, tag } }));
    return { id, documents, split: false };
  }
}

function byTraining(chunks: readonly StoreChunk[]): Map<string, StoreChunk[]> {
  const trainings = new Map<string, StoreChunk[]>();
  for (const chunk of chunks) trainings.set(chunk.training, [...(trainings.get(chunk.training) ?? []), chunk]);
  return trainings;
}

/** Opens the schema with the name of the folder; `undefined` without `DATABASE_URL`. */
export const libraryStore: OpenStore = async (folder) => {
  const { databaseUrl } = configFromEnv(process.env);
  if (databaseUrl === undefined) return undefined;
  const schema = basename(folder).replaceAll(/\W/g, "_").toLowerCase();
  const pool = new pg.Pool({ connectionString: databaseUrl, max: POOL_SIZE });
  pool.on("error", (error) => {
    console.error("An idle connection to Postgres was lost:", error.message);
  });
  await migrate(pool, { schema, dimensions: STORE_DIMENSIONS });
  const vectors = new KnownVectors(STORE_DIMENSIONS);
  const profile = { model: "bench", dimensions: STORE_DIMENSIONS };
  return new LibraryStore(pool, await TrainingIndex.initialize(vectors, { pool, schema, profile }), vectors);
};

/** Drops the schema of a folder. */
export async function dropLibraryStore(folder: string): Promise<void> {
  const { databaseUrl } = configFromEnv(process.env);
  if (databaseUrl === undefined) return;
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  await client.query(`DROP SCHEMA IF EXISTS ${basename(folder).replaceAll(/\W/g, "_").toLowerCase()} CASCADE`);
  await client.end();
}
