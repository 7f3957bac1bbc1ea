import { orAbort, SchemaError } from "../errors.js";
import type { Notify } from "../calls/notices.js";
import { DATA_EXCEPTION, sqlStateOf, type Queryable } from "../postgres/database.js";
import type { Layout } from "./layout.js";
import { hostClient } from "../postgres/host-client.js";
import { mayBeSchemaChange, SchemaChanged } from "./schema-change.js";
import {
  FEWEST_PAGES_OF_LARGE,
  isLarge,
  readSchemaState,
  type RecordedModel,
  type SchemaState,
} from "./schema-state.js";

export { isLarge, type SchemaState } from "./schema-state.js";

/** How long a look at the catalogs is good for: a migration changes the index at most a few times in its life. */
const MAX_AGE_MS = 60_000;
/** A small table may be large soon: its first load has just begun. */
const MAX_AGE_OF_SMALL_MS = 5_000;
/** How often a call is begun again for a schema that changed under it. */
const MAX_ATTEMPTS = 3;

/** Of which schema a {@link KnownSchema} knows, and for whom. */
export interface KnownSchemaParts {
  /** Looks are made with it. */
  database: Queryable;
  schema: string;
  profileId: number;
  /** The model of the index that is open. */
  own?: RecordedModel;
  /** Rejects for a schema that the index cannot work with. */
  check?: (state: SchemaState, database: Queryable) => Promise<void>;
  /** Tells the host of calls that were begun again. */
  notify?: Notify;
}

/** Options of {@link KnownSchema.follow}. */
export interface FollowOptions {
  /** Of the host's, in which the work is done. Writes in it are not begun again: only the next call finds the new schema. */
  client?: Queryable | undefined;
  /** The work takes ids that were checked for the types of the known schema. */
  writes?: boolean | undefined;
  /** Ends the wait for a look, which goes on for others. */
  signal?: AbortSignal | undefined;
}

/** A look, and how long it is good for. */
interface Look {
  state: SchemaState;
  at: number;
  goodForMs: number;
}

/**
 * Owns what this process knows of the schema: the types and names that statements are written with, and what serves the
 * searches. Looks again when that is old, and at once when a statement meets another schema than it was written for.
 */
export class KnownSchema {
  readonly #parts: KnownSchemaParts;
  readonly #maxAgeMs: number;
  #look: Look | undefined;
  /** One look serves all calls that wait for one. */
  #looking: Promise<SchemaState> | undefined;
  #last: SchemaState | undefined;
  /** A host's transaction may see what nobody else does, and may never commit it: what it sees is for its client alone. */
  readonly #looksOfClients = new WeakMap<Queryable, Look>();
  /** Chunks that this process has added since it looked. */
  #added = 0;

  constructor(parts: KnownSchemaParts, maxAgeMs = MAX_AGE_MS) {
    this.#parts = parts;
    this.#maxAgeMs = maxAgeMs;
  }

  /** As of the last look. The first one has to have been made. */
  get layout(): Layout {
    return this.#known.layout;
  }

  /** The oid of pgvector's type, as of the last look. */
  get vectorOid(): number {
    return this.#known.vectorOid;
  }

  /** Whether the last look is not yet old. */
  get isRecent(): boolean {
    return isGood(this.#look);
  }

  get #known(): SchemaState {
    if (!this.#last) throw new TypeError("the schema has not been looked at");
    return this.#last;
  }

  /**
   * @param client - of the host's, to look with where it is time to look again
   * @throws {@link SchemaError} | {@link DatabaseError}
   */
  async current(client?: Queryable): Promise<SchemaState> {
    return this.#recentState(client) ?? this.look(client);
  }

  /** What is known, unless that is old. */
  #recentState(client?: Queryable, writes = false): SchemaState | undefined {
    // A pool whose only client the host has given has none to look with.
    if (writes) return client && this.#known;
    const look = (client && this.#looksOfClients.get(client)) ?? this.#look;
    if (isGood(look)) return look.state;
    return client && isGood(this.#look) ? this.#look.state : undefined;
  }

  /**
   * For writes, to which it does no harm that a table has grown large since: that is no reason to look again.
   *
   * @throws {@link SchemaError} | {@link DatabaseError}
   */
  async recent(): Promise<SchemaState> {
    const look = this.#look;
    return look && performance.now() - look.at < this.#maxAgeMs ? look.state : this.look();
  }

  /**
   * Looks at the schema now.
   *
   * @throws {@link SchemaError} | {@link DatabaseError}
   */
  async look(client?: Queryable): Promise<SchemaState> {
    if (client) {
      const at = performance.now();
      const state = await hostClient(client).read((session) => this.#read(session));
      this.#looksOfClients.set(client, { state, at, goodForMs: this.#goodForMs(state) });
      return state;
    }
    const looking = (this.#looking ??= this.#lookForAll());
    return looking;
  }

  /**
   * Does work with statements that are written for what is known of the schema; again, with what a new look finds, when it
   * turns out that the schema is another one by now.
   *
   * @throws what the work throws, or the look
   */
  async follow<T>(
    work: (state: SchemaState) => Promise<T>,
    { client, writes = false, signal }: FollowOptions = {},
  ): Promise<T> {
    let state =
      this.#recentState(client, writes) ??
      (await orAbort(() => (writes ? this.recent() : this.look(client)), signal));
    for (let attempt = 1; ; attempt++) {
      try {
        return await work(state);
      } catch (error) {
        if (!mayBeSchemaChange(error) || attempt === MAX_ATTEMPTS) throw error;
        if (writes && client) {
          this.forget(client);
          throw error;
        }
        const earlier = state;
        state = await orAbort(() => this.#lookAfter(error, earlier, client), signal);
        if (writes) this.#requireSameIds(earlier, state);
        const isSame = sameVersion(state, earlier);
        // Not for the schema: the vector index may be broken.
        if (isSame && sqlStateOf(error) === DATA_EXCEPTION) throw error;
        if (isSame && attempt > 1) throw error;
        this.#parts.notify?.({
          code: "RETRY",
          message: "The schema of the index was changed, so a statement was written anew and run again",
          cause: error,
        });
      }
    }
  }

  /** For chunks that this process adds: with them a small table may be large, and the next search looks again. */
  grow(chunks: number): void {
    this.#added += chunks;
    const look = this.#look;
    if (look && !isLarge(look.state) && this.#added >= FEWEST_PAGES_OF_LARGE) look.goodForMs = 0;
  }

  /** For a change that this process makes itself: the next search looks again. */
  forget(client?: Queryable): void {
    this.#look = undefined;
    if (client) this.#looksOfClients.delete(client);
  }

  async #lookForAll(): Promise<SchemaState> {
    const at = performance.now();
    this.#added = 0;
    try {
      const state = await this.#read(this.#parts.database);
      this.#look = { state, at, goodForMs: this.#goodForMs(state) };
      this.#last = state;
      return state;
    } finally {
      this.#looking = undefined;
    }
  }

  async #read(database: Queryable): Promise<SchemaState> {
    const { own, check } = this.#parts;
    const state = await readSchemaState(database, this.#parts, own);
    await check?.(state, database);
    return state;
  }

  #goodForMs(state: SchemaState): number {
    return isLarge(state) ? this.#maxAgeMs : Math.min(this.#maxAgeMs, MAX_AGE_OF_SMALL_MS);
  }

  async #lookAfter(error: unknown, state: SchemaState, client: Queryable | undefined): Promise<SchemaState> {
    const newer = client ? undefined : this.#look?.state;
    if (newer && newer !== state) return newer; // another call has met the change, and has looked
    try {
      return await this.look(client);
    } catch (failure) {
      throw failure instanceof SchemaError || error instanceof SchemaChanged ? failure : error;
    }
  }

  #requireSameIds({ layout: before }: SchemaState, { layout: now }: SchemaState): void {
    if (before.idType === now.idType || (isInteger(before) && isInteger(now))) return;
    throw new SchemaError(
      "SCHEMA_CONFLICT",
      `Schema ${JSON.stringify(now.schema)} was migrated anew while the index was open: its ids are ${now.idType} now, and ` +
        `were ${before.idType}. Nothing was stored: call again with ids of that type`,
    );
  }
}

function isGood(look: Look | undefined): look is Look {
  return look !== undefined && performance.now() - look.at < look.goodForMs;
}

function isInteger({ idType }: Layout): boolean {
  return idType === "integer" || idType === "bigint";
}

/** Whether two looks found the same schema. */
function sameVersion(left: SchemaState, right: SchemaState): boolean {
  return left.version === right.version && left.vectorOid === right.vectorOid;
}
