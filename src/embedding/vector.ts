/** What an embedder gives, made into a vector that can be stored and compared. */

/** Whether a value is a list as JavaScript's own are: an array, also of another realm, or a typed array. No text. */
export function isListLike(value: unknown): value is ArrayLike<unknown> {
  if (typeof value !== "object" || value === null || !("length" in value)) return false;
  return typeof value.length === "number" && Number.isInteger(value.length) && value.length >= 0;
}

/**
 * Narrows a vector to the 32 bits that pgvector stores.
 *
 * @param narrowed - where to, of `dimensions` components
 * @returns the vector, or what is wrong with it: another number of dimensions, NaN, infinity, or no direction;
 * also when these only come about at 32 bits, in which pgvector sums up the squares
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
    if (typeof component !== "number") return "a component that is no number";
    narrowed[index] = component;
    squares += component * component;
  }
  // Far from the bounds of 32 bits this sum says the same as one in 32 bits, in a third of the time.
  if (!(squares > 1e-30 && squares < 1e30)) squares = sumOfSquares(narrowed);
  if (!Number.isFinite(squares)) return "NaN, infinity or components too large to compare";
  return squares === 0 ? "zeros or components too small to compare: no direction" : narrowed;
}

/** As pgvector sums them up, in 32 bits. */
function sumOfSquares(vector: Float32Array): number {
  return vector.reduce((squares, component) => Math.fround(squares + Math.fround(component * component)), 0);
}

const FLOAT_BYTES = 4;
/** The way out where base64 was taken for numbers, or the reverse. */
const NO_BASE64 = 'set encodingFormat: "float" on the embedder';

/**
 * The same for whatever an embedder gave in the place of a vector; what is wrong with it comes with a hint.
 *
 * @throws whatever a property of it throws
 */
export function readVector(
  given: unknown,
  dimensions: number,
  narrowed: Float32Array,
): Float32Array | string {
  if (!isListLike(given)) return `${kindOf(given)} in the place of a vector`;
  const vector = narrowVector(given, dimensions, narrowed);
  if (typeof vector !== "string") return vector;
  if (isListLike(given[0])) return `${vector}. It is a list of lists: give one list of numbers for each text`;
  if (typeof given[0] === "string") return `${vector}, but a text`;
  const isQuarter = given.length > 0 && given.length * FLOAT_BYTES === dimensions;
  if (isQuarter) return `${vector}. A quarter is left where floats are read as base64: ${NO_BASE64}`;
  if (given.length === FLOAT_BYTES * dimensions) return `${vector}. They may be bytes: ${NO_BASE64}`;
  return vector;
}

/** What something is that is no list: never what it holds. */
function kindOf(value: unknown): string {
  if (value === undefined || value === null) return String(value);
  if (typeof value === "string") return `a text (if it is base64, ${NO_BASE64})`;
  if (typeof value !== "object") return `a ${typeof value}`;
  if ("then" in value) return "a promise (await it)";
  if ("embedding" in value) return "an object (give the list in its `embedding`)";
  return "an object";
}
