import { hasText } from "./language.js";

/** A call that failed; the page has texts for its code. */
export class Failure extends Error {
  constructor(code, schema) {
    super(code);
    this.code = hasText(`failure.${code}`) ? code : "UNEXPECTED";
    this.schema = schema;
  }
}

const TOKEN = "token";

/** The token of the address. It is taken out of the address, so that it is not in the history or on a screenshot. */
function takeToken() {
  const given = location.hash.slice(1);
  if (given === "") return sessionStorage.getItem(TOKEN) ?? "";
  sessionStorage.setItem(TOKEN, given);
  history.replaceState(null, "", location.pathname);
  return given;
}

const token = takeToken();
// The address of the next start, pasted into the same tab, differs behind the # only: the browser does not load it by itself.
addEventListener("hashchange", () => location.reload());

/**
 * Calls the console.
 *
 * @returns the answer, and how long it took there in milliseconds
 * @throws a Failure; an AbortError if the signal fires
 */
export async function call(path, body, signal) {
  let response;
  let data;
  try {
    response = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json", Authorization: `Bearer ${token}` },
      body: JSON.stringify(body),
      signal,
    });
    data = await response.json();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Failure("CONSOLE_GONE");
  }
  if (!response.ok) throw new Failure(data.code, data.schema);
  const [, ms] = /dur=([\d.]+)/.exec(response.headers.get("Server-Timing") ?? "") ?? [];
  return { data, ms: Number(ms) };
}
