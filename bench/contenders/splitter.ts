import { RecursiveCharacterTextSplitter } from "@langchain/textsplitters";

/** What this library splits with by default, for those who have none. */
export const splitter = new RecursiveCharacterTextSplitter({ chunkSize: 1000, chunkOverlap: 150 });
