import { createHash } from "node:crypto";

/** Slots at first; the set doubles when it is two thirds full. */
const FIRST_SLOTS = 1024;
const MAX_LOAD = 2 / 3;

/**
 * Ids with a mark of 8 bits each, in 9 bytes a slot: a million ids take 18 to 28 MB, where a `Map` of strings takes over 100.
 * It keeps the first 64 bits of the SHA-256 of each id. Among a million ids two have the same bits with a probability of
 * about 1 in 37 million.
 */
export class IdSet {
  #hashes = new Uint32Array(2 * FIRST_SLOTS);
  /** 0 for an empty slot. */
  #marks = new Uint8Array(FIRST_SLOTS);
  #size = 0;

  /**
   * Adds bits to the mark of an id, and the id if it is new.
   *
   * @param bits - not 0
   * @returns the mark before; 0 for a new id
   */
  mark(id: string, bits: number): number {
    if (this.#size >= MAX_LOAD * this.#marks.length) this.#grow();
    const [high, low] = hashOf(id);
    const slot = this.#slotOf(high, low);
    const before = this.#marks[slot] ?? 0;
    if (before === 0) {
      this.#hashes[2 * slot] = high;
      this.#hashes[2 * slot + 1] = low;
      this.#size += 1;
    }
    this.#marks[slot] = before | bits;
    return before;
  }

  /** The mark of an id; 0 if it is not in the set. */
  markOf(id: string): number {
    const [high, low] = hashOf(id);
    return this.#marks[this.#slotOf(high, low)] ?? 0;
  }

  /** The slot that has the hash, or the empty one where it belongs. */
  #slotOf(high: number, low: number): number {
    const last = this.#marks.length - 1; // the number of slots is a power of two
    let slot = low & last;
    while (this.#marks[slot] !== 0 && (this.#hashes[2 * slot] !== high || this.#hashes[2 * slot + 1] !== low)) {
      slot = (slot + 1) & last;
    }
    return slot;
  }

  #grow(): void {
    const hashes = this.#hashes;
    const marks = this.#marks;
    this.#hashes = new Uint32Array(2 * hashes.length);
    this.#marks = new Uint8Array(2 * marks.length);
    for (const [old, mark] of marks.entries()) {
      if (mark === 0) continue;
      const high = hashes[2 * old] ?? 0;
      const low = hashes[2 * old + 1] ?? 0;
      const slot = this.#slotOf(high, low);
      this.#hashes[2 * slot] = high;
      this.#hashes[2 * slot + 1] = low;
      this.#marks[slot] = mark;
    }
  }
}

function hashOf(id: string): [high: number, low: number] {
  const digest = createHash("sha256").update(id).digest();
  return [digest.readUInt32LE(0), digest.readUInt32LE(4)];
}
