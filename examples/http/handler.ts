import { TrainingIndexError, type TrainingIndex } from "langchain-training-index";
import { bearerToken, similarityHandler } from "langchain-training-index/http";

/** The path of the endpoint. */
export const SIMILARITY_PATH = "/oraculo/similarity";

/** Options of {@link oraculoHandler}. */
export interface OraculoOptions {
  /** The bearer token that callers need; without one anybody may search. */
  token?: string | undefined;
  /** Logs one line per failed request; the response does not say why it failed. */
  log: (line: string) => void;
}

/** A handler with its own field names and all modes, which requires a token if there is one. */
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

/** The library's messages contain nothing of a training or a connection string; an error's `cause` may. */
function describe(error: unknown): string {
  if (TrainingIndexError.is(error)) return `${error.code}: ${error.message}`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
