import { checkIterable } from "../calls/checks.js";
import type { Notify } from "../calls/notices.js";
import { withTimeLimit } from "../calls/time-limit.js";
import type { Models } from "../models/models.js";
import type { Condition } from "../filtering/condition.js";
import type { BoundedPool } from "../postgres/bounded-database.js";
import type { NamedStatements } from "../postgres/named-statements.js";
import type { KnownSchema } from "../schema/known-schema.js";
import { readCurrent } from "../searching/current-statements.js";
import { withToken, type WriteTokens } from "../standby/write-tokens.js";
import type { WriteTarget } from "../storing/write-target.js";
import type { WriteToken } from "../types.js";
import type { Indexer } from "../writing/indexer.js";
import type { Remover } from "../writing/remover.js";
import { takeRunTicket } from "../writing/ticket-order.js";
import type { TicketOrder } from "../writing/ticket-order.js";
import type { Drift } from "./drift.js";
import { ReconcileRun } from "./reconcile-run.js";
import { checkReconcile, checkVerify, type ReconcileOptions, type VerifyOptions } from "./reconcile-options.js";
import type { Normalize, TrainingSource } from "./source-items.js";
import { READ_LAST_TICKET } from "./check-sql.js";

/** Dependencies of a {@link Reconciler}. */
export interface ReconcileParts {
  pool: BoundedPool;
  statements: NamedStatements;
  knownSchema: KnownSchema;
  /** The index's own filter, compiled; `undefined` without one. */
  filter: Condition | undefined;
  /** Of repairs. Its scope is the filter again, and not used if the index only reads. */
  target: WriteTarget;
  indexer: Indexer;
  remover: Remover;
  models: Models;
  ticketOrder: TicketOrder;
  tokens: WriteTokens;
  notify: Notify;
  /** Whether something is embedded above each chunk. */
  hasHeader: boolean;
}

/** What `reconcile` found and did. */
export interface Reconciliation extends Drift {
  /** Trainings whose current version was stored, or recorded as unchanged. */
  repaired: number;
  /** Orphans that were deleted. */
  deleted: number;
  /** See {@link WriteToken}. */
  token?: WriteToken | undefined;
}

/** Compares the index with the host's trainings, and repairs it. */
export class Reconciler {
  readonly #parts: ReconcileParts;

  constructor(parts: ReconcileParts) {
    this.#parts = parts;
  }

  /** @param source - without one, only the rows of the index are checked */
  async verify(
    source: TrainingSource<unknown> | undefined,
    options: VerifyOptions,
    normalize: Normalize,
  ): Promise<Drift> {
    if (source !== undefined) checkIterable("source", source);
    checkVerify(options);
    return withTimeLimit(options, async (signal) => {
      const ticket = await this.#lastTicket(signal);
      const settings = { ...options, signal, ticket, repairs: false, needsContent: false };
      const run = new ReconcileRun(this.#parts, settings);
      return source === undefined ? run.checkStored() : run.compareWith(source, normalize);
    });
  }

  /** Also repairs what differs. The ticket is taken before the source is read: calls that start later win. */
  async reconcile(
    source: TrainingSource<unknown>,
    options: ReconcileOptions,
    normalize: Normalize,
  ): Promise<Reconciliation> {
    checkIterable("source", source);
    checkReconcile(options);
    const { dryRun = false, ...others } = options;
    return withTimeLimit(options, async (signal) => {
      const ticket = await (dryRun ? this.#lastTicket(signal) : takeRunTicket(this.#parts, signal));
      const settings = { ...others, signal, ticket, repairs: !dryRun, needsContent: true };
      const run = new ReconcileRun(this.#parts, settings);
      const drift = await run.compareWith(source, normalize);
      const token = dryRun ? undefined : await this.#parts.tokens.afterWrite(undefined, signal);
      return withToken({ ...drift, repaired: run.repaired, deleted: run.deleted }, token);
    });
  }

  /** The last ticket that was taken; `null` if none was, or if the role may not read the sequence. */
  async #lastTicket(signal: AbortSignal | undefined): Promise<string | null> {
    return readCurrent(this.#parts, { signal }, async (statements, { layout }) => {
      const values = [layout.schema];
      const [row] = await statements.query<{ ticket: string | null }>("read-last-ticket", READ_LAST_TICKET, values, {
        keepsPlan: true,
      });
      return row?.ticket ?? null;
    });
  }
}
