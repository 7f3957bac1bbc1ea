import type { TransactionClient } from "../calls/orm-transactions.js";
import { throwIfAborted } from "../errors.js";
import { sqlStateOf } from "../postgres/database.js";
import { hostClient } from "../postgres/host-client.js";
import { NamedStatements } from "../postgres/named-statements.js";
import type { StatementName } from "../postgres/statement-names.js";
import type { KnownSchema } from "../schema/known-schema.js";
import { namesOf } from "../schema/layout.js";
import { SchemaChanged } from "../schema/schema-change.js";
import { cached, cacheOf } from "./search-cache.js";
import { OTHER_SCHEMA, shardFunctions, type AskServer } from "../schema/citus.js";
import { versionOf, type SchemaState } from "../schema/schema-state.js";
import { GUARD } from "../search-sql/sharded-search-sql.js";
import { Promoted, type Standby, type StandbyCall } from "../standby/standby.js";

/**
 * Runs the statements of searches. Each one checks in its own snapshot that the schema is the one it was written for, and fails
 * otherwise. An empty result is therefore certain without another round trip.
 */
export class CurrentStatements {
  readonly #statements: Pick<NamedStatements, "areKept" | "explain" | "query">;
  readonly #state: SchemaState;
  readonly #isOnStandby: boolean;

  /** @param isOnStandby - whether a statement must also fail if the server is no standby any more */
  constructor(
    statements: Pick<NamedStatements, "areKept" | "explain" | "query">,
    state: SchemaState,
    isOnStandby = false,
  ) {
    this.#statements = statements;
    this.#state = state;
    this.#isOnStandby = isOnStandby;
  }

  /** As `NamedStatements` has it. */
  get areKept(): boolean {
    return this.#statements.areKept;
  }

  /** As `NamedStatements` has it. */
  async explain(text: string, values: unknown[]): Promise<string> {
    return this.#statements.explain(text.replaceAll(GUARD, "true"), values);
  }

  /**
   * @param options - `reads`: how many chunks the statement may read; `cost`: what the planner expects it to cost, if that is known
   * @throws {@link SchemaChanged} when the schema is another one than is known, {@link Promoted} when the standby is none
   * @throws {@link DatabaseError} | {@link SchemaError}
   */
  async query<Row>(
    name: StatementName,
    text: string,
    values: unknown[],
    { keepsPlan, reads = "few chunks", cost }: { keepsPlan: boolean; reads?: Reads; cost?: number | undefined },
  ): Promise<Row[]> {
    const { acceptedVersions, hasOtherModel, version, pages, compilesAboveCost } = this.#state;
    const guarded = this.#guarded(text, values.length);
    const compiles = (cost ?? pages * COST_PER_PAGE[reads]) <= compilesAboveCost;
    try {
      const versions = hasOtherModel ? [acceptedVersions, version] : [acceptedVersions];
      return await this.#statements.query<Row>(name, guarded, [...values, ...versions], { keepsPlan, compiles });
    } catch (error) {
      if (isRaised(error, PROMOTED)) throw new Promoted();
      throw isRaised(error, OTHER_SCHEMA) ? new SchemaChanged(error) : error;
    }
  }

  /** Runs statements without the condition on the schema: those that read none of its tables. */
  get unguarded(): AskServer {
    return (name, text, values) => this.#statements.query(name, text, values, { keepsPlan: false });
  }

  /**
   * The statement with the condition on the version, which Postgres evaluates once, before it reads any row. Cached, because
   * concatenating and hashing it takes about 8 us of every search.
   */
  #guarded(text: string, parameters: number): string {
    const { guarded } = cacheOf(this.#state);
    const write = (): string => withVersion(text, parameters, this.#state, this.#isOnStandby);
    return text.length < MAX_CACHED_TEXT ? cached(guarded, text, write) : write();
  }
}

/** How many chunks a statement may read: those that an index finds, the counted ones of each word, or all. */
export type Reads = "few chunks" | "many chunks" | "all chunks";

/**
 * What Postgres' planner may at most expect a statement to cost for each page of the chunk table. Above `jit_above_cost`, by default from
 * 100,000 on, it compiles the statement, which took 90 to 150 ms for those of searches by words, and saved nothing. Without a
 * transaction for the setting, a search takes one round trip instead of three.
 */
const COST_PER_PAGE: Record<Reads, number> = { "few chunks": 0, "many chunks": 0.4, "all chunks": 2 };

/** Where reads come from. */
export interface ReadSource {
  knownSchema: KnownSchema;
  statements: NamedStatements;
  /** Answers reads instead, if it can. A source without one reads from the primary. */
  standby?: Standby | undefined;
}

/** What a read is bound to. */
export interface ReadCall extends StandbyCall {
  client?: TransactionClient | undefined;
}

/**
 * Reads from the current schema, on the standby if there is one. With a host's client everything is read through it: the pool may have no
 * other to spare.
 *
 * @param read - called again if the known schema turns out to be outdated, or if the primary has to answer
 */
export async function readCurrent<T>(
  { knownSchema, statements, standby }: ReadSource,
  call: ReadCall,
  read: (statements: CurrentStatements, state: SchemaState) => Promise<T>,
): Promise<T> {
  const { client, signal } = call;
  if (standby && !client) {
    const readStandby = (named: NamedStatements, state: SchemaState): Promise<T> =>
      read(new CurrentStatements(named, state, true), state);
    const found = await standby.read(call, readStandby, () => readCurrent({ knownSchema, statements }, call, read));
    throwIfAborted(signal);
    return found;
  }
  const readBy = (named: NamedStatements, state: SchemaState): Promise<T> =>
    read(new CurrentStatements(named, state), state);
  const found = await knownSchema.follow(
    (state) =>
      client
        ? hostClient(client, { signal }).read((session) => readBy(new NamedStatements(session), state))
        : readBy(statements.within({ signal }), state),
    { client, signal },
  );
  throwIfAborted(signal);
  return found;
}

function withVersion(text: string, parameters: number, state: SchemaState, isOnStandby: boolean): string {
  const { layout, chunkOid, hasOtherModel } = state;
  if (layout.citus === "tables") return withVersionOnShards(text, parameters, state);
  const promoted = `WHEN NOT pg_catalog.pg_is_in_recovery() THEN pg_catalog.concat('${PROMOTED}', version)::boolean`;
  // A schema without chunks accepts any model; rows always belong to the model that is recorded with them.
  const empty = `WHEN version = $${parameters + 2} AND NOT EXISTS (SELECT 1 FROM ${namesOf(layout).chunk} any_chunk) THEN true`;
  return `
SELECT page.* FROM (${text}
) page WHERE (SELECT CASE ${isOnStandby ? promoted : ""} WHEN version = ANY ($${parameters + 1}::text[]) THEN true
    ${hasOtherModel ? empty : ""}
    ELSE pg_catalog.concat('${OTHER_SCHEMA}', version)::boolean END
  FROM (SELECT (${versionOf(layout, chunkOid)}) AS version OFFSET 0) current)`; // OFFSET 0: the version is read once
}

/** As {@link withVersion} where trainings are spread over a cluster: a function fails, on the node of each shard if the text says so. */
function withVersionOnShards(text: string, parameters: number, { layout, chunkOid }: SchemaState): string {
  const guard = `${shardFunctions(namesOf(layout)).require}((${versionOf(layout, chunkOid)}), $${parameters + 1}::text[])`;
  return text.includes(GUARD)
    ? text.replaceAll(GUARD, () => guard)
    : `\nSELECT page.* FROM (${text}\n) page WHERE ${guard}`;
}

const PROMOTED = "no standby: ";

function isRaised(error: unknown, message: string): boolean {
  if (sqlStateOf(error) !== INVALID_TEXT) return false;
  const { cause } = error as Error;
  return cause instanceof Error && cause.message.includes(message);
}

/** invalid_text_representation */
const INVALID_TEXT = "22P02";
/** The longest text that is cached, in characters; a filter's condition may be much longer. */
const MAX_CACHED_TEXT = 5000;
