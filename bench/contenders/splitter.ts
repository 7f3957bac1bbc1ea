import { RecursiveCharacterTextSplitter } from "@langchain/textsplitters";

/** This library's default splitter, for contenders that have none. */
export const splitter = new RecursiveCharacterTextSplitter({ chunkSize: 1000, chunkOverlap: 150 });
