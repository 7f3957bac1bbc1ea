import { types } from "node:util";
import { checkNames, isObject, namesOfProperties } from "../calls/checks.js";
import { InvalidArgumentError } from "../errors.js";
import { runHostCode } from "../calls/host-code.js";
import { withLineFeeds } from "./line-endings.js";
import { encodeChunkId, encodeTrainingId } from "../schema/training-id.js";
import { canonicalMetadata, storableMetadata, storableText } from "../text.js";
import type {
  IdType,
  Metadata,
  PythonDocument,
  Revision,
  Training,
  TrainingDocument,
  TrainingId,
} from "../types.js";

/** A training that has been checked; everything in it can be stored as it is. */
export interface NormalizedTraining {
  /** As it was given. */
  id: TrainingId;
  /** As Postgres takes it. */
  key: string;
  /** A number as Postgres reads it; `null` without a revision. */
  revision: string | null;
  /** Canonical JSON. */
  metadata: string;
  sources: readonly Source[];
  split: boolean;
  /** Embedded with each chunk; empty without one. */
  header: string;
  /** For errors: its place in a call of a vector store, whose trainings are one document each. */
  document?: string | undefined;
}

/** Says what is embedded above each chunk of a training. */
export type TrainingHeader = (training: Training) => string;

const TRAINING = namesOfProperties<Training>({
  id: true,
  content: true,
  documents: true,
  metadata: true,
  revision: true,
  split: true,
});

/** One text of a training: its content, or one of its documents. */
export interface Source {
  text: string;
  /** Canonical JSON: the training's metadata under the document's. */
  metadata: string;
  /** The id that the document brought along. */
  id: string | undefined;
  /** A ready vector, for a text that is not to be embedded. */
  vector?: Float32Array | undefined;
}

/**
 * Checks a training and brings its forms into one.
 *
 * @param option - what the caller calls it, for errors
 * @throws {@link InvalidArgumentError} naming the part at fault, also when that throws as it is read
 */
export function normalizeTraining(
  training: Training,
  idType: IdType,
  option = "training",
  headerOf?: TrainingHeader,
): NormalizedTraining {
  return runHostCode(option, () => readTraining(training, idType, option, headerOf));
}

function readTraining(
  training: Training,
  idType: IdType,
  option: string,
  headerOf: TrainingHeader | undefined,
): NormalizedTraining {
  if (!isObject(training) || Array.isArray(training)) {
    throw new InvalidArgumentError(
      option,
      `must be an object, { id, content } or { id, documents }${Array.isArray(training) ? ": upsertTrainings takes lists" : ""}`,
    );
  }
  checkNames(training, TRAINING, "a training", option);
  const metadata = training.metadata ?? {};
  const common = {
    id: training.id,
    key: encodeTrainingId(training.id, idType, `${option}.id`),
    revision: encodeRevision(training.revision, `${option}.revision`),
    metadata: storableMetadata(metadata, `${option}.metadata`),
  };
  /** Only of a training that is known to be whole: the host's code need not check it again. */
  const header = (): string => (headerOf ? checkHeader(runHostCode("header", () => headerOf(training))) : "");
  const { content, documents, split: asked } = training as Partial<Record<keyof Training, unknown>>;
  if (content !== undefined && documents !== undefined) {
    throw new InvalidArgumentError(option, "must have either content or documents, not both");
  }
  if (training.documents === undefined) {
    if (asked !== undefined) {
      throw new InvalidArgumentError(`${option}.split`, "goes with documents only");
    }
    if (typeof training.content !== "string") {
      throw new InvalidArgumentError(`${option}.content`, "must be a string");
    }
    const source = { text: storableText(training.content), metadata: common.metadata, id: undefined };
    return { ...common, sources: [source], split: true, header: header() };
  }
  if (!Array.isArray(training.documents)) {
    throw new InvalidArgumentError(`${option}.documents`, "must be an array");
  }
  const split = training.split ?? true;
  const sources = Array.from(training.documents, (document: TrainingDocument, index) =>
    normalizeDocument(document, metadata, idType, `${option}.documents[${index}]`),
  );
  if (!split) refuseRepeatedIds(sources, option);
  return { ...common, sources, split, header: header() };
}

/** @throws {@link InvalidArgumentError} */
function checkHeader(header: unknown): string {
  if (header instanceof Promise) header.catch(() => undefined); // it is refused, whatever comes of it
  if (typeof header !== "string") throw new InvalidArgumentError("header", "must return a string");
  return withLineFeeds(storableText(header.trim()));
}

/** @throws {@link InvalidArgumentError} for what cannot be ordered: NaN, infinity, an invalid date */
export function encodeRevision(revision: Revision | undefined, option: string): string | null {
  if (revision === undefined) return null;
  const value = types.isDate(revision) ? revision.getTime() : revision;
  if (typeof value === "bigint" || (typeof value === "number" && Number.isFinite(value))) {
    return value.toString();
  }
  throw new InvalidArgumentError(option, "must be a finite number, a bigint or a valid Date");
}

function normalizeDocument(
  document: TrainingDocument,
  metadata: Metadata,
  idType: IdType,
  option: string,
): Source {
  const object = typeof document === "string" ? parseDocument(document, option) : document;
  if (typeof object !== "object" || (object as unknown) === null) {
    throw new InvalidArgumentError(option, "must be a document");
  }
  const text = "pageContent" in object ? object.pageContent : object.page_content;
  if (typeof text !== "string") {
    throw new InvalidArgumentError(option, "must have a pageContent or page_content that is a string");
  }
  const own = storableMetadata(object.metadata ?? {}, `${option}.metadata`);
  const inherits = Object.keys(metadata).length > 0;
  const id = object.id ?? undefined;
  return {
    text: storableText(text),
    metadata: inherits
      ? canonicalMetadata({ ...metadata, ...(JSON.parse(own) as Metadata) }, `${option}.metadata`)
      : own,
    id: id === undefined ? undefined : encodeDocumentId(id, idType, `${option}.id`),
  };
}

function encodeDocumentId(id: unknown, idType: IdType, option: string): string {
  if (typeof id !== "string") throw new InvalidArgumentError(option, "must be a string");
  return encodeChunkId(id, idType, option);
}

/** Reads what Python's `Document.model_dump_json()` wrote. */
function parseDocument(json: string, option: string): PythonDocument {
  try {
    return JSON.parse(json) as PythonDocument;
  } catch (error) {
    throw new InvalidArgumentError(option, "is a string, but not the JSON of a document", error);
  }
}

function refuseRepeatedIds(sources: readonly Source[], option: string): void {
  const seen = new Set<string>();
  for (const { id } of sources) {
    if (id === undefined) continue;
    if (seen.has(id)) {
      throw new InvalidArgumentError(
        `${option}.documents`,
        "hold the same id twice; ids name chunks when split is false",
      );
    }
    seen.add(id);
  }
}
