import { LIBRARY, LIBRARY_BIT, LIBRARY_HALFVEC, MASTRA, PGVECTOR_STORE } from "./contenders/contender.js";
import type { LibraryContender } from "./contenders/library.js";
import type { Chunk, ChunkSource } from "./data.js";
import type { Loaded } from "./loads.js";
import type { WriteFigure } from "./results.js";
import type { BenchServer } from "./server.js";
import { measureWrites, type Writer } from "./write-rounds.js";

/** None needed: the code has already run, and these writers keep what they write. */
const NO_WARM_UP = { rows: 0, milliseconds: 0 };
/** Concurrent writers of this library. */
const WRITERS = 2;

/** Adds chunks to loaded contenders, whose vector index is updated with each write. */
export async function measureLiveWrites(
  server: BenchServer,
  { library, halfvec, bit, pgVectorStore, mastra }: Loaded,
  source: ChunkSource,
  options: { rounds: number; rows: number; rowsBefore: number; learn: (chunks: Chunk[]) => void },
): Promise<WriteFigure[]> {
  const batches = Array.from({ length: options.rounds }, () => source.take(options.rows));
  for (const chunks of batches) options.learn(chunks);
  const writer = (name: string, write: (chunks: readonly Chunk[]) => Promise<unknown>): Writer => ({
    name,
    open: () => Promise.resolve({ write }),
    chunksOf: (round) => batches[round] ?? [],
    keepsAll: true,
  });
  const upsertInto = (name: string, contender: LibraryContender): Writer =>
    writer(name, (chunks) => contender.upsert(chunks, WRITERS));
  const writers = [
    upsertInto(LIBRARY, library),
    ...(halfvec ? [upsertInto(LIBRARY_HALFVEC, halfvec)] : []),
    ...(bit ? [upsertInto(LIBRARY_BIT, bit)] : []),
    ...(pgVectorStore ? [writer(PGVECTOR_STORE, (chunks) => pgVectorStore.addVectors(chunks))] : []),
    ...(mastra ? [writer(MASTRA, (chunks) => mastra.addVectors(chunks))] : []),
  ];
  return measureWrites(server, "live vector index", writers, { ...options, warmUp: NO_WARM_UP });
}
