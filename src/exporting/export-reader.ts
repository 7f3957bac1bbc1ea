import { isObject } from "../calls/checks.js";
import type { PlannedChunk } from "../chunking/chunk-plan.js";
import { narrowVector } from "../embedding/vector.js";
import { InvalidArgumentError } from "../errors.js";
import { encodeChunkId, encodeTrainingId } from "../schema/training-id.js";
import { canonicalMetadata, storableMetadata, storableText } from "../text.js";
import type { IdType, TrainingId } from "../types.js";
import type { GivenVersion } from "./given-versions.js";
import { EXPORT_FORMAT, EXPORT_VERSION, vectorFromBase64, type ExportHeader } from "./export-format.js";
import type { ExportSource } from "./export-options.js";
import { linesOf, type Line } from "./lines.js";

/** A deleted training. */
export interface GivenTombstone {
  key: string;
  revision: string | null;
  /** Canonical JSON. */
  metadata: string;
  /** What it is called in errors. */
  option: string;
}

/** The index that an export is read for. */
export interface ImportTarget {
  idType: IdType;
  dimensions: number;
}

/** Offsets are integers of Postgres. */
const MAX_OFFSET = 2 ** 31 - 1;
const DIGEST = /^[0-9a-f]{64}$/;
const REVISION = /^-?\d+(?:\.\d+)?(?:e[+-]?\d+)?$/i;

/**
 * Reads an export.
 *
 * @param begin - called with the header, before the rest is read
 * @throws {@link InvalidArgumentError} naming the line, also for an export that is cut off or of a later version; errors of the source
 * are rethrown unchanged
 */
export async function* readExport(
  source: ExportSource,
  begin: (header: ExportHeader) => ImportTarget,
): AsyncGenerator<GivenVersion | GivenTombstone, void, undefined> {
  const lines = linesOf(source);
  try {
    const header = parseHeader(await lines.next());
    yield* readEntries(lines, header, begin(header));
  } finally {
    await lines.return();
  }
}

/**
 * Parses the first line of an export.
 *
 * @throws {@link InvalidArgumentError}
 */
export function parseHeader({ value: line }: IteratorResult<Line, void>): ExportHeader {
  if (!line) throw new InvalidArgumentError("source", "is empty: an export begins with a line that describes it");
  const header = parseObject(line);
  const fail = failureIn(line);
  if (header["format"] !== EXPORT_FORMAT) throw fail("", "is not the first line of an export of training-index");
  if (header["version"] !== EXPORT_VERSION) {
    throw fail(
      ".version",
      `is ${JSON.stringify(header["version"])}; this library reads version ${EXPORT_VERSION}: use the version of the ` +
        "library that wrote the export",
    );
  }
  const { profile } = header;
  if (profile !== null) {
    const { model, dimensions, queryPrefix, documentPrefix } = (isObject(profile) ? profile : {}) as Record<
      string,
      unknown
    >;
    const texts = [model, queryPrefix, documentPrefix].every((text) => typeof text === "string");
    if (!texts || !isCount(dimensions)) throw fail(".profile", "must be the model of the vectors, or null");
  }
  for (const name of ["trainings", "tombstones"]) {
    if (!isCount(header[name])) throw fail(`.${name}`, "must be a number of lines");
  }
  return header as unknown as ExportHeader;
}

async function* readEntries(
  lines: AsyncGenerator<Line, void, undefined>,
  header: ExportHeader,
  target: ImportTarget,
): AsyncGenerator<GivenVersion | GivenTombstone, void, undefined> {
  const read = { trainings: 0, tombstones: 0 };
  for (let { value: line } = await lines.next(); line; { value: line } = await lines.next()) {
    const entry = parseObject(line);
    if (entry["deleted"] === true) {
      read.tombstones += 1;
      yield parseCommon(line, entry, target);
      continue;
    }
    const training = parseTraining(line, entry, target);
    const chunks: PlannedChunk[] = [];
    while (chunks.length < training.count) {
      const { value: next } = await lines.next();
      if (!next) throw cutOff(`the training of line ${line.number} has ${chunks.length} of ${training.count} chunks`);
      chunks.push(parseChunk(next, target));
    }
    read.trainings += 1;
    yield withChunks(line, training, chunks);
  }
  const { trainings, tombstones } = header;
  if (read.trainings !== trainings || read.tombstones !== tombstones) {
    throw cutOff(
      `it has ${read.trainings} of ${trainings} trainings, and ${read.tombstones} of ${tombstones} deleted ones`,
    );
  }
}

/** A line of a training, and how many lines of chunks follow. */
type ParsedTraining = Omit<GivenVersion, "chunks" | "sources"> & { count: number };

function parseTraining(line: Line, entry: Record<string, unknown>, target: ImportTarget): ParsedTraining {
  const fail = failureIn(line);
  const { id, splitter, fingerprint, chunks } = entry;
  if (typeof splitter !== "string") throw fail(".splitter", "must be a string");
  if (!isCount(chunks)) throw fail(".chunks", "must be a number of lines");
  return {
    ...parseCommon(line, entry, target),
    id: id as TrainingId,
    split: false,
    header: "",
    fingerprint: checkDigest(line, ".fingerprint", fingerprint),
    splitter: storableText(splitter),
    count: chunks,
  };
}

/** What trainings and tombstones have in common. */
function parseCommon(
  line: Line,
  { id, revision, metadata }: Record<string, unknown>,
  { idType }: ImportTarget,
): GivenTombstone {
  const option = optionOf(line);
  if (revision !== null && (typeof revision !== "string" || !REVISION.test(revision))) {
    throw failureIn(line)(".revision", "must be null, or a number in a string");
  }
  return {
    key: encodeTrainingId(id as TrainingId, idType, `${option}.id`),
    revision,
    metadata: storableMetadata(metadata, `${option}.metadata`),
    option,
  };
}

function parseChunk(line: Line, { idType, dimensions }: ImportTarget): PlannedChunk {
  const { chunk, start, end, content, metadata, hash, vector: base64 } = parseObject(line);
  const fail = failureIn(line);
  const option = optionOf(line);
  if (typeof chunk !== "string") throw fail("", "must be a chunk: the training above it has more of them");
  if (typeof content !== "string") throw fail(".content", "must be a string");
  if (!isCount(start) || !isCount(end) || start > end || end > MAX_OFFSET) {
    throw fail(".start", "and end must be the offsets of the chunk");
  }
  const given = typeof base64 === "string" ? vectorFromBase64(base64, dimensions) : undefined;
  if (!given) throw fail(".vector", `must be base64 of ${dimensions} floats`);
  const vector = narrowVector(given, dimensions, given);
  if (typeof vector === "string") throw fail(".vector", `has ${vector}`);
  return {
    id: encodeChunkId(chunk, idType, `${option}.chunk`),
    content: storableText(content),
    metadata: canonicalMetadata(metadata, `${option}.metadata`),
    hash: checkDigest(line, ".hash", hash),
    ...{ vector, start, end },
  };
}

function withChunks(line: Line, { count, ...training }: ParsedTraining, chunks: readonly PlannedChunk[]): GivenVersion {
  if (new Set(chunks.map(({ id }) => id)).size < count) throw failureIn(line)("", "has two chunks with the same id");
  const sources = chunks.map(({ content, metadata, id }) => ({ text: content, metadata, id }));
  return { ...training, chunks, sources };
}

function checkDigest(line: Line, field: string, digest: unknown): string {
  if (typeof digest === "string" && DIGEST.test(digest)) return digest;
  throw failureIn(line)(field, "must be a SHA-256 in hexadecimal digits");
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function parseObject(line: Line): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(line.text);
  } catch {
    // Without the message of JSON.parse, which quotes the text.
    throw line.isCut ? cutOff(`line ${line.number} has no end`) : failureIn(line)("", "is not JSON");
  }
  if (isObject(value) && !Array.isArray(value)) return value as Record<string, unknown>;
  throw failureIn(line)("", "is not a JSON object");
}

function cutOff(problem: string): InvalidArgumentError {
  return new InvalidArgumentError("source", `is cut off: ${problem}`);
}

function optionOf({ number }: Line): string {
  return `source:${number}`;
}

function failureIn(line: Line): (field: string, problem: string) => InvalidArgumentError {
  return (field, problem) => new InvalidArgumentError(`${optionOf(line)}${field}`, problem);
}
