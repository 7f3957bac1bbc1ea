import { types } from "node:util";
import { checkNames, isObject, namesOfProperties } from "../calls/checks.js";
import { InvalidArgumentError } from "../errors.js";
import { runHostCode } from "../calls/host-code.js";
import { withLineFeeds } from "./line-endings.js";
import { encodeChunkId, encodeTrainingId } from "../schema/training-id.js";
import { canonicalMetadata, storableMetadata, storableText } from "../text.js";
import type { IdType, Metadata, PythonDocument, Revision, Training, TrainingDocument, TrainingId } from "../types.js";

/** A checked training. Everything in it can be stored as it is. */
export interface NormalizedTraining {
  /** As the caller gave it. */
  id: TrainingId;
  /** The id in the form sent to Postgres. */
  key: string;
  /** A number in decimal text; `null` without a revision. */
  revision: string | null;
  /** Canonical JSON. */
  metadata: string;
  sources: readonly Source[];
  split: boolean;
  /** Embedded above each chunk; empty if there is none. */
  header: string;
  /** For errors, if the training is a document of a vector store: its argument, such as `documents[3]`. */
  document?: string | undefined;
}

/**
 * Returns the text that is embedded above each chunk of a training, for example its title or tag. Called once for each
 * upsert, after the training has been checked. Must return a string, not a promise; an empty one means no header. The
 * result is trimmed. What it throws is the `cause` of an `InvalidArgumentError`.
 */
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
  /** Canonical JSON: the training's metadata, overridden by the document's. */
  metadata: string;
  /** The document's id, if it has one. */
  id: string | undefined;
  /** A given vector; the text is not embedded then. */
  vector?: Float32Array | undefined;
}

/**
 * Checks a training and converts it to one form, whether it has content or documents.
 *
 * @param option - the name of the training in errors
 * @throws {@link InvalidArgumentError} naming the part at fault, also if a getter of it throws
 */
export function normalizeTraining(
  training: Training<object>,
  idType: IdType,
  option = "training",
  headerOf?: TrainingHeader,
): NormalizedTraining {
  return runHostCode(option, () => readTraining(training as Training, idType, option, headerOf));
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
  // Called last, so that the host's code gets only checked trainings.
  const header = (): string => (headerOf ? checkHeader(runHostCode("header", () => headerOf(training))) : "");
  const { content, documents, split: givenSplit } = training as Partial<Record<keyof Training, unknown>>;
  if (content !== undefined && documents !== undefined) {
    throw new InvalidArgumentError(option, "must have either content or documents, not both");
  }
  if (training.documents === undefined) {
    if (givenSplit !== undefined) {
      throw new InvalidArgumentError(`${option}.split`, "can only be given with documents");
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
  if (header instanceof Promise) header.catch(() => undefined); // refused below; avoids an unhandled rejection
  if (typeof header !== "string") throw new InvalidArgumentError("header", "must return a string");
  return withLineFeeds(storableText(header.trim()));
}

/** @throws {@link InvalidArgumentError} for values without an order: NaN, infinity, an invalid date */
export function encodeRevision(revision: Revision | undefined, option: string): string | null {
  if (revision === undefined) return null;
  const value = types.isDate(revision) ? revision.getTime() : revision;
  if (typeof value === "bigint" || (typeof value === "number" && Number.isFinite(value))) {
    return value.toString();
  }
  throw new InvalidArgumentError(option, "must be a finite number, a bigint or a valid Date");
}

function normalizeDocument(document: TrainingDocument, metadata: Metadata, idType: IdType, option: string): Source {
  const object = typeof document === "string" ? parseDocument(document, option) : document;
  if (typeof object !== "object" || (object as unknown) === null) {
    throw new InvalidArgumentError(option, "must be a document: { pageContent, metadata }");
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

/** Parses the output of Python's `Document.model_dump_json()`. */
function parseDocument(json: string, option: string): PythonDocument {
  try {
    return JSON.parse(json) as PythonDocument;
  } catch (error) {
    throw new InvalidArgumentError(option, "is a string, but not valid JSON of a document", error);
  }
}

function refuseRepeatedIds(sources: readonly Source[], option: string): void {
  const seen = new Set<string>();
  for (const { id } of sources) {
    if (id === undefined) continue;
    if (seen.has(id)) {
      throw new InvalidArgumentError(
        `${option}.documents`,
        "have the same id twice: with split: false each id names one chunk",
      );
    }
    seen.add(id);
  }
}
