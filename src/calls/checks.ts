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

/** @throws {@link InvalidArgumentError} for a value that `for await` cannot iterate */
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

/** Whether a value is an object, and so has properties. */
export function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

/** The names of all properties of a type. The compiler rejects a list with a name missing or one too many. */
export function namesOfProperties<Type>(names: Readonly<Record<keyof Type, true>>): readonly string[] {
  return Object.keys(names);
}

/**
 * Rejects unknown property names: `{ filters }` must never mean "no filter". Also rejects values that are not plain
 * objects: on a list, a Map or a promise every option would read as `undefined`.
 *
 * @param given - the options, or another object with a fixed set of names; `undefined` is accepted
 * @param known - from {@link namesOfProperties}
 * @param owner - what the names belong to, for the message: `similar`, `migrate`, `a training`
 * @param path - the object's place in the arguments: `training` for `training.text`; omitted for the options themselves
 * @throws {@link InvalidArgumentError} with the unknown name and the closest known one
 */
export function checkNames(given: unknown, known: readonly string[], owner: string, path?: string): void {
  if (given === undefined) return;
  if (!isOptionsObject(given)) {
    const names = known.length > 3 ? `${known.slice(0, 3).join(", ")}, ...` : known.join(", ");
    throw new InvalidArgumentError(path ?? "options", `must be an object, { ${names} }, but is ${nameOfKind(given)}`);
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

/** Like {@link checkNames}, but also rejects `undefined`: defaults have been applied by now. */
export function checkOptions(options: unknown, known: readonly string[], owner: string): void {
  checkNames(options ?? null, known, owner);
}

/** Whether a value is an object literal or an instance of a host's class. */
function isOptionsObject(value: unknown): value is object {
  return Object.prototype.toString.call(value) === "[object Object]";
}

/** Names the kind of a rejected value: a string, a list, null, a Map, a Promise. */
function nameOfKind(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (typeof value !== "object") return `a ${typeof value}`;
  return value === null ? "null" : `a ${Object.prototype.toString.call(value).slice("[object ".length, -1)}`;
}

/** Whether a value is a promise, usually because the caller forgot an `await`. */
export function isPromise(value: unknown): boolean {
  return typeof (value as { then?: unknown } | null | undefined)?.then === "function";
}

/**
 * The known name that equals one word of `name` (`k` for `topK`). Otherwise the known name with the smallest edit
 * distance, if that is at most half its length.
 */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  const words = name.split(/(?=[A-Z])|_/).map((word) => word.toLowerCase());
  const word = known.find((candidate) => words.includes(candidate.toLowerCase()));
  if (word !== undefined) return word;
  const lowerCased = name.toLowerCase();
  const [nearest] = known
    .map((candidate) => ({ candidate, distance: editDistance(lowerCased, candidate.toLowerCase()) }))
    .filter(({ candidate, distance }) => distance <= Math.max(1, Math.floor(candidate.length / 2)))
    .sort((left, right) => left.distance - right.distance);
  return nearest?.candidate;
}

/** The Levenshtein distance. */
function editDistance(from: string, to: string): number {
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
