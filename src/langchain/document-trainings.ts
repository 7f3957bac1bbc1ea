import type { Document } from "@langchain/core/documents";
import { checkList } from "../calls/checks.js";
import { InvalidArgumentError } from "../errors.js";
import type { Training } from "../types.js";

/** How a vector store treats the ids of added documents. */
export interface DocumentIds {
  /** Checks an id and brings it into its canonical spelling. */
  encodeId: (id: string, option: string) => string;
  /** Generates an id; throws if the schema's id type does not allow that. */
  newId: (option: string) => string;
}

/**
 * Converts each document to a training of one chunk; both have the document's id.
 *
 * @throws {@link InvalidArgumentError} for anything but a document, and for an id that is invalid, missing or repeated
 */
export function documentTrainings(
  documents: readonly Document[],
  ids: readonly string[] | undefined,
  { encodeId, newId }: DocumentIds,
): (Training & { id: string })[] {
  checkList("documents", documents);
  if (ids !== undefined) checkList("ids", ids);
  if (ids && ids.length !== documents.length) {
    throw new InvalidArgumentError("ids", `must have ${documents.length} entries, one per document, not ${ids.length}`);
  }
  const seen = new Set<string>();
  // Not `map`, which would skip the holes of a sparse list.
  return Array.from(documents, (document: Document | null | undefined, index) => {
    if (typeof document !== "object" || document === null) {
      throw new InvalidArgumentError(`documents[${index}]`, "must be a document");
    }
    const option = ids ? `ids[${index}]` : `documents[${index}].id`;
    const given = ids?.[index] ?? document.id;
    const id = given === undefined ? newId(option) : encodeId(given, option);
    if (seen.has(id)) throw new InvalidArgumentError(option, "is repeated: ids must be unique within a call");
    seen.add(id);
    const { pageContent, metadata } = document;
    return { id, metadata, documents: [{ id, pageContent, metadata }], split: false };
  });
}
