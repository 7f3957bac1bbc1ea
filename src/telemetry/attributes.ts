/**
 * The names and values of attributes.
 *
 * @see https://github.com/open-telemetry/semantic-conventions-genai/tree/main/docs/gen-ai (status: Development)
 * @see https://opentelemetry.io/docs/specs/semconv/db/postgresql/
 */
import type { Attributes } from "@opentelemetry/api";
import type { EmbeddingTrace, FailureTrace, SearchTrace, StatementTrace, UpsertTrace } from "../calls/tracing.js";

/** The prefix of attributes and metrics that the semantic conventions do not have. */
const OWN = "langchain_training_index";

/** Names of metrics. */
export const METRICS = {
  operationDuration: "gen_ai.client.operation.duration",
  embeddingsDuration: "gen_ai.client.embeddings.duration",
  statementDuration: "db.client.operation.duration",
  writeDuration: `${OWN}.write.duration`,
  trainings: `${OWN}.trainings`,
  chunks: `${OWN}.chunks`,
  notices: `${OWN}.notices`,
} as const;

/** The name of the event that a notice is on its span. */
export const NOTICE_EVENT = `${OWN}.notice`;

/** The attribute that tells the values of {@link METRICS.trainings} and {@link METRICS.chunks} apart. */
export const OUTCOME = `${OWN}.outcome`;
/** The code of a notice. */
export const NOTICE_CODE = `${OWN}.notice.code`;
/** The message of a notice. */
export const NOTICE_MESSAGE = `${OWN}.notice.message`;
/** The question of a search, which is recorded only on request. */
export const QUERY_TEXT = "gen_ai.retrieval.query.text";
/** The ids and scores of the hits, which are recorded only on request. */
export const DOCUMENTS = "gen_ai.retrieval.documents";
/** The SQL of a statement, which is recorded only on request. */
export const STATEMENT_TEXT = "db.query.text";

/** The attributes of a search that spans and metrics share. */
export function searchAttributes({ schema, model, mode }: SearchTrace): Attributes {
  return {
    "gen_ai.operation.name": "retrieval",
    "gen_ai.data_source.id": schema,
    "gen_ai.request.model": model,
    [`${OWN}.search.mode`]: mode,
  };
}

/** The further attributes of a search's span. */
export function searchSpanAttributes({ k, strategy, filtered, reranked }: SearchTrace): Attributes {
  return {
    "gen_ai.retrieval.top_k": k,
    [`${OWN}.search.strategy`]: strategy,
    [`${OWN}.search.filtered`]: filtered,
    [`${OWN}.search.reranked`]: reranked,
  };
}

/** What a search's span gets at its end. */
export function searchResultAttributes({ hits }: SearchTrace): Attributes {
  return hits ? { [`${OWN}.search.hits`]: hits.length } : {};
}

/** The attributes of a call to the embedder that spans and metrics share. */
export function embeddingAttributes({ model, embedder, purpose }: EmbeddingTrace): Attributes {
  return {
    "gen_ai.operation.name": "embeddings",
    "gen_ai.provider.name": providerOf(embedder),
    "gen_ai.request.model": model,
    [`${OWN}.embedding.purpose`]: purpose,
  };
}

/** The further attributes of the span of a call to the embedder. */
export function embeddingSpanAttributes({ dimensions, texts, characters }: EmbeddingTrace): Attributes {
  return {
    "gen_ai.embeddings.dimension.count": dimensions,
    [`${OWN}.embedding.texts`]: texts,
    [`${OWN}.embedding.characters`]: characters,
  };
}

/** The attributes of a write that spans and metrics share. */
export function writeAttributes({ operation, schema }: UpsertTrace): Attributes {
  return { "gen_ai.data_source.id": schema, [`${OWN}.write.operation`]: operation };
}

/** The further attributes of a write's span. */
export function writeSpanAttributes({ ids }: UpsertTrace): Attributes {
  return { [`${OWN}.write.trainings`]: ids.length };
}

/** What a write's span gets at its end: the numbers that are not 0. */
export function writeResultAttributes({ counts }: UpsertTrace): Attributes {
  if (!counts) return {};
  const positive = Object.entries(counts).filter(([, count]: [string, number]) => count > 0);
  return Object.fromEntries(positive.map(([name, count]: [string, number]) => [`${OWN}.write.${name}`, count]));
}

/** The attributes of a statement that spans and metrics share. */
export function statementAttributes({ name }: StatementTrace): Attributes {
  return { "db.system.name": "postgresql", "db.query.summary": name };
}

/** What a statement's span gets at its end. */
export function statementResultAttributes({ rows }: StatementTrace): Attributes {
  return rows === undefined ? {} : { "db.response.returned_rows": rows };
}

/** The attributes of a failure; empty without one. */
export function failureAttributes(failure: FailureTrace | undefined): Attributes {
  if (!failure) return {};
  const { name, code, sqlState } = failure;
  return { "error.type": code ?? name, ...(sqlState === undefined ? {} : { "db.response.status_code": sqlState }) };
}

/** Values of `gen_ai.provider.name` that the conventions name, by the class of LangChain's embedder. */
const PROVIDERS: Readonly<Record<string, string>> = {
  AzureOpenAIEmbeddings: "azure.ai.openai",
  BedrockEmbeddings: "aws.bedrock",
  CohereEmbeddings: "cohere",
  GoogleGenerativeAIEmbeddings: "gcp.gemini",
  GoogleVertexAIEmbeddings: "gcp.vertex_ai",
  MistralAIEmbeddings: "mistral_ai",
  OpenAIEmbeddings: "openai",
  ProfiledOllamaEmbeddings: "ollama",
  VertexAIEmbeddings: "gcp.vertex_ai",
};

/** `ollama` for `OllamaEmbeddings`; `custom` for an embedder whose class does not say. */
function providerOf(embedder: string): string {
  const known = Object.hasOwn(PROVIDERS, embedder) ? PROVIDERS[embedder] : undefined;
  const [, name] = /^(\w+)Embeddings$/.exec(embedder) ?? [];
  return known ?? name?.toLowerCase() ?? "custom";
}
