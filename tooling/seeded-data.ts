/** Seeded vectors and texts: the same on every machine and in every run. */

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

/** Unit vectors around cluster centres, like embeddings of texts on a number of topics. */
export class ClusteredVectors {
  readonly #random: () => number;
  readonly #centres: number[][];

  constructor(dimensions: number, clusters: number, seed: number) {
    this.#random = randomNumbers(seed);
    this.#centres = Array.from({ length: clusters }, () => Array.from({ length: dimensions }, () => this.#normal()));
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

/** Text of about this length, of common words and of rare words that few texts share. */
export function text(random: () => number, length: number): string {
  let words = "";
  while (words.length < length) {
    const word = random() < COMMON_SHARE ? pick(COMMON_WORDS, random) : pick(RARE_WORDS, random);
    words += `${word} `;
  }
  return words.trimEnd();
}

const COMMON_SHARE = 0.5;

const COMMON_WORDS = `prazo entrega troca garantia pedido loja cliente produto pagamento boleto cartão frete desconto
  estoque devolução nota fiscal endereço telefone horário atendimento transportadora vencimento parcela crédito débito
  conta cadastro senha promoção cupom catálogo fornecedor embalagem etiqueta rastreamento município bairro domingo
  não são também até após durante conforme exceto somente qualquer nenhum cada`.split(/\s+/);

const SYLLABLES = "ba ção de fi gu lha mo nei pra quê ri são tro vel xu zi can dor ple".split(" ");

/** Made-up words: texts of common words alone would all be near each other. */
const RARE_WORDS = SYLLABLES.flatMap((first) =>
  SYLLABLES.flatMap((second) => SYLLABLES.map((third) => first + second + third)),
);

function pick(words: readonly string[], random: () => number): string {
  return words[Math.floor(random() * words.length)] ?? "";
}
