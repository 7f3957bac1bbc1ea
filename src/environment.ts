import { InvalidArgumentError } from "./errors.js";

/** The settings that {@link configFromEnv} reads. What is not set is `undefined`: defaults are those of the options. */
export interface EnvironmentConfig {
  /** `DATABASE_URL`: a `postgres://` or `postgresql://` address, for `new pg.Pool({ connectionString })`. */
  databaseUrl: string | undefined;
  /** `OLLAMA_BASE_URL`: where Ollama listens, for `ollamaEmbeddings({ baseUrl })`. */
  ollamaBaseUrl: string | undefined;
  /** `ELOLUTIONAPI_BASE_URL` (the spelling is the host's): where the Evolution API listens. */
  evolutionApiBaseUrl: string | undefined;
  /** `EMBEDDINGS_MODEL`, for `ollamaEmbeddings({ model })`. */
  embeddingsModel: string | undefined;
  /** `HNSW_M`, `HNSW_EF_CONSTRUCTION`, for `migrate`; `HNSW_EF_SEARCH`, for `TrainingIndex.initialize`. */
  hnsw: { m: number | undefined; efConstruction: number | undefined; efSearch: number | undefined };
}

/**
 * Reads settings from an environment that it is given, usually `process.env`. The library itself reads none.
 * An empty value counts as not set.
 *
 * @throws {@link InvalidArgumentError} naming the variable; its value is not repeated, as it may hold a password
 */
export function configFromEnv(env: Record<string, string | undefined>): EnvironmentConfig {
  return {
    databaseUrl: readUrl(env, "DATABASE_URL", ["postgres://", "postgresql://"]),
    ollamaBaseUrl: readUrl(env, "OLLAMA_BASE_URL", ["http://", "https://"]),
    evolutionApiBaseUrl: readUrl(env, "ELOLUTIONAPI_BASE_URL", ["http://", "https://"]),
    embeddingsModel: read(env, "EMBEDDINGS_MODEL"),
    hnsw: {
      m: readInteger(env, "HNSW_M"),
      efConstruction: readInteger(env, "HNSW_EF_CONSTRUCTION"),
      efSearch: readInteger(env, "HNSW_EF_SEARCH"),
    },
  };
}

function read(env: Record<string, string | undefined>, name: string): string | undefined {
  const value = env[name]?.trim();
  return value === "" ? undefined : value;
}

function readUrl(
  env: Record<string, string | undefined>,
  name: string,
  starts: readonly string[],
): string | undefined {
  const value = read(env, name);
  if (value === undefined) return undefined;
  if (!URL.canParse(value) || !starts.some((start) => value.startsWith(start))) {
    throw new InvalidArgumentError(name, `must be an address that starts with ${starts.join(" or ")}`);
  }
  return value;
}

function readInteger(env: Record<string, string | undefined>, name: string): number | undefined {
  const value = read(env, name);
  if (value === undefined) return undefined;
  if (!/^\d{1,9}$/.test(value)) throw new InvalidArgumentError(name, "must be a whole number");
  return Number(value);
}
