import { checkCall } from "../calls/call-options.js";
import { namesOfProperties } from "../calls/checks.js";
import { withTimeLimit } from "../calls/time-limit.js";
import { InvalidArgumentError } from "../errors.js";
import type { Notify } from "../calls/notices.js";
import type { NamedStatements } from "../postgres/named-statements.js";
import { readServerState } from "./log-position.js";
import { encodeToken } from "./token.js";

/** Options of `token`. */
export interface TokenOptions {
  /** Ends the call early with `AbortError`. */
  signal?: AbortSignal | undefined;
  /** Time limit of the call in milliseconds. */
  timeoutMs?: number | undefined;
}

const TOKEN_OPTIONS = namesOfProperties<TokenOptions>({ signal: true, timeoutMs: true });

/** Dependencies of {@link WriteTokens}. */
export interface WriteTokensParts {
  /** On the pool that leads to the primary. */
  statements: NamedStatements;
  /** Whether results of writes carry a token. */
  areGiven: boolean;
  notify: Notify;
}

/** Makes the tokens by which a read waits for a write. */
export class WriteTokens {
  readonly #parts: WriteTokensParts;

  constructor(parts: WriteTokensParts) {
    this.#parts = parts;
  }

  /**
   * The token of everything that was committed before the call, in one round trip.
   *
   * @throws {@link InvalidArgumentError} if the pool leads to a standby | {@link SchemaError} | {@link DatabaseError}
   */
  async token(options: TokenOptions): Promise<string> {
    checkCall(options, TOKEN_OPTIONS, "token");
    return withTimeLimit(options, (signal) => this.#read(signal));
  }

  async #read(signal: AbortSignal | undefined): Promise<string> {
    const state = await readServerState(this.#parts.statements.within({ signal }));
    if (state.isStandby)
      throw new InvalidArgumentError("pool", "leads to a standby, which has no writes to give a token for");
    return encodeToken(state);
  }

  /**
   * The token for the results of a write that has been committed; `undefined` if results carry none, or if the write belongs to the
   * transaction of a host's client. Never fails: the write is stored.
   */
  async afterWrite(client: unknown, signal: AbortSignal | undefined): Promise<string | undefined> {
    if (!this.#parts.areGiven || client !== undefined) return undefined;
    try {
      return await this.#read(signal);
    } catch (cause) {
      const message = "A write is stored, but its token could not be read: the result has none";
      this.#parts.notify({ code: "NO_TOKEN", message, cause });
      return undefined;
    }
  }
}

/** A result with the token, if there is one. */
export function withToken<Result extends object | undefined>(result: Result, token: string | undefined): Result {
  return token === undefined || result === undefined ? result : { ...result, token };
}

/** Results with the token, if there is one. */
export function withTokens<Result extends object>(results: Result[], token: string | undefined): Result[] {
  return token === undefined ? results : results.map((result) => withToken(result, token));
}
