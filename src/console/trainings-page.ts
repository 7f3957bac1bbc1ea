import { InvalidArgumentError } from "../errors.js";
import type { StoredTraining } from "../index.js";
import { idRanges, type IdRange } from "./id-ranges.js";
import type { Opened } from "./open-index.js";

/** A page of the list of trainings. */
export interface TrainingsPage {
  trainings: StoredTraining[];
  /** Where the next page begins: the `after` to ask for. `null` for the last page. */
  next: string | null;
}

/** Which trainings to list. */
export interface PageRequest {
  /** The beginning of the ids; "" lists all. */
  prefix: string;
  /** The last id of the page before; `undefined` for the first page. */
  after: string | undefined;
  limit: number;
}

/**
 * Lists a page of trainings in the order of their ids. Reads along the primary key from where the page begins, so that a page costs
 * the same in an index of any size.
 */
export async function listTrainings(
  { index, idType }: Pick<Opened, "index" | "idType">,
  { prefix, after, limit }: PageRequest,
  signal: AbortSignal,
): Promise<TrainingsPage> {
  const found: StoredTraining[] = [];
  for (const range of idRanges(prefix, idType)) {
    if (found.length > limit) break;
    found.push(...(await listRange(index, range, { after, most: limit + 1 - found.length }, signal)));
  }
  const trainings = found.slice(0, limit);
  return { trainings, next: found.length > limit ? String(trainings.at(-1)?.id) : null };
}

async function listRange(
  index: Opened["index"],
  { first, begin, has, isBefore }: IdRange,
  { after, most }: { after: string | undefined; most: number },
  signal: AbortSignal,
): Promise<StoredTraining[]> {
  const found: StoredTraining[] = [];
  try {
    const isInside = after !== undefined && !isBefore(after);
    // `list` begins after an id; the range may begin with one.
    const exact = isInside || first === undefined ? undefined : await index.get(first, { signal });
    if (exact) found.push(exact);
    const start = isInside ? after : begin;
    if (found.length >= most) return found;
    for await (const training of index.list({ after: start, limit: most - found.length, signal })) {
      if (!has(String(training.id))) break;
      found.push(training);
    }
    return found;
  } catch (error) {
    // The beginning that a person is typing need not be one that an id can have.
    if (InvalidArgumentError.is(error) && /^(?:id|after)\b/.test(error.option)) return found;
    throw error;
  }
}
