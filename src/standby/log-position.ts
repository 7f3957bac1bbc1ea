import { SchemaError } from "../errors.js";
import type { NamedStatements } from "../postgres/named-statements.js";
import type { LogPosition } from "./token.js";

/** What a server says of itself. */
export interface ServerState extends LogPosition {
  /** Whether it is a standby; its position is then what it has replayed. */
  isStandby: boolean;
  /** The oid of the database: the same on a standby. */
  database: string;
}

interface StateRow {
  is_standby: string;
  system: string;
  timeline: string;
  lsn: string;
  block: string;
  database: string;
}

/**
 * One statement for both kinds of servers. A standby does not say which timeline it replays, but its control file does, a little later:
 * after a promotion at its next restart point. A primary's position is where the next record begins.
 */
const READ_POSITION = `
SELECT pg_catalog.pg_is_in_recovery()::text AS is_standby,
  (SELECT system_identifier FROM pg_catalog.pg_control_system())::text AS system,
  CASE WHEN pg_catalog.pg_is_in_recovery()
    THEN (SELECT greatest(c.timeline_id, r.min_recovery_end_timeline)
      FROM pg_catalog.pg_control_checkpoint() c, pg_catalog.pg_control_recovery() r)::text
    ELSE ('x' || left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 8))::bit(32)::bigint::text
  END AS timeline,
  (CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
    ELSE pg_catalog.pg_current_wal_insert_lsn() END - '0/0'::pg_lsn)::text AS lsn,
  pg_catalog.current_setting('wal_block_size') AS block,
  (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())::text AS database`;

const FUNCTIONS = ["pg_control_system()", "pg_control_checkpoint()", "pg_control_recovery()"];

/** @throws {@link SchemaError} `INSUFFICIENT_PRIVILEGE` with the statement to run | {@link DatabaseError} */
export async function readServerState(statements: NamedStatements): Promise<ServerState> {
  let row: StateRow | undefined;
  try {
    [row] = await statements.query<StateRow>("read-position", READ_POSITION, [], { keepsPlan: true });
  } catch (error) {
    if (!SchemaError.is(error) || error.code !== "INSUFFICIENT_PRIVILEGE") throw error;
    throw new SchemaError(
      "INSUFFICIENT_PRIVILEGE",
      "The database role may not ask which cluster and timeline a server belongs to, which reads from a standby and tokens need: " +
        `run GRANT EXECUTE ON FUNCTION ${FUNCTIONS.join(", ")} TO the role`,
      error,
    );
  }
  if (!row) throw new TypeError("a statement without FROM returns a row");
  const { is_standby, system, timeline, database: oid } = row;
  const isStandby = is_standby === "true";
  const lsn = BigInt(row.lsn);
  return {
    isStandby,
    system,
    timeline: Number(timeline),
    lsn: isStandby ? lsn : endOfLastRecord(lsn, BigInt(row.block)),
    database: oid,
  };
}

/** Bytes at the beginning of a page of the log: of one that begins a segment, and of any other. */
const PAGE_HEADERS = [40n, 24n];

/**
 * Where the last record ended before a position. If it ended with its page, the next one begins behind the header of the next page, which a
 * standby counts as replayed only with that record: on a quiet server it would be waited for in vain.
 */
export function endOfLastRecord(insertLsn: bigint, pageBytes: bigint): bigint {
  const onPage = insertLsn % pageBytes;
  return PAGE_HEADERS.includes(onPage) ? insertLsn - onPage : insertLsn;
}
