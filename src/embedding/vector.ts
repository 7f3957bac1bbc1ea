/** Converts the output of an embedder to vectors that can be stored and compared. */

/** Whether a value is an array-like object: an array (also of another realm) or a typed array, but not a string. */
export function isListLike(value: unknown): value is ArrayLike<unknown> {
  if (typeof value !== "object" || value === null || !("length" in value)) return false;
  return typeof value.length === "number" && Number.isInteger(value.length) && value.length >= 0;
}

/**
 * Converts a vector to the 32-bit floats that pgvector stores.
 *
 * @param narrowed - the array to fill, of `dimensions` components
 * @returns the vector, or the problem with it: a wrong number of dimensions, NaN, infinity, or no direction. The vector is
 * judged at 32 bits, at which pgvector sums the squares.
 */
export function narrowVector(
  vector: ArrayLike<unknown>,
  dimensions: number,
  narrowed: Float32Array = new Float32Array(dimensions),
): Float32Array | string {
  if (vector.length !== dimensions) return `${vector.length} dimensions; this index stores ${dimensions}`;
  let squares = 0;
  for (let index = 0; index < dimensions; index++) {
    const component = vector[index];
    if (typeof component !== "number") return "a component that is not a number";
    narrowed[index] = component;
    squares += component * component;
  }
  // Within these bounds the 64-bit sum gives the same answer as a 32-bit sum, in a third of the time.
  if (!(squares > 1e-30 && squares < 1e30)) squares = sumOfSquares(narrowed);
  if (!Number.isFinite(squares)) return "NaN, infinity or components too large to compare";
  return squares === 0 ? "zeros or components too small to compare: no direction" : narrowed;
}

/** The sum in 32-bit floats, as pgvector computes it. */
function sumOfSquares(vector: Float32Array): number {
  return vector.reduce((squares, component) => Math.fround(squares + Math.fround(component * component)), 0);
}

const FLOAT_BYTES = 4;
/** The remedy if base64 was decoded as numbers, or the reverse. */
const NO_BASE64 = 'set encodingFormat: "float" on the embedder';

/**
 * Like {@link narrowVector}, for any value that an embedder returned. The description of a problem includes a hint.
 *
 * @throws any error that a getter of the value throws
 */
export function readVector(given: unknown, dimensions: number, narrowed: Float32Array): Float32Array | string {
  if (!isListLike(given)) return `${kindOf(given)} instead of a vector`;
  const vector = narrowVector(given, dimensions, narrowed);
  if (typeof vector !== "string") return vector;
  if (isListLike(given[0])) return `${vector}. It is a list of lists: return one list of numbers for each text`;
  if (typeof given[0] === "string") return `${vector}, but a text`;
  const isQuarter = given.length > 0 && given.length * FLOAT_BYTES === dimensions;
  if (isQuarter) return `${vector}. Floats decoded as base64 leave a quarter of the dimensions: ${NO_BASE64}`;
  if (given.length === FLOAT_BYTES * dimensions) return `${vector}. They may be bytes: ${NO_BASE64}`;
  return vector;
}

/** Names the kind of a value that is not a list, without repeating its content. */
function kindOf(value: unknown): string {
  if (value === undefined || value === null) return String(value);
  if (typeof value === "string") return `a text (if it is base64, ${NO_BASE64})`;
  if (typeof value !== "object") return `a ${typeof value}`;
  if ("then" in value) return "a promise (await it)";
  if ("embedding" in value) return "an object (return the list in its `embedding`)";
  return "an object";
}
