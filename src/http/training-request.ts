import type { Filter, Metadata, Revision, Training } from "../types.js";
import { HttpError, objectWithKeys } from "./request.js";

const TRAINING_KEYS = ["content", "documents", "metadata", "revision", "split"];
/** Far more than a time in nanoseconds has. */
const MAX_DIGITS = 40;
const DIGITS = /^-?\d+$/;

/**
 * The id that the path of a request names: all that follows the handler's path and a slash, decoded. `undefined` for the list.
 *
 * @throws {@link HttpError} 404 for another path, 400 for an id that is not percent-encoded UTF-8
 */
export function requestedId({ url }: Request, path: string): string | undefined {
  const { pathname } = new URL(url);
  if (pathname === path || pathname === `${path}/`) return undefined;
  if (!pathname.startsWith(`${path}/`)) throw new HttpError(404, "There is nothing at this path");
  try {
    return decodeURIComponent(pathname.slice(path.length + 1));
  } catch {
    throw new HttpError(400, "id must be UTF-8, percent-encoded");
  }
}

/**
 * The parameters of a request's query. One that is not known must not be ignored: a misspelt `revision` would mean "none".
 *
 * @throws {@link HttpError} 400 for a parameter that is unknown or given twice
 */
export function readQuery({ url }: Request, known: readonly string[]): ReadonlyMap<string, string> {
  const { searchParams } = new URL(url);
  const query = new Map(searchParams);
  const unknown = [...query.keys()].some((name) => !known.includes(name));
  if (unknown || query.size < searchParams.size) {
    const names = known.length === 0 ? "no parameters" : `each of these parameters once: ${known.join(", ")}`;
    throw new HttpError(400, `The query may have ${names}`);
  }
  return query;
}

/** @throws {@link HttpError} 400 */
export function readLimit(given: string | undefined, most: number): number {
  const limit = given === undefined ? most : DIGITS.test(given) ? Number(given) : NaN;
  if (!(limit >= 1 && limit <= most)) throw new HttpError(400, `limit must be an integer from 1 to ${most}`);
  return limit;
}

/**
 * A revision of a body or a query: a number, or the digits of an integer, which JSON's numbers cannot always hold.
 *
 * @throws {@link HttpError} 400, also for an integer that JSON.parse has rounded
 */
export function readRevision(given: unknown): Revision | undefined {
  if (given === undefined) return undefined;
  if (typeof given === "string" && given.length <= MAX_DIGITS && DIGITS.test(given)) return BigInt(given);
  if (typeof given === "number" && (Number.isSafeInteger(given) || !Number.isInteger(given))) return given;
  throw new HttpError(400, "revision must be a number up to 2^53 - 1, or the digits of an integer as a string");
}

/**
 * The training of a body. What it does not check, the index does.
 *
 * @param filter - of the request: its values are stored with the training, as far as the body does not have the keys
 * @throws {@link HttpError} 400
 */
export function readTraining(id: string, body: unknown, filter: Filter | undefined): Training {
  const { revision, metadata, ...others } = objectWithKeys(body, TRAINING_KEYS);
  const training = { ...others, id, revision: readRevision(revision), metadata: withValuesOf(filter, metadata) };
  return training as unknown as Training;
}

function withValuesOf(filter: Filter | undefined, metadata: unknown): Metadata | undefined {
  const isObject = typeof metadata === "object" && metadata !== null && !Array.isArray(metadata);
  if (filter === undefined || (metadata !== undefined && !isObject)) return metadata as Metadata | undefined;
  return { ...filter, ...metadata };
}
