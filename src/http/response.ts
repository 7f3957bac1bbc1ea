import type { HttpError } from "./request.js";

/** Ids that are bigints are written as strings, since JSON has no bigint. */
export function respond(status: number, body: object, headers: Record<string, string> = {}): Response {
  const json = JSON.stringify(body, (_key, value: unknown) => (typeof value === "bigint" ? value.toString() : value));
  return new Response(json, { status, headers: { "Content-Type": "application/json", ...headers } });
}

/** The response to a request that is not served. */
export function refuse({ status, message, headers }: HttpError): Response {
  return respond(status, { error: message }, headers);
}

/** The response to a HEAD request has the headers only. */
export function withoutBody({ method }: Request, response: Response): Response {
  return method === "HEAD" ? new Response(null, response) : response;
}

/** A cache in between must not answer for what has changed since, or for a database that has gone. */
export const NOT_CACHED = { "Cache-Control": "no-store" };

/** Calls the host's `onError`. The client gets a response even if that fails. */
export function report(
  onError: ((error: unknown, request: Request) => void) | undefined,
  error: unknown,
  request: Request,
): void {
  try {
    onError?.(error, request);
  } catch {
    // A failing log must not fail the request.
  }
}
