import type { Metadata, Training, TrainingIndex, UpsertStatus } from "langchain-training-index";

/** An exported row: see `examples/faiss-import.ts`. */
export interface FaissRow {
  id: number;
  tag: string;
  grupo: string;
  /** A list of documents: objects, or JSON strings as Python's `Document.model_dump_json()` writes them. */
  documentos: unknown;
}

/** A row or document that could not be imported. */
export interface FaissProblem {
  row: number;
  /** Index of the document, from 0 as in Python; `undefined` if the row itself is at fault. */
  document: number | undefined;
  /** Names row and document; contains nothing of their text. */
  message: string;
}

/** An imported row, without the documents that could not be imported. */
export interface FaissImport {
  row: number;
  status: UpsertStatus;
  documents: number;
  chunks: number;
}

/**
 * Lower than any revision of the host, so that a second import does not overwrite what was saved since.
 *
 * The host must therefore pass its own revisions, higher than 0: its `updated_at` or a counter.
 */
const IMPORT_REVISION = 0;

/**
 * Imports rows that were kept for FAISS. Their documents are split like those of any training. A second import embeds only
 * what is new.
 *
 * @param onProblem - called for each document that cannot be read; the other documents of its row are imported
 * @returns the imported rows, in order, as they are stored
 */
export async function* importFaissRows(
  index: TrainingIndex,
  rows: Iterable<FaissRow> | AsyncIterable<FaissRow>,
  onProblem: (problem: FaissProblem) => void,
): AsyncGenerator<FaissImport, void, undefined> {
  /** Number of documents by row, for rows that are being imported. */
  const counts = new Map<number, number>();
  const trainings = async function* (): AsyncGenerator<Training, void, undefined> {
    for await (const row of rows) {
      const documents = readDocuments(row, onProblem);
      if (documents.length === 0) continue;
      counts.set(row.id, documents.length);
      const metadata = { tag: row.tag, grupo: row.grupo };
      yield { id: row.id, documents, metadata, revision: IMPORT_REVISION };
    }
  };
  for await (const { id, status, chunks } of index.upsertTrainings(trainings())) {
    const row = Number(id);
    yield { row, status, chunks, documents: counts.get(row) ?? 0 };
    counts.delete(row);
  }
}

interface ReadDocument {
  pageContent: string;
  metadata: Metadata;
}

function readDocuments(row: FaissRow, onProblem: (problem: FaissProblem) => void): ReadDocument[] {
  const report = (document: number | undefined, what: string): void => {
    const place = document === undefined ? "" : `, document ${document}`;
    onProblem({ row: row.id, document, message: `row ${row.id} (${row.tag})${place}: ${what}` });
  };
  const { documentos } = row;
  if (!Array.isArray(documentos) || documentos.length === 0) {
    report(undefined, "documentos is not a list, or is empty");
    return [];
  }
  return documentos.flatMap((document: unknown, place) => {
    const read = readDocument(document);
    if (typeof read === "string") {
      report(place, read);
      return [];
    }
    // The documents of a row that was retagged still have the old tag.
    return [{ ...read, metadata: { ...read.metadata, tag: row.tag, grupo: row.grupo } }];
  });
}

/** @returns the document, or what is wrong with it */
function readDocument(document: unknown): ReadDocument | string {
  const parsed = typeof document === "string" ? parse(document) : document;
  if (parsed === undefined) return "is not JSON; it may have been cut off";
  if (!isObject(parsed)) return "is not a document";
  const { page_content: pageContent, metadata = {} } = parsed;
  if (typeof pageContent !== "string") return "has no page_content that is a string";
  if (!isObject(metadata)) return "has metadata that is not an object";
  return { pageContent, metadata };
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json) as unknown;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
