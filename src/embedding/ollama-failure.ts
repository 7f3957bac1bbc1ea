import { EmbeddingError } from "../errors.js";
import { TextFailure } from "./bisection.js";
import { httpStatusOf, isFinalStatus } from "./http-status.js";

/** A response with an HTTP status other than 2xx. */
export class HttpFailure extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** The error message in a response's body: the text in Ollama's `{"error": "..."}`, otherwise the whole body. */
export function errorIn(body: string): string {
  try {
    const { error } = JSON.parse(body) as { error?: unknown };
    return typeof error === "string" ? error : body;
  } catch {
    return body;
  }
}

/** The model has not been pulled. Tells Ollama's 404 from that of a proxy. */
const NO_MODEL = /^model .*not found/;
/**
 * The messages of Ollama 0.3 to 0.33 (`server/routes.go`) and of llama-server for a text that exceeds the model's context
 * window. There is no error code for it.
 */
const TOO_LONG = /context length|too large to process/i;
/** The model computed NaN or infinity, which some models do on some graphics cards (ollama#13599). */
const NOT_FINITE = /\bNaN\b|\bInf\b/;
/** Ollama answers with 400 although the model's runner has died or is still starting: a retry can succeed. */
const RUNNER_DOWN =
  /EOF|connection (refused|reset)|no longer running|unexpected server status|no slots available|error reading/i;

/** No server was reached at the address. `bad port` is the message of `fetch` for a blocked port. */
const UNREACHABLE =
  /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|EHOSTDOWN|ENETDOWN|ETIMEDOUT|EADDRNOTAVAIL|UND_ERR_CONNECT_TIMEOUT|bad port)$/;
/** The server's certificate is not trusted, or it does not speak TLS at all. */
const CERTIFICATE =
  /^(DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_|CERT_|ERR_TLS_|ERR_SSL_|EPROTO)/;
/** How deep to follow causes of causes: an error can be its own cause. */
const MAX_CAUSE_DEPTH = 5;

/** Why no server was reached at the address; `undefined` for any other failure. */
export function unreachableCode(error: unknown): string | undefined {
  return codesOf(error).find((code) => UNREACHABLE.test(code));
}

/** The codes and messages of an error and its causes: `fetch` puts the reason into its cause, or a list of attempts. */
function codesOf(error: unknown, depth = 0): string[] {
  if (!(error instanceof Error) || depth > MAX_CAUSE_DEPTH) return [];
  const { code } = error as { code?: unknown };
  const own = [code, error.message].filter((value) => typeof value === "string");
  const attempts = error instanceof AggregateError ? (error.errors as unknown[]) : [];
  return [...own, ...[error.cause, ...attempts].flatMap((cause) => codesOf(cause, depth + 1))];
}

/** The request that failed. */
export interface FailedRequest {
  model: string;
  /** The server's address, without user name and password. */
  address: string;
  /** The time limit of the request in milliseconds, if that ended it. */
  timedOutAfterMs: number | undefined;
  isQuery: boolean;
}

/** Converts the failure of a request to a typed error. */
export function translateFailure(error: unknown, request: FailedRequest): TextFailure | EmbeddingError {
  const { model, timedOutAfterMs, isQuery } = request;
  const name = JSON.stringify(model);
  if (timedOutAfterMs !== undefined) {
    const hint = isQuery
      ? '. It may be loading the model: retry the call soon, raise queryTimeoutMs, or keep the model loaded with keepAlive: "24h"'
      : "";
    const message = `Ollama did not answer for model ${name} within ${timedOutAfterMs} ms${hint}`;
    return new TextFailure(new EmbeddingError("TIMEOUT", message, true, error));
  }
  const status = httpStatusOf(error);
  const serverMessage = error instanceof Error ? error.message : "";
  if (status === undefined) return translateNetworkFailure(error, name, request);
  if (status === 404 && NO_MODEL.test(serverMessage)) {
    const message = `Ollama has no model ${name}: run "ollama pull ${model}" on its server`;
    return new EmbeddingError("MODEL_MISSING", message, false, error);
  }
  if (TOO_LONG.test(serverMessage)) {
    const message = `A text is too long for model ${name}`;
    return new TextFailure(new EmbeddingError("TEXT_TOO_LONG", message, false, error));
  }
  if (NOT_FINITE.test(serverMessage)) {
    const message = `Model ${name} returned NaN or infinity for a text`;
    return new TextFailure(new EmbeddingError("EMBEDDING_INVALID", message, false, error));
  }
  const message = `Ollama failed for model ${name} (HTTP ${status})`;
  // A text may have crashed the runner, but only a second failure makes that likely.
  if (status === 500 || RUNNER_DOWN.test(serverMessage)) {
    return new TextFailure(new EmbeddingError("EMBEDDING_FAILED", message, true, error), 2);
  }
  return new EmbeddingError("EMBEDDING_FAILED", message, !isFinalStatus(status), error);
}

function translateNetworkFailure(error: unknown, name: string, { model, address }: FailedRequest): EmbeddingError {
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
  const isRetryable = !(error instanceof Error && error.name === "AbortError"); // by a signal of the caller's `fetch`
  const message = `The request to Ollama for model ${name} failed without an answer, see the cause of this error`;
  return new EmbeddingError("EMBEDDING_FAILED", message, isRetryable, error);
}
