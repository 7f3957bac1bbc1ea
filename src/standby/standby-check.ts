import { DatabaseError, InvalidArgumentError } from "../errors.js";
import type { Notify } from "../calls/notices.js";
import { withTimeLimit } from "../calls/time-limit.js";
import type { NamedStatements } from "../postgres/named-statements.js";
import { readServerState, type ServerState } from "./log-position.js";
import type { LogPosition } from "./token.js";

/** How often the servers are asked, at most: while reads come, and as part of one of them. */
const INTERVAL_MS = 5_000;
/** How long a server may take to say what it is. */
const ANSWER_MS = 2_000;
/** Positions of the primary that are remembered while the standby has not reached them. */
const MAX_POSITIONS = 100;

/** Why the primary has to answer a read. */
export interface StandbyProblem {
  /** Completes "because ...". */
  reason: string;
  cause?: unknown;
  /** Whether it is only a matter of time. */
  passes?: boolean;
}

/** Dependencies of a {@link StandbyCheck}. */
export interface StandbyCheckParts {
  primary: NamedStatements;
  standby: NamedStatements;
  /** How far the standby may be behind, in milliseconds. */
  maxLagMs: number;
  notify: Notify;
}

/** Knows whether reads can go to the standby: it asks both servers now and then what they are and how far they have come. */
export class StandbyCheck {
  readonly #parts: StandbyCheckParts;
  readonly #intervalMs: number;
  #primary: ServerState | undefined;
  /** Positions that the primary had, with the time when it was asked. The standby has reached none of them but perhaps the first. */
  #positions: { lsn: bigint; at: number }[] = [];
  #checkedAt = -Infinity;
  #problem: StandbyProblem | undefined;
  #checking: Promise<void> | undefined;

  constructor(parts: StandbyCheckParts) {
    this.#parts = parts;
    this.#intervalMs = Math.min(INTERVAL_MS, Math.ceil(parts.maxLagMs / 2));
  }

  /**
   * Asks both servers when the index is opened. A standby that does not answer is no reason to refuse: the primary reads meanwhile.
   *
   * @throws {@link InvalidArgumentError} if `readPool` leads to a primary, or to another cluster or database
   * @throws {@link SchemaError} `INSUFFICIENT_PRIVILEGE` | {@link DatabaseError} of the primary
   */
  async open(): Promise<void> {
    const primary = await this.#askPrimary();
    if (primary.isStandby) {
      throw new InvalidArgumentError(
        "pool",
        "must lead to the primary: it leads to a standby, which accepts no writes",
      );
    }
    const standby = await this.#askStandby().catch((cause: unknown) => {
      if (!isUnreachable(cause)) throw cause;
      this.report({ reason: UNREACHABLE, cause });
    });
    if (!standby) return;
    if (isOther(standby, primary)) {
      throw new InvalidArgumentError(
        "readPool",
        "must lead to a standby of the server that the pool leads to, and to the same database: it leads to another cluster or database",
      );
    }
    if (!standby.isStandby) {
      throw new InvalidArgumentError(
        "readPool",
        "must lead to a hot standby, but leads to the primary, as does pool: leave it out",
      );
    }
    this.#judge(standby);
  }

  /** Why reads cannot go to the standby now; `undefined` if they can. Asks the servers if that was some seconds ago. */
  async problem(): Promise<StandbyProblem | undefined> {
    if (performance.now() - this.#checkedAt < this.#intervalMs) return this.#problem;
    const checking = (this.#checking ??= this.#check().finally(() => (this.#checking = undefined)));
    // As long as there is a problem, reads do not wait for a server that may not answer.
    if (!this.#problem) await checking;
    return this.#problem;
  }

  /** Records a problem that a read has met: until the next check that finds none, reads go to the primary. */
  report(problem: StandbyProblem): StandbyProblem {
    this.#problem = problem;
    this.#checkedAt = performance.now();
    return problem;
  }

  /**
   * Refuses positions that even the primary cannot answer for.
   *
   * @throws {@link InvalidArgumentError} for a position of another cluster
   * @throws {@link DatabaseError} `CONFLICT` for one of a timeline that the primary does not have
   */
  async requireKnown(after: readonly LogPosition[]): Promise<void> {
    const own = this.#primary?.system;
    if (own !== undefined && after.some(({ system }) => system !== own)) {
      throw new InvalidArgumentError(
        "consistency.after",
        "has a token of another database cluster: tokens are valid only for an index on the cluster that was written to",
      );
    }
    const newest = Math.max(...after.map(({ timeline }) => timeline));
    const isNewer = (): boolean => this.#primary !== undefined && newest > this.#primary.timeline;
    if (!isNewer()) return;
    // A standby may have been promoted since the primary was asked, and the pool may lead to it now.
    await this.#askPrimary().catch(() => undefined);
    if (!isNewer()) return;
    throw new DatabaseError(
      "A token was written by a promoted standby, but the pool still leads to the primary before it, which does not have the write: let the " +
        "pool lead to the new primary",
      { code: "CONFLICT", retryable: true },
    );
  }

  /** Why a standby in this state does not have the writes at these positions, or may not have them. */
  problemOfTokens(standby: ServerState, after: readonly LogPosition[]): StandbyProblem | undefined {
    const problem = this.#identityProblem(standby);
    if (problem) return problem;
    if (after.some(({ timeline }) => timeline < standby.timeline)) {
      return { reason: "the token is older than the promotion of a standby, in which the write may have been lost" };
    }
    if (after.some(({ timeline }) => timeline > standby.timeline)) {
      return { reason: "the standby has not recorded yet that it follows the new primary that wrote the token" };
    }
    if (after.some(({ lsn }) => lsn > standby.lsn)) return { reason: "it has not replayed the write", passes: true };
    return undefined;
  }

  async #check(): Promise<void> {
    // Not awaited: it matters for later checks only, and the pool may have no client to spare.
    this.#askPrimary().catch((cause: unknown) => {
      const message = "The primary could not be asked how far the standby is behind. Reads of the standby go on";
      if (!this.#problem && this.#parts.maxLagMs < Infinity)
        this.#parts.notify({ code: "LAG_UNKNOWN", message, cause });
    });
    try {
      this.#judge(await this.#askStandby());
    } catch (cause) {
      this.report({ reason: UNREACHABLE, cause });
    }
  }

  #judge(standby: ServerState): void {
    this.#problem = this.#identityProblem(standby) ?? this.#lagProblem(standby);
    this.#checkedAt = performance.now();
  }

  #identityProblem(standby: ServerState): StandbyProblem | undefined {
    if (!standby.isStandby) return PROMOTED;
    const primary = this.#primary;
    if (!primary) return undefined;
    if (isOther(standby, primary)) return { reason: "readPool leads to another cluster or database than the pool" };
    if (standby.timeline > primary.timeline) {
      return { reason: "the standby follows another primary, which was promoted, than the one that the pool leads to" };
    }
    return undefined;
  }

  #lagProblem({ lsn }: ServerState): StandbyProblem | undefined {
    this.#positions = this.#positions.filter((position) => position.lsn > lsn);
    const { maxLagMs } = this.#parts;
    const [oldest] = this.#positions;
    if (!oldest || performance.now() - oldest.at <= maxLagMs) return undefined;
    return { reason: `the standby is more than ${maxLagMs} ms behind (maxLagMs)` };
  }

  async #askPrimary(): Promise<ServerState> {
    const at = performance.now();
    const state = await ask(this.#parts.primary);
    this.#primary = state;
    if (this.#positions.length < MAX_POSITIONS) this.#positions.push({ lsn: state.lsn, at });
    return state;
  }

  #askStandby(): Promise<ServerState> {
    return ask(this.#parts.standby);
  }
}

/** What a read meets that finds itself on a server that is no standby. */
export const PROMOTED: StandbyProblem = {
  reason:
    "readPool leads to a server that was promoted and is no standby any more: open the index again with pools that lead to the new " +
    "primary and to a standby of it",
};

const UNREACHABLE = "the standby could not be reached";

function ask(statements: NamedStatements): Promise<ServerState> {
  return withTimeLimit({ timeoutMs: ANSWER_MS }, (signal) => readServerState(statements.within({ signal })));
}

function isOther(standby: ServerState, primary: ServerState): boolean {
  return standby.system !== primary.system || standby.database !== primary.database;
}

/** Whether a server may answer later. One that refuses the password or has no such database never does. */
function isUnreachable(error: unknown): boolean {
  return DatabaseError.is(error) && error.retryable;
}
