/** Vectors in Postgres' binary format: `pg` sends Buffer parameters in binary. */

const VECTOR_HEADER_BYTES = 4;
const ARRAY_HEADER_BYTES = 20;
const LENGTH_BYTES = 4;

/** The parameter for `$n::vector`. @see https://github.com/pgvector/pgvector/blob/v0.8.0/src/vector.c `vector_recv` */
export function binaryVector(vector: readonly number[]): Buffer {
  const buffer = Buffer.from(new ArrayBuffer(bytesOf(vector)));
  writeVector(buffer, 0, vector);
  return buffer;
}

/** The parameter for `$n::vector[]`, one for all vectors. @see `array_recv` of Postgres */
export function binaryVectors(vectors: readonly (readonly number[])[], elementTypeOid: number): Buffer {
  const bytes = vectors.reduce((sum, vector) => sum + LENGTH_BYTES + bytesOf(vector), ARRAY_HEADER_BYTES);
  const buffer = Buffer.from(new ArrayBuffer(bytes));
  const header = [1, 0, elementTypeOid, vectors.length, 1]; // dimensions, nulls, type, length, lower bound
  for (const [index, value] of header.entries()) buffer.writeInt32BE(value, index * LENGTH_BYTES);
  let offset = ARRAY_HEADER_BYTES;
  for (const vector of vectors) {
    buffer.writeInt32BE(bytesOf(vector), offset);
    offset = writeVector(buffer, offset + LENGTH_BYTES, vector);
  }
  return buffer;
}

function bytesOf(vector: readonly number[]): number {
  return VECTOR_HEADER_BYTES + vector.length * Float32Array.BYTES_PER_ELEMENT;
}

/** Copies all components, then swaps the byte order of all of them: the fastest way. */
function writeVector(buffer: Buffer, offset: number, vector: readonly number[]): number {
  buffer.writeInt16BE(vector.length, offset);
  const start = offset + VECTOR_HEADER_BYTES;
  const end = offset + bytesOf(vector);
  new Float32Array(buffer.buffer, start, vector.length).set(vector);
  if (IS_LITTLE_ENDIAN) buffer.subarray(start, end).swap32();
  return end;
}

const IS_LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;
