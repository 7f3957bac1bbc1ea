/**
 * Detects and repairs a ticket sequence that is behind the stored tickets. That happens after a data-only restore,
 * after a failover to a logical replica, which receives rows but no sequence values, or after `TRUNCATE ... RESTART
 * IDENTITY`. Every later edit would then count as older than the stored version.
 */
import { SchemaError } from "../errors.js";
import type { Notify } from "../calls/notices.js";
import { query, type Queryable } from "../postgres/database.js";
import { quoteLiteral } from "../postgres/identifiers.js";
import { namesOf, type Layout } from "../schema/layout.js";

/** The columns that every statement that takes a ticket returns, as text. */
export interface TakenTicket {
  ticket: string;
  /** The newest ticket stored before; `null` if there is none. */
  newest: string | null;
}

/**
 * How far beyond the stored tickets the sequence is set: more tickets than other calls can take while the statement
 * runs, so that the sequence never moves backwards.
 */
const MARGIN = 100_000;
/**
 * First half of the advisory lock's key (ASCII "tick"), by which one process repairs at a time; the second is a hash of
 * the schema.
 */
const LOCK_CLASS = 0x7469636b;
/** More than one, because another process may be repairing the sequence. */
const MAX_ATTEMPTS = 20;
const PAUSE_MS = 50;
/** Rows that are sampled when an index is opened. */
const SAMPLE_ROWS = 10_000;

/**
 * Takes tickets. If a stored ticket is as high as a taken one, the sequence is behind: it is repaired, and the tickets
 * are taken again.
 *
 * @param take - one statement that reads the stored tickets before it takes new ones
 * @throws {@link SchemaError} `SEQUENCE_BEHIND` if the role may not repair it, with the statement to run
 */
export async function takeInOrder<Taken extends TakenTicket>(
  database: Queryable,
  layout: Layout,
  notify: Notify,
  take: () => Promise<Taken[]>,
): Promise<Taken[]> {
  for (let attempt = 1; ; attempt++) {
    const taken = await take();
    if (!taken.some(isBehind)) return taken;
    if (attempt === MAX_ATTEMPTS) throw behind(layout);
    if (!(await repair(database, layout, notify))) {
      notify({
        code: "RETRY",
        message:
          "Tickets are taken again: another process sets the ticket sequence forward, which was behind the stored ones",
      });
    }
    if (attempt > 1) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

function isBehind({ ticket, newest }: TakenTicket): boolean {
  return newest !== null && BigInt(newest) >= BigInt(ticket);
}

/**
 * Compares the sequence with a sample of the stored tickets, and repairs it if it is behind. Does nothing for a role
 * that cannot take tickets: it cannot write.
 *
 * @throws {@link SchemaError} `SEQUENCE_BEHIND` for a role that may write but may not repair it
 */
export async function checkSequence(database: Queryable, layout: Layout, notify: Notify): Promise<void> {
  // Not the view pg_sequences: in a cluster it would be read whole, and fail if another session drops a sequence meanwhile.
  const rows = await query(
    database,
    "check-tickets",
    `WITH stored AS MATERIALIZED (
      SELECT max(greatest(ticket, barrier)) AS newest FROM (SELECT ticket, barrier FROM ${namesOf(layout).training} LIMIT ${SAMPLE_ROWS}) t
    )
    SELECT 1 FROM stored, pg_catalog.pg_class c WHERE c.oid = pg_catalog.to_regclass(${sequenceOf(layout)})
      AND CASE WHEN pg_catalog.has_sequence_privilege(c.oid, 'USAGE') THEN coalesce(pg_catalog.pg_sequence_last_value(c.oid), 0) < newest END`,
  );
  if (rows.length > 0) await repair(database, layout, notify);
}

/**
 * Sets the sequence beyond all stored tickets, unless another process has done so or is doing so now. It is a single
 * statement, so the lock is held only while it runs.
 *
 * @returns whether this call has done so
 * @throws {@link SchemaError} `SEQUENCE_BEHIND`
 */
async function repair(database: Queryable, layout: Layout, notify: Notify): Promise<boolean> {
  const sequence = sequenceOf(layout);
  const [row] = await query<{ may: string; repaired: string | null }>(
    database,
    "repair-tickets",
    `WITH stored AS MATERIALIZED (SELECT max(greatest(ticket, barrier)) AS newest FROM ${namesOf(layout).training})
    SELECT may::text AS may, (CASE
        WHEN NOT may OR NOT pg_catalog.pg_try_advisory_xact_lock(${LOCK_CLASS}, pg_catalog.hashtext($1)) THEN NULL
        WHEN pg_catalog.nextval(${sequence}) <= newest THEN pg_catalog.setval(${sequence}, newest + ${MARGIN})
      END)::text AS repaired
    FROM (SELECT pg_catalog.has_sequence_privilege(${sequence}, 'UPDATE') AS may, newest FROM stored OFFSET 0) t`,
    [layout.schema],
  );
  if (row?.may !== "true") throw behind(layout);
  if (row.repaired === null) return false;
  notify({
    code: "REPAIRED",
    message:
      `The ticket sequence of schema ${JSON.stringify(layout.schema)} was behind the stored tickets, as after a data-only ` +
      "restore: it was set forward",
  });
  return true;
}

function sequenceOf(layout: Layout): string {
  return quoteLiteral(namesOf(layout).ticket);
}

function behind(layout: Layout): SchemaError {
  return new SchemaError(
    "SEQUENCE_BEHIND",
    `The ticket sequence of schema ${JSON.stringify(layout.schema)} is behind the stored tickets, as after a data-only ` +
      "restore, and this role may not set it. As the owner of the sequence, run " +
      `SELECT setval(${sequenceOf(layout)}, (SELECT max(greatest(ticket, barrier)) + ${MARGIN} FROM ${namesOf(layout).training}))`,
  );
}
