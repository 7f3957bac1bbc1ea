import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeVector, encodeTextArray, encodeVector, encodeVectorArray } from "../../src/postgres/codec.js";

const components = fc.float32Array({ minLength: 1, maxLength: 40, noNaN: true });

/** Bytes from hex, with spaces between fields for readability. */
const bytes = (hex: string): Buffer => Buffer.from(hex.replaceAll(" ", ""), "hex");

describe("encodeVector", () => {
  it("writes what vector_recv reads: dimensions, an unused field, big-endian floats", () => {
    expect(encodeVector(Float32Array.of(1, -2.5, 0.1))).toEqual(bytes("0003 0000 3f800000 c0200000 3dcccccd"));
  });

  it("writes the dimensions in two bytes", () => {
    const encoded = encodeVector(new Float32Array(2000).fill(1));
    expect(encoded.subarray(0, 8)).toEqual(bytes("07d0 0000 3f800000"));
    expect(encoded).toHaveLength(4 + 2000 * 4);
  });

  it("writes only a view's own components", () => {
    const view = Float32Array.of(9, 1, 2, 9).subarray(1, 3);
    expect(encodeVector(view)).toEqual(bytes("0002 0000 3f800000 40000000"));
  });

  it("does not change the vector", () => {
    const vector = Float32Array.of(1, -2.5);
    encodeVector(vector);
    expect(vector).toEqual(Float32Array.of(1, -2.5));
  });

  it("writes every component so that it reads back unchanged", () => {
    fc.assert(
      fc.property(components, (vector) => {
        const encoded = encodeVector(vector);
        expect(encoded).toHaveLength(4 + 4 * vector.length);
        expect(Array.from(vector, (_, index) => encoded.readFloatBE(4 + 4 * index))).toEqual(Array.from(vector));
      }),
    );
  });
});

describe("encodeVectorArray", () => {
  it("writes what array_recv reads: one dimension, the element type, and each element after its length", () => {
    expect(encodeVectorArray([Float32Array.of(1, 2), Float32Array.of(-1)], 16_385)).toEqual(
      bytes(
        "00000001 00000000 00004001 00000002 00000001" +
          "0000000c 0002 0000 3f800000 40000000" +
          "00000008 0001 0000 bf800000",
      ),
    );
  });

  it("writes an empty array without a dimension", () => {
    expect(encodeVectorArray([], 5)).toEqual(bytes("00000000 00000000 00000005"));
  });

  it("writes the oid as unsigned", () => {
    expect(encodeVectorArray([], 4_294_967_295).subarray(8, 12)).toEqual(bytes("ffffffff"));
  });

  it("contains each vector as encodeVector writes it", () => {
    fc.assert(
      fc.property(fc.array(components, { maxLength: 8 }), (vectors) => {
        const elements = vectors.map((vector) => {
          const length = Buffer.alloc(4);
          const encoded = encodeVector(vector);
          length.writeInt32BE(encoded.length);
          return Buffer.concat([length, encoded]);
        });
        const headerBytes = vectors.length === 0 ? 12 : 20;
        expect(encodeVectorArray(vectors, 5).subarray(headerBytes)).toEqual(Buffer.concat(elements));
      }),
    );
  });
});

describe("encodeTextArray", () => {
  it("writes what array_recv reads: one dimension, the type text, and each text in UTF-8 after its length in bytes", () => {
    expect(encodeTextArray(["é", "", "a"])).toEqual(
      bytes("00000001 00000000 00000019 00000003 00000001" + "00000002 c3a9" + "00000000" + "00000001 61"),
    );
  });

  it("writes an empty array without a dimension", () => {
    expect(encodeTextArray([])).toEqual(bytes("00000000 00000000 00000019"));
  });

  it("preserves every text", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: "binary" }), { maxLength: 8 }), (texts) => {
        const buffer = encodeTextArray(texts);
        let offset = texts.length === 0 ? 12 : 20;
        const found = texts.map(() => {
          const length = buffer.readInt32BE(offset);
          offset += 4 + length;
          return buffer.toString("utf8", offset - length, offset);
        });
        expect(found).toEqual(texts);
        expect(offset).toBe(buffer.length);
      }),
    );
  });
});

describe("decodeVector", () => {
  it("reads pgvector's binary format from base64 with Postgres's line breaks", () => {
    const vector = Float32Array.from({ length: 100 }, (_, place) => (place % 2 ? -1 : 1) * 3e-5 * 10 ** (place / 10));
    const base64 = encodeVector(vector).toString("base64").replace(/.{76}/g, "$&\n");
    expect(decodeVector(base64)).toEqual(vector);
    expect(decodeVector(encodeVector(new Float32Array([1, -2.5, 1e20, 0])).toString("base64"))).toEqual(
      new Float32Array([1, -2.5, 1e20, 0]),
    );
  });
});
