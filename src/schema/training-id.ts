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

/** An integer as Postgres writes it: of `007`, `+7` and `1e3` nobody knows whether they are the id 7. */
const DIGITS = /^(?:0|-?[1-9]\d{0,18})$/;
/** Postgres' own names of types that ids are stored as, or the host's columns have, and the type of id of each. */
const ID_TYPES: Partial<Record<string, IdType>> = {
  text: "text",
  varchar: "text",
  int8: "bigint",
  int4: "integer",
  uuid: "uuid",
};

/**
 * The type of ids in a column.
 *
 * @param typeName - as `pg_type` has it, which no setting has a say in; `format_type` follows `quote_all_identifiers`
 */
export function idTypeOf(typeName: string | null): IdType | undefined {
  return typeName === null ? undefined : ID_TYPES[typeName];
}

/**
 * The text that Postgres gets for an id: the one form of all its spellings. `text` and `uuid` columns take strings, `bigint`
 * and `integer` columns numbers, bigints, or the strings that `pg` returns for them.
 *
 * @throws {@link InvalidArgumentError} naming the option, the column's type and the remedy
 */
export function encodeTrainingId(id: TrainingId, idType: IdType, option: string): string {
  return idType === "bigint" || idType === "integer"
    ? encodeInteger(id, idType, option)
    : encodeString(id, idType, option);
}

/**
 * The text of a chunk's id. Texts as they are, but in a schema of uuids each uuid in the form that a training's id has there:
 * a document that is added through the vector store is known by the same id as its chunk.
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

/** As {@link encodeTrainingId}, for a list of ids that the caller calls `ids`. */
export function encodeTrainingIds(ids: readonly TrainingId[], idType: IdType): string[] {
  if (!Array.isArray(ids)) throw new InvalidArgumentError("ids", "must be a list of ids");
  // Not `map`, which would leave out the holes of a list.
  return Array.from(ids, (id: TrainingId, index) => encodeTrainingId(id, idType, `ids[${index}]`));
}

/** The id as the caller knows it. A bigint beyond the safe integers comes back as a `bigint`. */
export function decodeTrainingId(text: string, idType: IdType): TrainingId {
  if (idType === "text" || idType === "uuid") return text;
  const number = Number(text);
  return Number.isSafeInteger(number) ? number : BigInt(text);
}

function encodeInteger(id: TrainingId, idType: "bigint" | "integer", option: string): string {
  if (typeof id === "string" && !DIGITS.test(id)) {
    throw new InvalidArgumentError(
      option,
      `is no integer, but this index stores ids as ${idType}: pass a number, a bigint, or its digits as Postgres writes them, such as "7"`,
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
