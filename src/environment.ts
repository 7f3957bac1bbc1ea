import { InvalidArgumentError } from "./errors.js";

/** The settings that {@link configFromEnv} reads; `undefined` for a variable that is not set. Defaults are those of the options. */
export interface EnvironmentConfig {
  /**
   * `DATABASE_URL`: a `postgres://` or `postgresql://` address, for `new pg.Pool({ connectionString })`. Characters in the
   * user name or password that an address does not allow (`#`, `@`, `/`, `?`, a lone `%`, blanks) are percent-encoded.
   */
  databaseUrl: string | undefined;
  /** `OLLAMA_BASE_URL`: the address of Ollama, for `ollamaEmbeddings({ baseUrl })`. */
  ollamaBaseUrl: string | undefined;
  /** `ELOLUTIONAPI_BASE_URL` (the spelling is the host's): the address of the Evolution API. */
  evolutionApiBaseUrl: string | undefined;
  /** `EMBEDDINGS_MODEL`, for `ollamaEmbeddings({ model })`. */
  embeddingsModel: string | undefined;
  /** `HNSW_M`, `HNSW_EF_CONSTRUCTION`, for `migrate`; `HNSW_EF_SEARCH`, for `TrainingIndex.initialize`. */
  hnsw: { m: number | undefined; efConstruction: number | undefined; efSearch: number | undefined };
}

/**
 * Reads settings from the given environment, usually `process.env`, and validates them. The rest of the library reads no
 * environment variables. An empty value counts as not set.
 *
 * @example
 * ```ts
 * const { databaseUrl } = configFromEnv(process.env);
 * ```
 * @throws {@link InvalidArgumentError} that names the variable, but not its value, which may contain a password
 */
export function configFromEnv(env: Record<string, string | undefined>): EnvironmentConfig {
  return {
    databaseUrl: readDatabaseUrl(env, "DATABASE_URL"),
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

function readUrl(env: Record<string, string | undefined>, name: string, starts: readonly string[]): string | undefined {
  const value = read(env, name);
  if (value === undefined) return undefined;
  if (!URL.canParse(value) || !starts.some((start) => value.startsWith(start))) {
    throw new InvalidArgumentError(name, `must be an address that starts with ${starts.join(" or ")}`);
  }
  return value;
}

/** Splits an address into its scheme and the rest. */
const DATABASE_URL = /^(postgres(?:ql)?:\/\/)(.*)$/s;

function readDatabaseUrl(env: Record<string, string | undefined>, name: string): string | undefined {
  const value = read(env, name);
  if (value === undefined) return undefined;
  const [, scheme, rest = ""] = DATABASE_URL.exec(value) ?? [];
  if (scheme === undefined) {
    throw new InvalidArgumentError(name, "must be an address that starts with postgres:// or postgresql://");
  }
  const at = endOfCredentials(scheme, rest);
  const address = at < 0 ? `${scheme}${rest}` : `${scheme}${encodeCredentials(rest.slice(0, at))}${rest.slice(at)}`;
  // An address without a host means the server's socket, but `URL` requires a host.
  if (URL.canParse(address.replace("@/", "@localhost/"))) return address;
  throw new InvalidArgumentError(
    name,
    "must be an address such as postgres://user:password@host:5432/database, with a port up to 65535; " +
      "write special characters of the password as encodeURIComponent(password) returns them",
  );
}

const HOST_AFTER_CREDENTIALS = /@[\w.:[\]%-]*(\/[^/?#@]*)?$/;

/** The index of the `@` before the host, -1 without one. Passwords and query parameters may contain other `@`. */
function endOfCredentials(scheme: string, rest: string): number {
  const query = /\?[\w.]+=/.exec(rest)?.index ?? -1;
  const beforeQuery = query < 0 ? rest : rest.slice(0, query);
  // In `postgres://user:a?b=c@host` the question mark belongs to the password: the part before it is not an address.
  const isAddress = HOST_AFTER_CREDENTIALS.test(beforeQuery) || URL.canParse(scheme + beforeQuery);
  return (isAddress ? beforeQuery : rest).lastIndexOf("@");
}

/** Percent-encodes characters that are not encoded yet. */
function encodeCredentials(credentials: string): string {
  return credentials
    .replace(/%(?![0-9a-f]{2})/gi, "%25")
    .replace(/\p{Surrogate}/gu, "\ufffd") // encodeURIComponent throws for lone surrogates
    .replace(/[^\w.~!$&'()*+,;=:%-]/gu, (character) => encodeURIComponent(character));
}

function readInteger(env: Record<string, string | undefined>, name: string): number | undefined {
  const value = read(env, name);
  if (value === undefined) return undefined;
  if (!/^\d{1,9}$/.test(value)) throw new InvalidArgumentError(name, "must be a whole number");
  return Number(value);
}
