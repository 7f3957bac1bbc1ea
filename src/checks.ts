import { InvalidArgumentError } from "./errors.js";

/** @throws {@link InvalidArgumentError} */
export function checkFunction<T>(option: string, value: T | undefined): T | undefined {
  if (value !== undefined && typeof value !== "function") {
    throw new InvalidArgumentError(option, "must be a function");
  }
  return value;
}

/** @throws {@link InvalidArgumentError} */
export function checkOptions(options: object): void {
  if (!isObject(options)) throw new InvalidArgumentError("options", "must be an object");
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
