import type { Metadata, Training, TrainingIndex, UpsertStatus } from "langchain-training-index";

/** A row as it was exported: see `examples/faiss-import.ts`. */
export interface FaissRow {
  id: number;
  tag: string;
  grupo: string;
  /** A list of what Python's `Document.model_dump_json()` wrote, or of such objects themselves. */
  documentos: unknown;
}

/** Something that could not be imported. Documents are counted from 0, as Python does. */
export interface FaissProblem {
  row: number;
  /** `undefined` when it is the row itself. */
  document: number | undefined;
  /** Names row and document, and holds nothing of their text. */
  message: string;
}

/** A row that has been imported, without the documents that had a problem. */
export interface FaissImport {
  row: number;
  status: UpsertStatus;
  documents: number;
  chunks: number;
}

/**
 * Older than any change of the host's: when the import is run again, what has been saved since stays.
 *
 * The host must then give revisions of its own, higher than 0: its `updated_at` or a counter.
 */
const IMPORT_REVISION = 0;

/**
 * Imports rows of FAISS days, whose documents are split as those of any training. Again it finds what is there, and embeds
 * only what is new.
 *
 * @param onProblem - called for each document that cannot be read; the others of its row are imported
 * @returns the rows, in order, as they come about
 */
export async function* importFaissRows(
  index: TrainingIndex,
  rows: Iterable<FaissRow> | AsyncIterable<FaissRow>,
  onProblem: (problem: FaissProblem) => void,
): AsyncGenerator<FaissImport, void, undefined> {
  /** Documents of the rows that are under way. */
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
    report(undefined, "documentos is not a list with something in it");
    return [];
  }
  return documentos.flatMap((document: unknown, place) => {
    const read = readDocument(document);
    if (typeof read === "string") {
      report(place, read);
      return [];
    }
    // A row that was given another tag kept the old one in its documents.
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
