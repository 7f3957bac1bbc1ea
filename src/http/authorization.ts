import { createHash, timingSafeEqual } from "node:crypto";
import { InvalidArgumentError } from "../errors.js";

/** What a header holds as it is: visible ASCII, with spaces inside at most. */
const TOKEN = /^[!-~](?:[ -~]*[!-~])?$/;
const AUTHORIZATION = /^Bearer +(.*)$/i;

/**
 * An `authorize` that asks for `Authorization: Bearer TOKEN`, and takes as long for a wrong token as for the right one.
 *
 * @throws {@link InvalidArgumentError} for a token that no header can hold: an empty one, with white space around it
 * (the line break of a file), or with letters beyond ASCII
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

/** Of one length, whatever is compared. */
function hashOf(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}
