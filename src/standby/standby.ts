import { orAbort, SchemaError, throwIfAborted, TrainingIndexError } from "../errors.js";
import type { Notify } from "../calls/notices.js";
import type { BoundedPool } from "../postgres/bounded-database.js";
import { inTransaction } from "../postgres/database.js";
import type { NamedStatements } from "../postgres/named-statements.js";
import type { KnownSchema, SchemaState } from "../schema/known-schema.js";
import { readServerState } from "./log-position.js";
import { PROMOTED, type StandbyCheck, type StandbyProblem } from "./standby-check.js";
import type { CheckedConsistency } from "./token.js";

/** Pauses between two looks at how far the standby has come: the first, doubled up to the longest. */
const FIRST_PAUSE_MS = 5;
const LONGEST_PAUSE_MS = 50;

/** Dependencies of a {@link Standby}. */
export interface StandbyParts {
  /** Leads to the standby. */
  pool: BoundedPool;
  /** Statements on that pool. */
  statements: NamedStatements;
  /** What is known of the schema as the standby has it: after a migration that is another one for a while. */
  knownSchema: KnownSchema;
  check: StandbyCheck;
  /** Reports reads that the primary answers. */
  notify: Notify;
}

/** The limits of a read, and the writes that it has to see. */
export interface StandbyCall {
  signal?: AbortSignal | undefined;
  consistency?: CheckedConsistency | undefined;
}

/** A statement has found that the server is no standby any more. */
export class Promoted extends Error {}

/** Why the standby cannot answer a read. */
class Unfit extends Error {
  readonly problem: StandbyProblem;

  constructor(problem: StandbyProblem) {
    super(problem.reason, { cause: problem.cause });
    this.problem = problem;
  }
}

/**
 * Reads from a hot standby. A read that it cannot answer, or not yet, is answered by the primary, and the host is told: so a read fails
 * only if the primary fails too.
 */
export class Standby {
  readonly #parts: StandbyParts;

  constructor(parts: StandbyParts) {
    this.#parts = parts;
  }

  /** What is known of the schema as the standby has it. */
  get knownSchema(): KnownSchema {
    return this.#parts.knownSchema;
  }

  /**
   * @param read - reads from the standby; called again if its schema turns out to have changed
   * @param readPrimary - reads from the primary
   * @throws as {@link StandbyCheck.requireKnown}; otherwise what the primary's read throws
   */
  async read<T>(
    call: StandbyCall,
    read: (statements: NamedStatements, state: SchemaState) => Promise<T>,
    readPrimary: () => Promise<T>,
  ): Promise<T> {
    const { check, knownSchema, notify } = this.#parts;
    const { signal, consistency } = call;
    const fallBack = ({ reason, cause }: StandbyProblem): Promise<T> => {
      const message = `The primary answered a read, because ${reason}`;
      notify({ code: "PRIMARY_READ", message, ...(cause === undefined ? {} : { cause }) });
      return readPrimary();
    };
    if (consistency) await check.requireKnown(consistency.after);
    const problem = await orAbort(() => check.problem(), signal);
    if (problem) return fallBack(problem);
    const endsAt = performance.now() + (consistency?.timeoutMs ?? 0);
    try {
      return await knownSchema.follow(
        (state) =>
          consistency
            ? this.#readAfter(consistency, endsAt, signal, (statements) => read(statements, state))
            : read(this.#parts.statements.within({ signal }), state),
        { signal },
      );
    } catch (error) {
      const found = this.#problemOf(error, signal);
      if (!found) throw error;
      return fallBack(found);
    }
  }

  /**
   * Reads once the standby has replayed the positions. The look at its position and the read are in one transaction, so that a pooler
   * cannot send them to two servers. While it waits it holds no client.
   */
  async #readAfter<T>(
    { after, timeoutMs }: CheckedConsistency,
    endsAt: number,
    signal: AbortSignal | undefined,
    read: (statements: NamedStatements) => Promise<T>,
  ): Promise<T> {
    const pool = this.#parts.pool.within({ signal });
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
      let found: { value: T } | undefined;
      try {
        found = await inTransaction(pool, async (client) => {
          const statements = this.#parts.statements.inTransaction(client);
          const problem = this.#parts.check.problemOfTokens(await readServerState(statements), after);
          if (problem) throw new Unfit(problem);
          return { value: await read(statements) };
        });
      } catch (error) {
        if (!(error instanceof Unfit) || error.problem.passes !== true) throw error;
        if (performance.now() + pauseMs > endsAt) {
          throw new Unfit({ reason: `the standby had not replayed the write within ${timeoutMs} ms` });
        }
      }
      if (found) return found.value;
      await orAbort(() => new Promise((resolve) => setTimeout(resolve, pauseMs)), signal);
    }
  }

  /** Why the primary has to answer instead; `undefined` for an error that the caller gets. */
  #problemOf(error: unknown, signal: AbortSignal | undefined): StandbyProblem | undefined {
    throwIfAborted(signal);
    if (error instanceof Unfit) return error.problem;
    if (error instanceof Promoted) return this.#parts.check.report(PROMOTED);
    if (!TrainingIndexError.is(error) || ENDED.has(error.code)) return undefined;
    const cause = error;
    if (error.code === "CONNECTION_FAILED") {
      return this.#parts.check.report({ reason: "the standby could not be reached", cause });
    }
    if (SchemaError.is(error)) return { reason: "the standby does not have the schema as this index needs it", cause };
    if (error.code === "CONFLICT") return { reason: "the read was in the way of what the standby replays", cause };
    return { reason: "the standby could not answer it", cause };
  }
}

/** Codes of errors after which there is no time left for another server, or whose cause is not the server. */
const ENDED = new Set([
  "TIMEOUT",
  "ABORTED",
  "EMBEDDING_FAILED",
  "EMBEDDING_INVALID",
  "TEXT_TOO_LONG",
  "MODEL_MISSING",
]);
