/**
 * The sequence of tickets, when it is behind the tickets that are stored: after a restore of data alone, a switch to a
 * logical replica, which gets rows and no sequences, or `TRUNCATE ... RESTART IDENTITY`. Every later edit would be taken for
 * an older one.
 */
import { SchemaError } from "../errors.js";
import type { Notify } from "../calls/notices.js";
import { query, type Queryable } from "../postgres/database.js";
import { quoteLiteral } from "../postgres/identifiers.js";
import { namesOf, type Layout } from "../schema/layout.js";

/** What a statement that takes a ticket returns of it; all in text. */
export interface TakenTicket {
  ticket: string;
  /** The newest that was stored before; `null` for none. */
  newest: string | null;
}

/**
 * How far beyond the stored tickets the sequence is set: more than others can take while one statement reads and sets it, so
 * that it never goes back.
 */
const MARGIN = 100_000;
/** The class of the advisory lock that lets one process repair at a time; the object is the schema's name. */
const LOCK_CLASS = 0x7469636b;
/** Others may be repairing it meanwhile. */
const MAX_ATTEMPTS = 20;
const PAUSE_MS = 50;
/** Rows that are looked at when an index is opened. */
const SAMPLE_ROWS = 10_000;

/**
 * Takes tickets, and takes them again behind a repair where one that is stored already is as high: they were handed out by
 * another sequence than this one.
 *
 * @param take - one statement that reads what is stored before it takes tickets
 * @throws {@link SchemaError} `SEQUENCE_BEHIND` for a role that may not repair it, with the statement to run
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
    await repair(database, layout, notify);
    if (attempt > 1) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

function isBehind({ ticket, newest }: TakenTicket): boolean {
  return newest !== null && BigInt(newest) >= BigInt(ticket);
}

/**
 * Looks at some of the stored tickets, and repairs the sequence where it is behind them. A role that cannot take tickets is
 * let be: it cannot write.
 *
 * @throws {@link SchemaError} `SEQUENCE_BEHIND` for a role that may write, but not repair it
 */
export async function checkSequence(database: Queryable, layout: Layout, notify: Notify): Promise<void> {
  const rows = await query(
    database,
    `SELECT FROM pg_catalog.pg_sequences s
      WHERE s.schemaname = $1 AND s.sequencename = 'ticket'
        AND pg_catalog.has_sequence_privilege(${sequenceOf(layout)}, 'USAGE')
        AND coalesce(s.last_value, 0) < (SELECT max(greatest(ticket, barrier))
          FROM (SELECT ticket, barrier FROM ${namesOf(layout).training} LIMIT ${SAMPLE_ROWS}) t)`,
    [layout.schema],
  );
  if (rows.length > 0) await repair(database, layout, notify);
}

/**
 * Sets the sequence behind all stored tickets, unless somebody else has, or does right now. All in one statement, so that
 * the lock is held no longer than it takes.
 *
 * @throws {@link SchemaError} `SEQUENCE_BEHIND`
 */
async function repair(database: Queryable, layout: Layout, notify: Notify): Promise<void> {
  const sequence = sequenceOf(layout);
  const [row] = await query<{ may: string; repaired: string | null }>(
    database,
    `SELECT may::text AS may, (CASE
        WHEN NOT may OR NOT pg_catalog.pg_try_advisory_xact_lock(${LOCK_CLASS}, pg_catalog.hashtext($1)) THEN NULL
        WHEN pg_catalog.nextval(${sequence}) <= newest THEN pg_catalog.setval(${sequence}, newest + ${MARGIN})
      END)::text AS repaired
    FROM (SELECT pg_catalog.has_sequence_privilege(${sequence}, 'UPDATE') AS may, max(greatest(ticket, barrier)) AS newest
      FROM ${namesOf(layout).training} OFFSET 0) t`,
    [layout.schema],
  );
  if (row?.may !== "true") throw behind(layout);
  if (row.repaired === null) return;
  notify({
    code: "REPAIRED",
    message:
      `The ticket sequence of schema ${JSON.stringify(layout.schema)} was behind the stored tickets, as after a restore ` +
      "of data alone: it was set forward",
  });
}

function sequenceOf(layout: Layout): string {
  return quoteLiteral(namesOf(layout).ticket);
}

function behind(layout: Layout): SchemaError {
  return new SchemaError(
    "SEQUENCE_BEHIND",
    `The ticket sequence of schema ${JSON.stringify(layout.schema)} is behind the stored tickets, as after a restore of ` +
      "data alone, and this role may not set it: as its owner run " +
      `SELECT setval(${sequenceOf(layout)}, (SELECT max(greatest(ticket, barrier)) + ${MARGIN} FROM ${namesOf(layout).training}))`,
  );
}
