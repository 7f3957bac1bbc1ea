import type { TransactionClient } from "../calls/orm-transactions.js";
import { SchemaError, throwIfAborted } from "../errors.js";
import type { Notify } from "../calls/notices.js";
import { SharedWork } from "../calls/shared-work.js";
import { boundedPool } from "../postgres/bounded-database.js";
import { DATA_EXCEPTION, sqlStateOf, type DatabasePool, type Queryable } from "../postgres/database.js";
import type { Layout } from "./layout.js";
import { hostClient } from "../postgres/host-client.js";
import { mayBeSchemaChange, SchemaChanged } from "./schema-change.js";
import {
  MIN_PAGES_OF_LARGE_TABLE,
  forModel,
  isLarge,
  readSchemaState,
  type RecordedModel,
  type SchemaState,
} from "./schema-state.js";

export { isLarge, type SchemaState } from "./schema-state.js";

/** How long a read of the catalogs stays valid: migrations change an index only a few times in its life. */
const MAX_AGE_MS = 60_000;
/** Shorter while searches compare all chunks: a small table may soon be large, and a large one may soon have a vector index. */
const MAX_AGE_OF_EXACT_MS = 5_000;
/** How often work is attempted while the schema changes under it. */
const MAX_ATTEMPTS = 3;

/** Dependencies of a {@link KnownSchema}. */
export interface KnownSchemaParts {
  /** Reads the catalogs. */
  pool: DatabasePool;
  schema: string;
  /** The model with which the index works on the schema. Rejects if it cannot work with it. */
  choose?: (state: SchemaState, database: Queryable) => Promise<RecordedModel>;
  /** Settings of searches, for a vector index of another extension. */
  scanSettings?: Layout["scanSettings"];
  /** How a Citus cluster held the schema when it was checked. */
  citus?: Layout["citus"];
  /** Reports repeated work to the host. */
  notify?: Notify;
}

/** Options of {@link KnownSchema.follow}. */
export interface FollowOptions {
  /** The host's client that does the work. Writes on it are not repeated: only the next call uses the new schema. */
  client?: TransactionClient | undefined;
  /** Whether the work writes, and so holds ids that were checked against the known type of ids. */
  writes?: boolean | undefined;
  /** Ends this call's wait for a read of the catalogs. The read continues for other calls that wait for it. */
  signal?: AbortSignal | undefined;
}

/** The result of reading the catalogs, and how long it stays valid. */
interface Look {
  state: SchemaState;
  at: number;
  validForMs: number;
}

/**
 * Owns what this process knows of the schema: the names and types that statements are written with, and which vector index
 * serves searches. Reads the catalogs again when this knowledge is old, and immediately when a statement finds another
 * schema than it was written for.
 */
export class KnownSchema {
  readonly #parts: KnownSchemaParts;
  readonly #maxAgeMs: number;
  #look: Look | undefined;
  /** The read of the catalogs for all calls but those with a client. */
  readonly #lookForAll = new SharedWork((signal) => this.#readForAll(signal));
  #last: SchemaState | undefined;
  /** Kept per client: a host's transaction may see uncommitted schema changes that no other session sees. */
  readonly #looksOfClients = new WeakMap<TransactionClient, Look>();
  /** Chunks that this process has added since the last read. */
  #added = 0;

  constructor(parts: KnownSchemaParts, maxAgeMs = MAX_AGE_MS) {
    this.#parts = parts;
    this.#maxAgeMs = maxAgeMs;
  }

  /** The layout as of the last read. Throws before the first read. */
  get layout(): Layout {
    return this.#known.layout;
  }

  /** The oid of pgvector's type `vector`, as of the last read. */
  get vectorOid(): number {
    return this.#known.vectorOid;
  }

  /** The state as of the last read. Throws before the first read. */
  get latest(): SchemaState {
    return this.#known;
  }

  /** Whether the last read is still valid. */
  get isRecent(): boolean {
    return isFresh(this.#look);
  }

  get #known(): SchemaState {
    if (!this.#last) throw new TypeError("the schema has not been read yet");
    return this.#last;
  }

  /**
   * The known schema, read again if it is old.
   *
   * @param client - the host's client, which then reads it
   * @param signal - ends the wait for a read, as in {@link look}
   * @throws {@link SchemaError} | {@link DatabaseError} | {@link AbortError}
   */
  async current(client?: TransactionClient, signal?: AbortSignal): Promise<SchemaState> {
    return this.#recentState(client) ?? this.look(client, signal);
  }

  /** The known schema, or `undefined` if it has to be read first. */
  #recentState(client?: TransactionClient, writes = false): SchemaState | undefined {
    // A write on a host's client never reads: the pool may have no other client.
    if (writes) return client && this.#known;
    const look = (client && this.#looksOfClients.get(client)) ?? this.#look;
    if (isFresh(look)) return look.state;
    return client && isFresh(this.#look) ? this.#look.state : undefined;
  }

  /**
   * Like {@link current}, for writes. Only what this process has added itself is a reason to read a small table again: once it is large,
   * writes keep their plans.
   *
   * @param signal - ends the wait for a read, as in {@link look}
   * @throws {@link SchemaError} | {@link DatabaseError} | {@link AbortError}
   */
  async recent(signal?: AbortSignal): Promise<SchemaState> {
    const look = this.#look;
    const isRecent = look && performance.now() - look.at < this.#maxAgeMs && look.validForMs > 0;
    return isRecent ? look.state : this.look(undefined, signal);
  }

  /**
   * Reads the schema now.
   *
   * @param client - the host's client, which reads it and alone uses the result
   * @param signal - ends the wait. Without a `client` the read continues for other calls that wait for it
   * @throws {@link SchemaError} | {@link DatabaseError} | {@link AbortError}
   */
  async look(client?: TransactionClient, signal?: AbortSignal): Promise<SchemaState> {
    if (!client) return this.#lookForAll.result(signal, WAITING);
    const at = performance.now();
    const state = await hostClient(client, { signal }).read((session) => this.#readFrom(session));
    this.#looksOfClients.set(client, { state, at, validForMs: this.#validForMs(state) });
    return state;
  }

  /**
   * Does work with the known schema. If a statement finds that the schema has changed, reads the schema and repeats the
   * work.
   *
   * @throws the error of the work, or of reading the schema
   */
  async follow<T>(
    work: (state: SchemaState) => Promise<T>,
    { client, writes = false, signal }: FollowOptions = {},
  ): Promise<T> {
    let state = this.#recentState(client, writes) ?? (await (writes ? this.recent(signal) : this.look(client, signal)));
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
        state = await this.#lookAfter(error, earlier, client, signal);
        if (writes) this.#requireSameIds(earlier, state);
        const isSame = sameVersion(state, earlier);
        // The schema is not the cause: the vector index may be damaged.
        if (isSame && sqlStateOf(error) === DATA_EXCEPTION) throw error;
        if (isSame && attempt > 1) throw error;
        this.#parts.notify?.({
          code: "RETRY",
          message: "The schema of the index has changed, so a statement was rewritten and run again",
          cause: error,
        });
      }
    }
  }

  /** Counts chunks that this process adds. Once they may make a small table large, the next call reads again. */
  grow(chunks: number): void {
    this.#added += chunks;
    const look = this.#look;
    if (look && !isLarge(look.state) && this.#added >= MIN_PAGES_OF_LARGE_TABLE) look.validForMs = 0;
  }

  /** Makes the next call read the schema again, after a change by this process. */
  forget(client?: TransactionClient): void {
    this.#look = undefined;
    if (client) this.#looksOfClients.delete(client);
  }

  async #readForAll(signal: AbortSignal): Promise<SchemaState> {
    const at = performance.now();
    this.#added = 0;
    const state = await this.#readFrom(boundedPool(this.#parts.pool, { signal }));
    throwIfAborted(signal); // a later read may be known by now
    this.#look = { state, at, validForMs: this.#validForMs(state) };
    this.#last = state;
    this.grow(0); // chunks that were added during the read
    return state;
  }

  async #readFrom(database: Queryable): Promise<SchemaState> {
    const { choose } = this.#parts;
    const { citus } = this.#last?.layout ?? this.#parts;
    const state = await readSchemaState(database, { ...this.#parts, citus });
    return choose ? forModel(state, await choose(state, database)) : state;
  }

  #validForMs(state: SchemaState): number {
    const usesIndex = isLarge(state) && state.type !== undefined;
    return usesIndex ? this.#maxAgeMs : Math.min(this.#maxAgeMs, MAX_AGE_OF_EXACT_MS);
  }

  async #lookAfter(
    error: unknown,
    state: SchemaState,
    client: TransactionClient | undefined,
    signal: AbortSignal | undefined,
  ): Promise<SchemaState> {
    const newer = client ? undefined : this.#look?.state;
    if (newer && newer !== state) return newer; // another call has already read the changed schema
    try {
      return await this.look(client, signal);
    } catch (failure) {
      const isAnswer = failure instanceof SchemaError || error instanceof SchemaChanged || signal?.aborted;
      throw isAnswer ? failure : error;
    }
  }

  #requireSameIds({ layout: before }: SchemaState, { layout: now }: SchemaState): void {
    if (before.idType === now.idType || (isInteger(before) && isInteger(now))) return;
    throw new SchemaError(
      "SCHEMA_CONFLICT",
      `Schema ${JSON.stringify(now.schema)} was re-created while the index was open: its ids are ${now.idType} now, and ` +
        `were ${before.idType}. Nothing was stored: call again with ${now.idType} ids`,
    );
  }
}

/** What a call was doing when its time was up. A host that forgets `client` on a pool of one client waits for itself. */
const WAITING =
  "waiting for a read of the schema, which takes a client of the pool: in a transaction pass its client, { client }; " +
  "otherwise raise the pool's max";

function isFresh(look: Look | undefined): look is Look {
  return look !== undefined && performance.now() - look.at < look.validForMs;
}

function isInteger({ idType }: Layout): boolean {
  return idType === "integer" || idType === "bigint";
}

/** Whether two reads found the same schema. */
function sameVersion(left: SchemaState, right: SchemaState): boolean {
  return left.version === right.version && left.vectorOid === right.vectorOid;
}
