import { Document } from "@langchain/core/documents";
import { PLACE_KEY } from "../text.js";
import type { Metadata } from "../types.js";
import type { Hit, RetrievedPlace, SearchMode } from "../hit-types.js";

/** Metadata of a retrieved document: the chunk's own, and under `trainingIndex` its score and where it comes from. */
export type RetrievedMetadata<OwnMetadata extends object = Metadata> = OwnMetadata & { [PLACE_KEY]: RetrievedPlace };

/** Converts a hit to a LangChain document, whose `id` is the chunk's. */
export function toDocument<OwnMetadata extends object>({
  content,
  metadata,
  ...place
}: Hit<SearchMode, OwnMetadata>): Document<RetrievedMetadata<OwnMetadata>> {
  return new Document({
    id: place.chunkId,
    pageContent: content,
    metadata: { ...metadata, [PLACE_KEY]: place },
  });
}
