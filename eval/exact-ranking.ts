import type pg from "pg";
import { lexemesOf } from "../src/schema/lexemes.js";
import { questionOf } from "../src/words/searched-words.js";

const SATURATION = 1.2;
const LENGTH_NORMALIZATION = 0.75;

interface Occurrence {
  id: string;
  times: number;
  /** Number of different lexemes in the chunk. */
  length: number;
}

/** Textbook BM25 over all chunks, computed in this process from the lexemes that the database stores. */
export class ExactRanking {
  readonly #lexemes: ReadonlyMap<string, readonly string[]>;
  readonly #occurrences: ReadonlyMap<string, readonly Occurrence[]>;
  readonly #chunks: number;
  readonly #averageLength: number;

  private constructor(
    lexemes: ReadonlyMap<string, readonly string[]>,
    occurrences: ReadonlyMap<string, readonly Occurrence[]>,
    totals: { chunks: number; averageLength: number },
  ) {
    this.#lexemes = lexemes;
    this.#occurrences = occurrences;
    this.#chunks = totals.chunks;
    this.#averageLength = totals.averageLength;
  }

  /** Reads the lexemes that ranking these questions needs. */
  static async read(pool: pg.Pool, schema: string, questions: readonly string[]): Promise<ExactRanking> {
    const lexemes = new Map<string, readonly string[]>();
    for (const question of questions) {
      const { rows } = await pool.query<{ found: string[] | null }>(
        `SELECT tsvector_to_array(${lexemesOf("portuguese", "$1::text")}) AS found`,
        [questionOf(question, "portuguese").split("\n")[0]],
      );
      lexemes.set(question, rows[0]?.found ?? []);
    }
    const wanted = [...new Set([...lexemes.values()].flat())];
    const totals = await pool.query<{ chunks: string; length: string }>(
      `SELECT count(*) AS chunks, avg(length(lexemes)) AS length FROM ${schema}.chunk_1`,
    );
    const occurrences = new Map<string, Occurrence[]>(wanted.map((lexeme) => [lexeme, []]));
    const { rows } = await pool.query<{ id: string; length: number; lexeme: string; times: number }>(
      `SELECT c.training_id AS id, length(c.lexemes) AS length, u.lexeme, cardinality(u.positions) AS times
      FROM ${schema}.chunk_1 c
      CROSS JOIN LATERAL unnest(ts_filter(setweight(c.lexemes, 'A', $1::text[]), '{a}')) u`,
      [wanted],
    );
    for (const { id, length, lexeme, times } of rows) occurrences.get(lexeme)?.push({ id, times, length });
    const [total] = totals.rows;
    return new ExactRanking(lexemes, occurrences, {
      chunks: Number(total?.chunks),
      averageLength: Number(total?.length),
    });
  }

  /** The ids of the best chunks for one of the questions, best first. */
  best(question: string, count: number): string[] {
    const scores = new Map<string, number>();
    for (const lexeme of this.#lexemes.get(question) ?? []) {
      const found = this.#occurrences.get(lexeme) ?? [];
      const weight = Math.log(1 + (this.#chunks - found.length + 0.5) / (found.length + 0.5));
      for (const { id, times, length } of found) {
        const norm = 1 - LENGTH_NORMALIZATION + (LENGTH_NORMALIZATION * length) / this.#averageLength;
        const score = (weight * times * (SATURATION + 1)) / (times + SATURATION * norm);
        scores.set(id, (scores.get(id) ?? 0) + score);
      }
    }
    return [...scores.entries()]
      .sort(([leftId, left], [rightId, right]) => right - left || (leftId < rightId ? -1 : 1))
      .slice(0, count)
      .map(([id]) => id);
  }
}
