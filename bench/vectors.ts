/** Seeded data: the same on every machine and in every run. */

/** Mulberry32: small, seeded, good enough for test data. */
export function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Unit vectors around cluster centres, as the embeddings of texts on some topics are. */
export class ClusteredVectors {
  readonly #random: () => number;
  readonly #centres: number[][];

  constructor(dimensions: number, clusters: number, seed: number) {
    this.#random = randomNumbers(seed);
    this.#centres = Array.from({ length: clusters }, () =>
      Array.from({ length: dimensions }, () => this.#normal()),
    );
  }

  next(): number[] {
    const centre = this.#centres[Math.floor(this.#random() * this.#centres.length)] ?? [];
    const vector = centre.map((component) => component + 0.6 * this.#normal());
    const norm = Math.hypot(...vector);
    return vector.map((component) => component / norm);
  }

  #normal(): number {
    const radius = Math.sqrt(-2 * Math.log(this.#random() + Number.EPSILON));
    return radius * Math.cos(2 * Math.PI * this.#random());
  }
}

/** Text of a length, of words that mean nothing. */
export function text(random: () => number, length: number): string {
  let words = "";
  while (words.length < length) words += `${WORDS[Math.floor(random() * WORDS.length)] ?? ""} `;
  return words.trimEnd();
}

const WORDS =
  "prazo entrega troca garantia pedido loja cliente produto pagamento boleto cartão frete desconto estoque".split(
    " ",
  );
