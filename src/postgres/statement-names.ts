/** The prefix of the comment that names a statement. */
const COMMENT_PREFIX = "langchain-training-index:";

/** The names of the statements, each with what it does. docs/telemetry.md lists them. */
export const STATEMENT_NAMES = {
  // Opening, and following the schema
  "read-catalog": "reads the parts of the schema from Postgres' catalogs",
  "read-migrations": "reads the version of the schema",
  "read-profile": "reads the recorded model",
  "find-damage": "looks for missing parts of the schema",
  "read-schema": "reads what changes of the schema a process has to follow",
  "read-vector-indexes": "reads the state of the vector indexes",
  "find-any-chunk": "asks whether there are chunks",
  "check-rights": "asks whether the role may build an index",
  "read-position": "asks a server for its position in the write-ahead log, and whether it is a standby",
  // Searches
  "search-by-vector": "finds the nearest chunks by the vector index",
  "search-exactly": "finds the nearest chunks by comparing all",
  "search-by-words": "finds chunks by words",
  "search-hybrid": "finds chunks by vector and words",
  "plan-search": "asks the planner how it would run a filtered search",
  "find-close-words": "finds words close to mistyped ones",
  // Writes
  "take-tickets": "takes the tickets of a write, and reads what is stored",
  "read-versions": "reads what is stored, to compare it with a new version",
  "read-stored-chunks": "reads the hashes of stored chunks",
  "read-stored-texts": "reads stored texts, to plan around an edit",
  "offer-words": "adds words to the table of words",
  swap: "replaces the stored versions of trainings by new ones",
  "insert-chunks": "adds more chunks to a large new version",
  touch: "records the ticket of a call whose version is stored already",
  "lock-trainings": "locks the rows of trainings before a swap",
  "claim-model": "records the model of the first write",
  "delete-trainings": "deletes trainings with their chunks",
  "fence-deletes": "locks the trainings to delete, and makes them tombstones",
  "delete-positions": "deletes the places of the chunks of deleted trainings",
  "delete-chunks": "deletes the chunks of deleted trainings",
  "find-superseded": "finds trainings whose delete came too late",
  "delete-leftovers": "deletes chunks that belong to no training",
  "prune-tombstones": "deletes old tombstones",
  "prune-words": "deletes words that no chunk has",
  "check-tickets": "asks whether the ticket sequence is behind the stored rows",
  "repair-tickets": "sets the ticket sequence forward",
  // Reads
  "get-training": "reads a training by its id",
  "list-trainings": "reads a page of trainings",
  "count-trainings": "counts trainings and chunks",
  "read-passages": "reads the chunks of a training",
  "read-version-to-edit": "reads which version of a training is stored, for the console",
  "read-chunks-by-id": "reads chunks by their ids, for the vector store",
  "read-status": "reads the state of an index",
  "export-trainings": "counts and reads what an export has",
  // Checks
  "read-last-ticket": "reads the last ticket that was taken",
  "list-stored": "reads a page of stored trainings, to compare them with a source",
  "find-leftovers": "finds chunks that belong to no training",
  "check-trainings": "looks for damage in the rows of trainings",
  "check-vectors": "reads vectors, to compare them with their texts",
  "read-profile-tables": "finds tables of profiles that are not in use",
  "sample-chunks": "chooses stored vectors as questions for recall",
  // Switching the model
  "switch-model": "creates, activates or drops the tables of an embedding model",
  "read-switch": "reads what a switch of the model has done, and what it has to do",
  "claim-trainings": "takes trainings that a switch of the model builds next",
  "build-trainings": "reads and writes trainings for the new embedding model",
  "check-switch": "compares the new embedding model with the one in use",
  // Migrations and index builds
  migrate: "creates or changes the schema",
  "fill-words": "stores the words of chunks that are older than text search",
  "build-vector-index": "builds or drops the vector index",
  "record-vector-index": "records what vector index the schema has, and who builds it",
  "read-build-progress": "reads the progress of an index build",
  analyze: "updates the planner's statistics after a load",
  "set-parameters": "sets time limits, memory and planning for long statements, and restores them",
} as const;

/** The name of a statement. */
export type StatementName = keyof typeof STATEMENT_NAMES;

/**
 * A statement with its name as a comment behind the first word. Further in front pg_stat_statements of Postgres 18 drops it;
 * at the end pg_stat_activity does, which keeps the first 1,024 bytes.
 */
export function withName(name: StatementName, text: string): string {
  return text.replace(FIRST_WORD, `$& /* ${COMMENT_PREFIX}${name} */`);
}

const FIRST_WORD = /^\s*\w+/;
const NAME = new RegExp(String.raw`^\s*\w+ /\* ${COMMENT_PREFIX}([\w-]+) \*/`);

/** The name of a statement as it is sent; of one without a comment the first word in lower case, such as `commit`. */
export function nameOfStatement(text: string): string {
  return NAME.exec(text)?.[1] ?? FIRST_WORD.exec(text)?.[0].trim().toLowerCase() ?? "";
}
