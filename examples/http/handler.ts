import type { TrainingIndex } from "langchain-training-index";
import { bearerToken, similarityHandler } from "langchain-training-index/http";

/** Where the first host's front end asks. */
export const SIMILARITY_PATH = "/oraculo/similarity";

/**
 * The handler as the first host has it: its own names in the answer, all modes, and a token where there is one.
 *
 * @param token - of those who may ask; without one everybody may
 */
export function oraculoHandler(
  index: TrainingIndex,
  token: string | undefined,
): (request: Request) => Promise<Response> {
  return similarityHandler(index, {
    fields: { treinamento_id: "trainingId", score: "score", chunk_text: "content", metadata: "metadata" },
    modes: ["vector", "text", "hybrid"],
    authorize: token === undefined ? undefined : bearerToken(token),
  });
}
