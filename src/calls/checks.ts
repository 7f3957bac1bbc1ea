import { InvalidArgumentError } from "../errors.js";

/** @throws {@link InvalidArgumentError} */
export function checkFunction<T>(option: string, value: T | undefined): T | undefined {
  if (value !== undefined && typeof value !== "function") {
    throw new InvalidArgumentError(option, "must be a function");
  }
  return value;
}

/** @throws {@link InvalidArgumentError} */
export function checkList(option: string, list: unknown): void {
  if (!Array.isArray(list)) throw new InvalidArgumentError(option, "must be a list");
}

/** @throws {@link InvalidArgumentError} for what `for await` cannot go through */
export function checkIterable(option: string, given: unknown): void {
  const { [Symbol.iterator]: iterator, [Symbol.asyncIterator]: asyncIterator } = (given ?? {}) as Partial<
    Iterable<unknown> & AsyncIterable<unknown>
  >;
  if (typeof iterator !== "function" && typeof asyncIterator !== "function") {
    throw new InvalidArgumentError(option, "must be a list or an iterable");
  }
}

/** @throws {@link InvalidArgumentError} */
export function checkInteger(option: string, value: unknown, lowest: number, highest: number): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < lowest || value > highest) {
    throw new InvalidArgumentError(option, `must be an integer from ${lowest} to ${highest}`);
  }
  return value;
}

/** @throws {@link InvalidArgumentError} */
export function checkNumber(option: string, value: unknown, lowest: number, highest: number): number {
  if (typeof value !== "number" || !(value >= lowest && value <= highest)) {
    throw new InvalidArgumentError(option, `must be a number from ${lowest} to ${highest}`);
  }
  return value;
}

/** Whether a value has properties to look at. */
export function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

/** The names of all properties of a type. The compiler refuses a list that lacks one or has one too many. */
export function namesOfProperties<Type>(names: Readonly<Record<keyof Type, true>>): readonly string[] {
  return Object.keys(names);
}

/**
 * Refuses names that a function does not know: `{ filters }` must never be taken for "no filter". And refuses what has no
 * names at all: of a list, a Map or a promise each option would be `undefined`.
 *
 * @param given - the options, or another object of fixed names; `undefined` for none
 * @param known - from {@link namesOfProperties}
 * @param owner - what takes them, for the message: `similar`, `migrate`, `a training`
 * @param path - where the object is in the arguments: `training` for `training.text`; none for options
 * @throws {@link InvalidArgumentError} that names the unknown one, and the nearest that is known
 */
export function checkNames(given: unknown, known: readonly string[], owner: string, path?: string): void {
  if (given === undefined) return;
  if (!isOptionsObject(given)) {
    const names = known.length > 3 ? `${known.slice(0, 3).join(", ")}, ...` : known.join(", ");
    throw new InvalidArgumentError(
      path ?? "options",
      `must be an object, { ${names} }, but is ${nameOfKind(given)}`,
    );
  }
  const unknown = Object.keys(given).find((name) => !known.includes(name));
  if (unknown === undefined) return;
  const nearest = nearestName(unknown, known);
  const hint = nearest === undefined ? `known are ${known.join(", ")}` : `did you mean ${nearest}?`;
  throw new InvalidArgumentError(
    path === undefined ? unknown : `${path}.${unknown}`,
    `is not known to ${owner}: ${hint}`,
  );
}

/** As {@link checkNames}, for options that have to be there by now. */
export function checkOptions(options: unknown, known: readonly string[], owner: string): void {
  checkNames(options ?? null, known, owner);
}

/** An object literal, or an object of a class of the host's. */
function isOptionsObject(value: unknown): value is object {
  return Object.prototype.toString.call(value) === "[object Object]";
}

/** What was given instead: a string, a list, null, a Map, a Promise. */
function nameOfKind(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (typeof value !== "object") return `a ${typeof value}`;
  return value === null ? "null" : `a ${Object.prototype.toString.call(value).slice("[object ".length, -1)}`;
}

/** Whether a value is a promise: most often a call whose `await` was forgotten. */
export function isPromise(value: unknown): boolean {
  return typeof (value as { then?: unknown } | null | undefined)?.then === "function";
}

/** The known name that is one of its words (`k` of `topK`), else the one that takes the fewest changes, at most half of its letters. */
function nearestName(name: string, known: readonly string[]): string | undefined {
  const words = name.split(/(?=[A-Z])|_/).map((word) => word.toLowerCase());
  const word = known.find((candidate) => words.includes(candidate.toLowerCase()));
  if (word !== undefined) return word;
  const wanted = name.toLowerCase();
  const [nearest] = known
    .map((candidate) => ({ candidate, changes: changesBetween(wanted, candidate.toLowerCase()) }))
    .filter(({ candidate, changes }) => changes <= Math.max(1, Math.floor(candidate.length / 2)))
    .sort((left, right) => left.changes - right.changes);
  return nearest?.candidate;
}

/** Letters to add, take away or replace (Levenshtein distance). */
function changesBetween(from: string, to: string): number {
  let previous = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (const [row, letter] of Array.from(from).entries()) {
    const current = [row + 1];
    for (let column = 1; column <= to.length; column++) {
      const replaced = (previous[column - 1] ?? 0) + (letter === to[column - 1] ? 0 : 1);
      current.push(Math.min(replaced, (previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous.at(-1) ?? 0;
}
