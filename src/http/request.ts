import { AbortError } from "../errors.js";

/** A request that cannot be served, with the status of the response. */
export class HttpError extends Error {
  readonly status: number;
  readonly headers: Record<string, string>;

  constructor(status: number, message: string, headers: Record<string, string> = {}) {
    super(message);
    this.status = status;
    this.headers = headers;
  }
}

const MEDIA_TYPE = /^\s*application\/json\s*(?:;|$)/i;
const CHARSET = /;\s*charset\s*=\s*"?([^\s;"]*)/i;

/** @throws {@link HttpError} 405 unless the method is one of these */
export function checkMethod({ method }: Request, ...allowed: string[]): void {
  if (!allowed.includes(method)) throw new HttpError(405, `Use ${allowed[0]}`, { Allow: allowed.join(", ") });
}

/**
 * Reads the body's JSON. When the signal fires, a body that is still arriving is abandoned.
 *
 * @throws {@link HttpError} 400, 413, 415; {@link AbortError}; another error if the host has already read the body
 */
export async function readBody(request: Request, maxBytes: number, signal: AbortSignal): Promise<unknown> {
  const { headers, body, bodyUsed } = request;
  checkContent(headers);
  const sentBytes = Number(headers.get("content-length") ?? 0);
  if (sentBytes > maxBytes) throw tooLarge(maxBytes);
  const bytes = body && !bodyUsed ? await readBytes(body, maxBytes, signal) : new Uint8Array();
  // Not a 400: the fault is a body parser in front of the handler, and not the client's JSON.
  if (bodyUsed || (bytes.length === 0 && sentBytes > 0)) {
    throw new Error("The body was read before the handler: mount it before any body parser");
  }
  return parseJson(bytes);
}

function checkContent(headers: Headers): void {
  const type = headers.get("content-type") ?? "";
  if (!MEDIA_TYPE.test(type)) throw new HttpError(415, "The body must be application/json");
  const [, charset = "utf-8"] = CHARSET.exec(type) ?? [];
  if (!["utf-8", "utf8"].includes(charset.toLowerCase())) {
    throw new HttpError(415, "The body must be JSON in UTF-8");
  }
  const coding = headers.get("content-encoding") ?? "identity";
  if (coding.toLowerCase() !== "identity") {
    throw new HttpError(415, "The body must not be compressed", { "Accept-Encoding": "identity" });
  }
}

async function readBytes(body: ReadableStream<Uint8Array>, maxBytes: number, signal: AbortSignal): Promise<Uint8Array> {
  const reader = body.getReader();
  const cancel = (): void => void reader.cancel().catch(() => undefined);
  signal.addEventListener("abort", cancel, { once: true });
  const parts: Uint8Array[] = [];
  let bytes = 0;
  try {
    for (;;) {
      const { done, value } = await readPart(reader);
      if (signal.aborted) throw new AbortError(signal.reason);
      if (done) return Buffer.concat(parts);
      bytes += value.byteLength;
      if (bytes > maxBytes) throw tooLarge(maxBytes);
      parts.push(value);
    }
  } finally {
    signal.removeEventListener("abort", cancel);
    cancel(); // do not receive the rest of a body that is too large
  }
}

async function readPart(
  reader: ReadableStreamDefaultReader<Uint8Array>,
): ReturnType<ReadableStreamDefaultReader<Uint8Array>["read"]> {
  try {
    return await reader.read();
  } catch {
    throw new HttpError(400, "The body was interrupted");
  }
}

function tooLarge(maxBytes: number): HttpError {
  return new HttpError(413, `The body must not be larger than ${maxBytes} bytes`);
}

/** Other encodings are refused: their accents would become U+FFFD, and the search would silently miss. */
function parseJson(bytes: Uint8Array): unknown {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new HttpError(400, "The body is not UTF-8");
  }
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new HttpError(400, "The body is not JSON");
  }
}

/** Checks that a body is an object with no other keys. @throws {@link HttpError} 400 */
export function objectWithKeys(body: unknown, known: readonly string[]): Record<string, unknown> {
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw new HttpError(400, "The body must be an object");
  }
  if (Object.keys(body).some((key) => !known.includes(key))) {
    throw new HttpError(400, `The body has a key other than ${known.join(", ")}`);
  }
  return body as Record<string, unknown>;
}
