import { isObject, isPromise } from "../calls/checks.js";
import { isListLike, narrowVector } from "../embedding/vector.js";
import { InvalidArgumentError } from "../errors.js";
import { isBlank, storableText } from "../text.js";

/** @throws {@link InvalidArgumentError} unless the query is a text that is not blank, or a usable vector */
export function checkQuery(query: string | ArrayLike<number>, dimensions: number): string | Float32Array {
  if (typeof query === "string") {
    if (isBlank(query)) throw new InvalidArgumentError("query", "must not be empty or blank");
    return storableText(query);
  }
  if (!isObject(query)) throw invalidQuery();
  if ("query" in query || isPromise(query)) throw invalidQuery();
  return checkGivenVector(query, dimensions, "query");
}

function invalidQuery(): InvalidArgumentError {
  return new InvalidArgumentError(
    "query",
    "must be a text, or a vector as a list of numbers, before the options: similar(query, { k })",
  );
}

/** Checks a vector and narrows it to float32. @throws {@link InvalidArgumentError} that says what is wrong with it */
export function checkGivenVector(
  vector: ArrayLike<number> | undefined,
  dimensions: number,
  option: string,
): Float32Array {
  const checked = isListLike(vector) ? narrowVector(vector, dimensions) : "no list of numbers";
  if (typeof checked === "string")
    throw new InvalidArgumentError(option, `must be a usable vector, but has ${checked}`);
  return checked;
}
