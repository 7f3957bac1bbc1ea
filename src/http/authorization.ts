import { createHash, timingSafeEqual } from "node:crypto";
import { InvalidArgumentError } from "../errors.js";
import { HttpError } from "./request.js";

/** What a header transports unchanged: visible ASCII, with spaces only inside. */
const TOKEN = /^[!-~](?:[ -~]*[!-~])?$/;
const AUTHORIZATION = /^Bearer +(.*)$/i;

/**
 * Makes an `authorize` for {@link similarityHandler} that requires `Authorization: Bearer TOKEN`. Checking takes as long for
 * a wrong token as for the right one.
 *
 * @example
 * ```ts
 * const handler = similarityHandler(index, { authorize: bearerToken(process.env["SEARCH_TOKEN"] ?? "") });
 * ```
 *
 * @throws `InvalidArgumentError` for a token that a header cannot transport: an empty one, one with white space around
 * it (such as the line break of a file), or one with characters beyond ASCII
 */
export function bearerToken(token: string): (request: Request) => boolean {
  if (typeof token !== "string" || !TOKEN.test(token)) {
    throw new InvalidArgumentError("token", "must be visible ASCII, without white space around it");
  }
  const expected = hashOf(token);
  return ({ headers }) => {
    const [, given = ""] = AUTHORIZATION.exec(headers.get("authorization") ?? "") ?? [];
    return timingSafeEqual(hashOf(given), expected);
  };
}

/**
 * Asks the host's `authorize`.
 *
 * @throws {@link HttpError} 401
 */
export async function requireAuthorization(
  request: Request,
  authorize: ((request: Request) => boolean | Promise<boolean>) | undefined,
): Promise<void> {
  if (!authorize || (await authorize(request))) return;
  throw new HttpError(401, "Authorization is required", { "WWW-Authenticate": "Bearer" });
}

/** Hashes have equal lengths, which `timingSafeEqual` requires. */
function hashOf(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}
