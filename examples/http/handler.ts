import { TrainingIndexError, type TrainingIndex } from "langchain-training-index";
import { bearerToken, similarityHandler } from "langchain-training-index/http";

/** Where the first host's front end asks. */
export const SIMILARITY_PATH = "/oraculo/similarity";

/** Options of {@link oraculoHandler}. */
export interface OraculoOptions {
  /** Of those who may ask; without one everybody may. */
  token?: string | undefined;
  /** Takes a line for each request that failed; the callers are told no more than that. */
  log: (line: string) => void;
}

/** The handler as the first host has it: its own names in the answer, all modes, and a token where there is one. */
export function oraculoHandler(
  index: TrainingIndex,
  { token, log }: OraculoOptions,
): (request: Request) => Promise<Response> {
  return similarityHandler(index, {
    fields: { treinamento_id: "trainingId", score: "score", chunk_text: "content", metadata: "metadata" },
    modes: ["vector", "text", "hybrid"],
    authorize: token === undefined ? undefined : bearerToken(token),
    onError: (error) => {
      log(describe(error));
    },
  });
}

/** The library's messages hold nothing of a training or a connection; the `cause` underneath may. */
function describe(error: unknown): string {
  if (TrainingIndexError.is(error)) return `${error.code}: ${error.message}`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
