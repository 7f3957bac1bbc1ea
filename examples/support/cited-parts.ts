import type { ContentBlock } from "langchain";
import type { Citation } from "langchain-training-index";

/** A piece of an answer, or a citation that the answer has just made. */
export type AnswerPart = { type: "text"; text: string } | StreamedCitation;

/** LangChain's citation of an answer, with the place in the training that it refers to. */
export interface StreamedCitation
  extends ContentBlock.Citation, Pick<Citation, "number" | "trainingId" | "start" | "end" | "metadata"> {
  /** Where its number stands in the answer's text. */
  startIndex: number;
  endIndex: number;
}

/** `[2]`, and several in one: `[1, 3]`. */
const MARKER = /\[\d+(?:, *\d+)*\]/;
/** What may become a marker with the next token. */
const UNFINISHED = /\[[\d, ]{0,20}$/;

/**
 * Splits the streamed text of an answer into pieces of text, and a citation behind each number that refers to a passage. Nothing
 * of the text is lost, and it waits only while a number is incomplete, since models stream `[`, `1` and `]` one by one.
 */
export async function* citedParts(
  tokens: AsyncIterable<string>,
  citations: readonly Citation[],
): AsyncGenerator<AnswerPart> {
  const byNumber = new Map(citations.map((citation) => [citation.number, citation]));
  let held = "";
  let length = 0;
  const take = (end: number): AnswerPart[] => {
    const text = held.slice(0, end);
    held = held.slice(end);
    length += text.length;
    return text === "" ? [] : [{ type: "text", text }];
  };
  for await (const token of tokens) {
    held += token;
    for (let marker = MARKER.exec(held); marker; marker = MARKER.exec(held)) {
      yield* take(marker.index + marker[0].length);
      const place = { startIndex: length - marker[0].length, endIndex: length };
      for (const [digits] of marker[0].matchAll(/\d+/g)) {
        const citation = byNumber.get(Number(digits)); // a model may make up numbers
        if (citation) yield toPart(citation, place);
      }
    }
    const unfinished = held.search(UNFINISHED);
    yield* take(unfinished < 0 ? held.length : unfinished);
  }
  yield* take(held.length);
}

function toPart(
  { number, trainingId, start, end, metadata }: Citation,
  place: Pick<StreamedCitation, "startIndex" | "endIndex">,
): StreamedCitation {
  return { type: "citation", source: String(trainingId), ...place, number, trainingId, start, end, metadata };
}

/** The citations of a run: they are in its state before the model is called. */
export async function firstCitations(
  states: AsyncIterable<{ citations?: readonly Citation[] | undefined }>,
): Promise<readonly Citation[]> {
  for await (const { citations } of states) if (citations) return citations;
  return [];
}
