import { InvalidArgumentError } from "../errors.js";
import type { IdType, TrainingId } from "../types.js";

/** Keeps an id well under the 2,704 bytes that a B-tree entry can hold. */
const MAX_TEXT_ID_BYTES = 1024;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const RANGES = {
  integer: [-(2n ** 31n), 2n ** 31n - 1n],
  bigint: [-(2n ** 63n), 2n ** 63n - 1n],
} as const;

/** The column types that ids can have. */
export const idTypes: readonly IdType[] = ["text", "bigint", "integer", "uuid"];

/** An integer in the form that Postgres prints. Other forms (`007`, `+7`, `1e3`) are rejected as ambiguous. */
const DIGITS = /^(?:0|-?[1-9]\d{0,18})$/;
/** The id type for each `pg_type` name that an id column of ours or of the host can have. */
const ID_TYPES: Partial<Record<string, IdType>> = {
  text: "text",
  varchar: "text",
  int8: "bigint",
  int4: "integer",
  uuid: "uuid",
};

/**
 * The id type of a column.
 *
 * @param typeName - from `pg_type`, not from `format_type`, whose output depends on `quote_all_identifiers`
 */
export function idTypeOf(typeName: string | null): IdType | undefined {
  return typeName === null ? undefined : ID_TYPES[typeName];
}

/**
 * The canonical text of an id, as it is sent to Postgres. `text` and `uuid` columns take strings; `bigint` and `integer`
 * columns take numbers, bigints, or their digits as strings, as `pg` returns them.
 *
 * @throws {@link InvalidArgumentError} that names the option, the column's type and the remedy
 */
export function encodeTrainingId(id: TrainingId, idType: IdType, option: string): string {
  return idType === "bigint" || idType === "integer"
    ? encodeInteger(id, idType, option)
    : encodeString(id, idType, option);
}

/**
 * The text of a chunk's id. In a schema with `uuid` ids, uuids are lower-cased like ids of trainings: a document that the
 * vector store adds has the same id as its chunk.
 *
 * @throws {@link InvalidArgumentError}
 */
export function encodeChunkId(id: TrainingId, idType: IdType, option: string): string {
  if (typeof id !== "string" && (idType === "bigint" || idType === "integer")) {
    return encodeInteger(id, idType, option);
  }
  const text = encodeString(id, "text", option);
  return idType === "uuid" && UUID.test(text) ? text.toLowerCase() : text;
}

/** Like {@link encodeTrainingId}, for a list; errors call it `ids`. */
export function encodeTrainingIds(ids: readonly TrainingId[], idType: IdType): string[] {
  if (!Array.isArray(ids)) throw new InvalidArgumentError("ids", "must be a list of ids");
  // Not `map`, which skips the holes of a sparse array.
  return Array.from(ids, (id: TrainingId, index) => encodeTrainingId(id, idType, `ids[${index}]`));
}

/** The id in the caller's form. A number beyond the safe integers is returned as a `bigint`. */
export function decodeTrainingId(text: string, idType: IdType): TrainingId {
  if (idType === "text" || idType === "uuid") return text;
  const number = Number(text);
  return Number.isSafeInteger(number) ? number : BigInt(text);
}

function encodeInteger(id: TrainingId, idType: "bigint" | "integer", option: string): string {
  if (typeof id === "string" && !DIGITS.test(id)) {
    throw new InvalidArgumentError(
      option,
      `is not an integer, but this index stores ids as ${idType}: pass a number, a bigint, or its digits as Postgres writes them, such as "7"`,
    );
  }
  if (typeof id === "number" ? !Number.isSafeInteger(id) : !["bigint", "string"].includes(typeof id)) {
    throw new InvalidArgumentError(option, "must be a safe integer, a bigint, or a string of digits");
  }
  const [lowest, highest] = RANGES[idType];
  const integer = BigInt(id);
  if (integer < lowest || integer > highest) {
    throw new InvalidArgumentError(option, `is out of the range of ${idType}`);
  }
  return integer.toString();
}

function encodeString(id: TrainingId, idType: "text" | "uuid", option: string): string {
  if (typeof id !== "string") {
    throw new InvalidArgumentError(
      option,
      typeof id === "number" || typeof id === "bigint"
        ? `is a ${typeof id}, but this index stores ids as ${idType}: pass a string, or migrate with idType "bigint"`
        : "must be a string",
    );
  }
  if (idType === "uuid") {
    if (!UUID.test(id)) throw new InvalidArgumentError(option, "must be a uuid");
    return id.toLowerCase();
  }
  if (id.trim() === "") throw new InvalidArgumentError(option, "must not be empty or blank");
  if (id.includes("\0") || !id.isWellFormed()) {
    throw new InvalidArgumentError(option, "must not hold NUL or a lone surrogate");
  }
  if (Buffer.byteLength(id) > MAX_TEXT_ID_BYTES) {
    throw new InvalidArgumentError(option, `must not be longer than ${MAX_TEXT_ID_BYTES} bytes`);
  }
  return id;
}
