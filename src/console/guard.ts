import { bearerToken } from "../http/handler.js";
import { Refusal } from "./refusal.js";

/** The names of this machine that the page may be opened by. */
const NAMES = ["127.0.0.1", "localhost"];

/** Decides which requests are served: those of this machine's browser, from the page itself. */
export class Guard {
  readonly #hosts: readonly string[];
  readonly #hasToken: (request: Request) => boolean;

  /** @param port - where the console listens @param token - of this start, which only the printed address has */
  constructor(port: number, token: string) {
    this.#hosts = NAMES.map((name) => `${name}:${port}`);
    this.#hasToken = bearerToken(token);
  }

  /**
   * Refuses a request under another name: a page whose name was made to lead to this machine (DNS rebinding) would be served as
   * if it were ours.
   *
   * @throws {@link Refusal} `FOREIGN_REQUEST`
   */
  checkHost({ headers }: Request): void {
    if (!this.#hosts.includes(headers.get("host") ?? "")) throw new Refusal("FOREIGN_REQUEST");
  }

  /**
   * Refuses a call of another site, and one without the token.
   *
   * @throws {@link Refusal} `FOREIGN_REQUEST` | `TOKEN_MISSING`
   */
  checkCall(request: Request): void {
    const { headers } = request;
    const origin = headers.get("origin");
    if (origin !== null && origin !== `http://${headers.get("host") ?? ""}`) throw new Refusal("FOREIGN_REQUEST");
    const site = headers.get("sec-fetch-site");
    if (site !== null && site !== "same-origin") throw new Refusal("FOREIGN_REQUEST");
    if (!this.#hasToken(request)) throw new Refusal("TOKEN_MISSING");
  }
}
