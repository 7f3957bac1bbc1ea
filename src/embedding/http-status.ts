/** Request timeout and too many requests, the two client errors that a retry can resolve. */
const TRANSIENT_CLIENT_ERRORS = [408, 429];

/** Whether a retry of the request would get the same HTTP status again. */
export function isFinalStatus(status: number): boolean {
  return status >= 400 && status < 500 && !TRANSIENT_CLIENT_ERRORS.includes(status);
}

/** The HTTP status in an embedder's error; `undefined` if it has none. */
export function httpStatusOf(error: unknown): number | undefined {
  try {
    // Ollama's client calls it `status_code`, others `status`.
    const { status, status_code } = (error ?? {}) as { status?: unknown; status_code?: unknown };
    const code = typeof status_code === "number" ? status_code : status;
    return typeof code === "number" ? code : undefined;
  } catch {
    return undefined; // an error whose properties throw
  }
}
