import { batches } from "../calls/batches.js";
import { encodeTextArray } from "../postgres/codec.js";
import { query, type Queryable } from "../postgres/database.js";
import type { NamedStatements } from "../postgres/named-statements.js";
import type { KnownSchema } from "../schema/known-schema.js";
import type { Layout } from "../schema/layout.js";
import { fragmentsLiteral, insertWords } from "./word-table.js";
import { correctable, fragmentsOf } from "./correctable-words.js";
import { wordsOfChunk } from "./searched-words.js";

/** Words in one statement. */
const INSERT_LIMITS = { items: 2000, size: Infinity };
/** A clean-up deletes only words that were offered earlier than this, with a wide margin. */
const FORGET_AFTER_MS = 10 * 60_000;
/** About 10 MB. */
const MAX_REMEMBERED = 100_000;

/** Dependencies of {@link OfferedWords}. */
export interface OfferedWordsParts {
  statements: NamedStatements;
  knownSchema: Pick<KnownSchema, "recent">;
}

/**
 * Adds the words of texts that are about to be stored to the table of words, and remembers them for a while: most words of a load
 * occur again and again.
 */
export class OfferedWords {
  readonly #parts: OfferedWordsParts;
  #remembered = new Set<string>();
  #rememberedSince = 0;
  /** The table of chunks that the remembered words belong to. */
  #chunkOid = 0;

  constructor(parts: OfferedWordsParts) {
    this.#parts = parts;
  }

  /**
   * Adds words before their chunks are stored. If that then fails, words are left that no chunk has: they are never used, and the
   * next clean-up removes them.
   *
   * @param signal - of the call
   * @throws {@link DatabaseError} | {@link SchemaError}
   */
  async offer(chunks: Iterable<{ content: string }>, signal: AbortSignal | undefined): Promise<void> {
    const { statements, knownSchema } = this.#parts;
    const { layout, chunkOid } = await knownSchema.recent(signal);
    if (layout.textSearch === undefined) return;
    if (chunkOid !== this.#chunkOid || performance.now() - this.#rememberedSince > FORGET_AFTER_MS) {
      this.#forget(chunkOid);
    }
    const words = wordsOfAll(chunks, this.#remembered);
    const bound = statements.within({ signal });
    for (const { text, values, words: added } of insertStatements(layout, words)) {
      await bound.query("offer-words", text, values, { keepsPlan: false });
      if (this.#remembered.size + added.length > MAX_REMEMBERED) this.#forget(chunkOid);
      for (const word of added) this.#remembered.add(word);
    }
  }

  #forget(chunkOid: number): void {
    this.#remembered = new Set();
    this.#rememberedSince = performance.now();
    this.#chunkOid = chunkOid;
  }
}

/** Adds the words of chunks in the transaction that `client` is in. Waits for no other transaction, and makes none wait. */
export async function offerWithin(
  client: Queryable,
  layout: Layout,
  chunks: Iterable<{ content: string }>,
): Promise<void> {
  if (layout.textSearch === undefined) return;
  for (const { text, values } of insertStatements(layout, wordsOfAll(chunks)))
    await query(client, "offer-words", text, values);
}

function wordsOfAll(chunks: Iterable<{ content: string }>, known?: ReadonlySet<string>): Set<string> {
  const words = new Set<string>();
  for (const chunk of chunks) {
    for (const word of wordsOfChunk(chunk).split(" ")) if (known?.has(word) !== true) words.add(word);
  }
  return new Set(correctable(words));
}

function* insertStatements(
  layout: Layout,
  words: Iterable<string>,
): Generator<{ text: string; values: unknown[]; words: string[] }> {
  const text = insertWords(layout);
  for (const batch of batches(words, () => 0, INSERT_LIMITS)) {
    const fragments = batch.map((word) => fragmentsLiteral(fragmentsOf(word)));
    yield { text, values: [encodeTextArray(batch), encodeTextArray(fragments)], words: batch };
  }
}
