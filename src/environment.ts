import { InvalidArgumentError } from "./errors.js";

/** The settings that {@link configFromEnv} reads. What is not set is `undefined`: defaults are those of the options. */
export interface EnvironmentConfig {
  /**
   * `DATABASE_URL`: a `postgres://` or `postgresql://` address, for `new pg.Pool({ connectionString })`. What addresses do
   * not allow in a user's name or password (`#`, `@`, `/`, `?`, a lone `%`, blanks) is percent-encoded here.
   */
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

/** `postgres://`, what may be user and password, and all that follows the last `@`. */
const DATABASE_URL = /^(postgres(?:ql)?:\/\/)(.*)$/s;

function readDatabaseUrl(env: Record<string, string | undefined>, name: string): string | undefined {
  const value = read(env, name);
  if (value === undefined) return undefined;
  const [, scheme, rest = ""] = DATABASE_URL.exec(value) ?? [];
  if (scheme === undefined) {
    throw new InvalidArgumentError(name, "must be an address that starts with postgres:// or postgresql://");
  }
  const at = endOfCredentials(scheme, rest);
  const address =
    at < 0 ? `${scheme}${rest}` : `${scheme}${encodeCredentials(rest.slice(0, at))}${rest.slice(at)}`;
  // Without a host the server's socket is meant.
  if (URL.canParse(address.replace("@/", "@localhost/"))) return address;
  throw new InvalidArgumentError(
    name,
    "must be an address as postgres://user:password@host:5432/database, with a port up to 65535; " +
      "special characters of the password are written as encodeURIComponent(password) has them",
  );
}

const HOST_AFTER_CREDENTIALS = /@[\w.:[\]%-]*(\/[^/?#@]*)?$/;

/** Where the `@` before the host is, negative where there is none: passwords may have others, and so may parameters. */
function endOfCredentials(scheme: string, rest: string): number {
  const query = /\?[\w.]+=/.exec(rest)?.index ?? -1;
  const before = query < 0 ? rest : rest.slice(0, query);
  // In `postgres://user:a?b=c@host` the part before the question mark is no address.
  const isAddress = HOST_AFTER_CREDENTIALS.test(before) || URL.canParse(scheme + before);
  return (isAddress ? before : rest).lastIndexOf("@");
}

/** Encodes what is not encoded yet. */
function encodeCredentials(credentials: string): string {
  return credentials
    .replace(/%(?![0-9a-f]{2})/gi, "%25")
    .replace(/\p{Surrogate}/gu, "\ufffd") // halves of characters have no encoding
    .replace(/[^\w.~!$&'()*+,;=:%-]/gu, (character) => encodeURIComponent(character));
}

function readInteger(env: Record<string, string | undefined>, name: string): number | undefined {
  const value = read(env, name);
  if (value === undefined) return undefined;
  if (!/^\d{1,9}$/.test(value)) throw new InvalidArgumentError(name, "must be a whole number");
  return Number(value);
}
