import { TrainingIndexError, type TrainingIndex } from "langchain-training-index";
import { bearerToken, healthHandler, similarityHandler, trainingsHandler } from "langchain-training-index/http";

/** Answers a request, in any framework. */
export type Handler = (request: Request) => Promise<Response>;

/** The handlers of this host, each for one path; that of `trainings` also for everything below it. */
export interface OraculoHandlers {
  similarity: Handler;
  trainings: Handler;
  health: Handler;
}

/** The path of each handler. */
export const PATHS = { similarity: "/oraculo/similarity", trainings: "/trainings", health: "/health" } as const;

/** Options of {@link oraculoHandlers}. */
export interface OraculoOptions {
  /** The bearer token of those who search; without one anybody may. */
  token?: string | undefined;
  /** The bearer token of those who read, store and delete trainings. */
  trainingsToken: string;
  /** Logs one line per failed request; the response does not say why it failed. */
  log: (line: string) => void;
}

/** Handlers with the host's own field names, all modes, and its tokens. */
export function oraculoHandlers(index: TrainingIndex, { token, trainingsToken, log }: OraculoOptions): OraculoHandlers {
  const onError = (error: unknown): void => {
    log(describe(error));
  };
  return {
    similarity: similarityHandler(index, {
      fields: { treinamento_id: "trainingId", score: "score", chunk_text: "content", metadata: "metadata" },
      modes: ["vector", "text", "hybrid"],
      authorize: token === undefined ? undefined : bearerToken(token),
      onError,
    }),
    trainings: trainingsHandler(index, { path: PATHS.trainings, authorize: bearerToken(trainingsToken), onError }),
    health: healthHandler(index, { onError }),
  };
}

/** The library's messages contain nothing of a training or a connection string; an error's `cause` may. */
function describe(error: unknown): string {
  if (TrainingIndexError.is(error)) return `${error.code}: ${error.message}`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
