import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { Dataset } from "./data.js";

const FOLDER = new URL("../../shared/data/minilm-vectors/", import.meta.url);
/** Every tenth vector is used as a question instead of a chunk. */
const QUERY_EVERY = 10;

/** Where {@link readRealDataset} looks. */
export const REAL_DATA_FOLDER = fileURLToPath(FOLDER);

/**
 * Vectors of the SAP Fiori documentation by a real model (all-MiniLM-L6-v2, 384 dimensions); `undefined` if the folder does
 * not exist. `embeddings.bin` has them as float32, little endian, one after the other; line i of `records.jsonl` describes
 * vector i.
 */
export async function readRealDataset(): Promise<Dataset | undefined> {
  if (!existsSync(FOLDER)) return undefined;
  const metadata = await readFile(new URL("metadata.json", FOLDER), "utf8");
  const { dimensions } = JSON.parse(metadata) as { dimensions: number };
  const bytes = await readFile(new URL("embeddings.bin", FOLDER));
  const lines = (await readFile(new URL("records.jsonl", FOLDER), "utf8")).trim().split("\n");
  const dataset: Dataset = { name: "all-MiniLM-L6-v2", dimensions, chunks: [], queries: [] };
  for (const [place, line] of lines.entries()) {
    const vector = Array.from({ length: dimensions }, (_, index) =>
      bytes.readFloatLE((place * dimensions + index) * Float32Array.BYTES_PER_ELEMENT),
    );
    const { id, title } = JSON.parse(line) as { id: string; title: string };
    if (place % QUERY_EVERY === 0) dataset.queries.push(vector);
    else dataset.chunks.push({ text: `${id}: ${title}`, metadata: {}, vector });
  }
  return dataset;
}
