import type { EmbeddingsInterface } from "@langchain/core/embeddings";
import { configFromEnv } from "../../environment.js";
import type { EmbeddingProfile } from "../../index.js";
import type { Arguments } from "./arguments.js";
import type { FoundSchema } from "./connection.js";
import type { Terminal } from "./terminal.js";

type ProfiledEmbeddings = EmbeddingsInterface & { readonly profile: EmbeddingProfile };

const EMBEDDERS = ["ollama", "hashing"] as const;
/** The recorded model of `HashingEmbeddings`. */
const HASHING_MODEL = "hashing-1";

/**
 * The embedder that arguments, environment, or the recorded model choose, in this order.
 *
 * @param chosenModel - the model, if the command knows which
 */
export async function embedderOf(
  args: Arguments,
  { env }: Terminal,
  { dimensions, recorded }: Pick<FoundSchema, "dimensions" | "recorded">,
  chosenModel?: string,
): Promise<ProfiledEmbeddings> {
  const { ollamaBaseUrl, embeddingsModel } = configFromEnv(env);
  const model = chosenModel ?? args.text("model") ?? embeddingsModel ?? recorded?.model;
  const named = chosenModel === undefined ? args.choice("embedder", EMBEDDERS) : undefined;
  const chosen = named ?? (model === HASHING_MODEL ? "hashing" : "ollama");
  if (chosen === "hashing") {
    const { HashingEmbeddings } = await import("../../embedding/hashing.js");
    return new HashingEmbeddings({ dimensions });
  }
  const { ollamaEmbeddings, embeddingProfiles } = await import("../../embedding/ollama.js");
  const baseUrl = args.text("ollama-url") ?? ollamaBaseUrl;
  if (model === undefined || Object.hasOwn(embeddingProfiles, model)) return ollamaEmbeddings({ model, baseUrl });
  // A model without a built-in profile has that of the schema.
  const { queryPrefix, documentPrefix } = recorded?.model === model ? recorded : {};
  return ollamaEmbeddings({ model, baseUrl, dimensions, queryPrefix, documentPrefix });
}

/** An embedder for commands that embed nothing. @param chosen - its profile; default: that of the schema */
export function unusedEmbedder({ dimensions, recorded }: FoundSchema, chosen?: EmbeddingProfile): ProfiledEmbeddings {
  const refuse = (): Promise<never> => Promise.reject(new Error("This command has no embedder"));
  const profile = chosen ?? recorded ?? { model: "unknown", dimensions, queryPrefix: "", documentPrefix: "" };
  return { profile, embedDocuments: refuse, embedQuery: refuse };
}
