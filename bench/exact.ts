/** The true nearest neighbours, computed without any contender. */
import { isSelected, type Dataset, type Selection } from "./data.js";

/** The texts of the nearest chunks, nearest first, per selection and query. */
export type ExactAnswers = ReadonlyMap<Selection, readonly (readonly string[])[]>;

/** Compares each query with each chunk. All vectors must be unit vectors. */
export function findExactly({ chunks, queries }: Dataset, selections: readonly Selection[], k: number): ExactAnswers {
  const answers = new Map<Selection, string[][]>(selections.map((selection) => [selection, []]));
  const members = selections.map((selection) => chunks.map((chunk) => isSelected(chunk, selection)));
  for (const query of queries) {
    const similarities = Float64Array.from(chunks, ({ vector }) => dotProduct(query, vector));
    for (const [index, selection] of selections.entries()) {
      const nearest = selectHighest(similarities, members[index] ?? [], k);
      answers.get(selection)?.push(nearest.map((place) => chunks[place]?.text ?? ""));
    }
  }
  return answers;
}

/** Share of the true nearest that were found; 1 if there are none. */
export function recallOf(found: readonly string[], nearest: readonly string[]): number {
  const texts = new Set(found);
  return nearest.length === 0 ? 1 : nearest.filter((text) => texts.has(text)).length / nearest.length;
}

function dotProduct(left: readonly number[], right: readonly number[]): number {
  let sum = 0;
  for (let index = 0; index < left.length; index++) sum += (left[index] ?? 0) * (right[index] ?? 0);
  return sum;
}

/** The places of the `k` highest values among the members, highest first. */
function selectHighest(values: Float64Array, isMember: readonly boolean[], k: number): number[] {
  const places: number[] = [];
  const valueAt = (place: number | undefined): number => (place === undefined ? -Infinity : (values[place] ?? 0));
  for (const [place, value] of values.entries()) {
    if (isMember[place] !== true || (places.length === k && value <= valueAt(places[k - 1]))) continue;
    const better = places.findIndex((other) => valueAt(other) < value);
    places.splice(better === -1 ? places.length : better, 0, place);
    places.length = Math.min(places.length, k);
  }
  return places;
}
