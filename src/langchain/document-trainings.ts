import type { Document } from "@langchain/core/documents";
import { checkList } from "../calls/checks.js";
import { InvalidArgumentError } from "../errors.js";
import type { Training } from "../types.js";

/** The ids of documents that are added to a vector store. */
export interface DocumentIds {
  /** The one form of all spellings of an id. */
  encodeId: (id: string, option: string) => string;
  /** A new id; throws where the schema's ids cannot be made up. */
  newId: (option: string) => string;
}

/**
 * Each document as a training of one ready chunk, which has its id.
 *
 * @throws {@link InvalidArgumentError} for what is no document, and for an id that is none, is missing or comes twice
 */
export function documentTrainings(
  documents: readonly Document[],
  ids: readonly string[] | undefined,
  { encodeId, newId }: DocumentIds,
): (Training & { id: string })[] {
  checkList("documents", documents);
  if (ids !== undefined) checkList("ids", ids);
  if (ids && ids.length !== documents.length) {
    throw new InvalidArgumentError("ids", "must be as many as the documents");
  }
  const seen = new Set<string>();
  // Not `map`, which would leave out the holes of a list.
  return Array.from(documents, (document: Document | null | undefined, index) => {
    if (typeof document !== "object" || document === null) {
      throw new InvalidArgumentError(`documents[${index}]`, "must be a document");
    }
    const option = ids ? `ids[${index}]` : `documents[${index}].id`;
    const given = ids?.[index] ?? document.id;
    const id = given === undefined ? newId(option) : encodeId(given, option);
    if (seen.has(id)) throw new InvalidArgumentError(option, "comes twice in one call");
    seen.add(id);
    const { pageContent, metadata } = document;
    return { id, metadata, documents: [{ id, pageContent, metadata }], split: false };
  });
}
