import { EmbeddingError } from "../errors.js";
import { TextFailure } from "./bisection.js";
import { httpStatusOf, isFinalStatus } from "./embedder.js";

/** An answer of a status that says that there are no vectors. */
export class HttpFailure extends Error {
  readonly status: number;

  constructor(status: number, said: string) {
    super(said);
    this.status = status;
  }
}

/** What an answer's body says went wrong: Ollama's `{"error": "..."}`, else whatever it is. */
export function errorIn(body: string): string {
  try {
    const { error } = JSON.parse(body) as { error?: unknown };
    return typeof error === "string" ? error : body;
  } catch {
    return body;
  }
}

/** The model has not been pulled; a proxy's 404 is another. */
const NO_MODEL = /^model .*not found/;
/**
 * What Ollama calls a text that is longer than the model's window, from 0.3 to 0.33 (`server/routes.go`), and what
 * llama-server does. There is no code to tell it by.
 */
const TOO_LONG = /context length|too large to process/i;
/** The vectors of one text are not numbers: some models on some graphics cards (ollama#13599). */
const NOT_FINITE = /\bNaN\b|\bInf\b/;
/** Answered with 400 although the runner has died, or has not come up yet: the next request can find it well. */
const RUNNER_DOWN =
  /EOF|connection (refused|reset)|no longer running|unexpected server status|no slots available|error reading/i;

/** Nobody was reached at the address. `bad port` is what `fetch` says of ports that it refuses. */
const UNREACHABLE =
  /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|EHOSTDOWN|ENETDOWN|ETIMEDOUT|EADDRNOTAVAIL|UND_ERR_CONNECT_TIMEOUT|bad port)$/;
/** The server's certificate is not trusted, or it does not speak TLS at all. */
const CERTIFICATE =
  /^(DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_|CERT_|ERR_TLS_|ERR_SSL_|EPROTO)/;
/** Causes of causes; an error that is its own cause must not be followed for ever. */
const DEEPEST_CAUSE = 5;

/** Why nobody was reached at the address; `undefined` for any other failure. */
export function unreachableCode(error: unknown): string | undefined {
  return codesOf(error).find((code) => UNREACHABLE.test(code));
}

/** The codes of an error and of those underneath: `fetch` hides the reason in its cause, or in a list of attempts. */
function codesOf(error: unknown, depth = 0): string[] {
  if (!(error instanceof Error) || depth > DEEPEST_CAUSE) return [];
  const { code } = error as { code?: unknown };
  const own = [code, error.message].filter((value) => typeof value === "string");
  const attempts = error instanceof AggregateError ? (error.errors as unknown[]) : [];
  return [...own, ...[error.cause, ...attempts].flatMap((cause) => codesOf(cause, depth + 1))];
}

/** What a failed request was. */
export interface FailedRequest {
  model: string;
  /** Of the server, without name and password. */
  address: string;
  /** When it was the time-out that ended the request. */
  timedOutAfterMs: number | undefined;
  isQuery: boolean;
}

/** The failure of a request as callers are told of it. */
export function translateFailure(error: unknown, request: FailedRequest): TextFailure | EmbeddingError {
  const { model, timedOutAfterMs, isQuery } = request;
  const name = JSON.stringify(model);
  if (timedOutAfterMs !== undefined) {
    const hint = isQuery
      ? '. If it is loading the model, the same call can succeed soon; the option queryTimeoutMs waits longer, and keepAlive: "24h" keeps the model loaded'
      : "";
    const message = `Ollama did not answer for model ${name} within ${timedOutAfterMs} ms${hint}`;
    return new TextFailure(new EmbeddingError("TIMEOUT", message, true, error));
  }
  const status = httpStatusOf(error);
  const said = error instanceof Error ? error.message : "";
  if (status === undefined) return translateNetworkFailure(error, name, request);
  if (status === 404 && NO_MODEL.test(said)) {
    const message = `Ollama has no model ${name}: run "ollama pull ${model}" where it runs`;
    return new EmbeddingError("MODEL_MISSING", message, false, error);
  }
  if (TOO_LONG.test(said)) {
    const message = `A text is longer than model ${name} reads`;
    return new TextFailure(new EmbeddingError("TEXT_TOO_LONG", message, false, error));
  }
  if (NOT_FINITE.test(said)) {
    const message = `Model ${name} made NaN or infinity of a text`;
    return new TextFailure(new EmbeddingError("EMBEDDING_INVALID", message, false, error));
  }
  const message = `Ollama failed for model ${name} (HTTP ${status})`;
  // A text can be what made it die, but once is no proof.
  if (status === 500 || RUNNER_DOWN.test(said)) {
    return new TextFailure(new EmbeddingError("EMBEDDING_FAILED", message, true, error), 2);
  }
  return new EmbeddingError("EMBEDDING_FAILED", message, !isFinalStatus(status), error);
}

function translateNetworkFailure(
  error: unknown,
  name: string,
  { model, address }: FailedRequest,
): EmbeddingError {
  const unreachable = unreachableCode(error);
  if (unreachable !== undefined) {
    const message =
      `Ollama cannot be reached at ${address} (${unreachable}): start it there with "ollama serve", ` +
      `and get the model with "ollama pull ${model}"; or set baseUrl to where it runs`;
    return new EmbeddingError("EMBEDDING_FAILED", message, true, error);
  }
  const certificate = codesOf(error).find((code) => CERTIFICATE.test(code));
  if (certificate !== undefined) {
    const message =
      `The TLS connection to Ollama at ${address} was refused (${certificate.split(":")[0] ?? ""}): check that it speaks ` +
      "HTTPS there; the environment variable NODE_EXTRA_CA_CERTS names a file with a certificate to trust";
    return new EmbeddingError("EMBEDDING_FAILED", message, false, error);
  }
  const canHeal = !(error instanceof Error && error.name === "AbortError"); // by a signal of the caller's `fetch`
  const message = `The request to Ollama for model ${name} failed on its way`;
  return new EmbeddingError("EMBEDDING_FAILED", message, canHeal, error);
}
