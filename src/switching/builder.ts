import { setTimeout as sleep } from "node:timers/promises";
import { randomUUID } from "node:crypto";
import { throwIfAborted } from "../errors.js";
import { query, inTransaction, type Queryable } from "../postgres/database.js";
import type { BoundedPool } from "../postgres/bounded-database.js";
import type { Layout } from "../schema/layout.js";
import * as sql from "./build-sql.js";
import { RateLimit } from "./rate-limit.js";
import { otherVersion, readVersions, writeVersions, type VersionParts } from "./versions.js";

/** Trainings that a worker builds together. Their rows are locked while they are written. */
const BATCH = 20;
/** What {@link Builder.catchUp} may leave. */
const MOST_LEFT = 5;
const POLL_MS = 200;
/** How often a worker waits because it could build none of its trainings, and how long. */
const MAX_STALLS = 60;
const STALL_MS = 500;
/** Rows of one page of {@link Builder.findUnbuilt}: a write of one of them waits for its statement. */
const PAGE_ROWS = 5000;

/** Dependencies of a {@link Builder}. */
export interface BuilderParts extends VersionParts {
  pool: BoundedPool;
  concurrency: number;
  /** Called after each batch. */
  onBuilt: (trainings: number) => void;
}

/** Builds trainings for a profile. Any number of builders, in any number of processes, can share the work. */
export class Builder {
  readonly #parts: BuilderParts;
  /** The claims of this builder begin with it. */
  readonly #name = randomUUID();
  #claims = 0;
  /** The last id that was claimed; the next claim begins after it. */
  #after: string | null = null;

  constructor(parts: BuilderParts) {
    this.#parts = parts;
  }

  /** Records all trainings that the profile has no chunks of. A repeat finds those that are left. */
  async findUnbuilt(signal: AbortSignal | undefined): Promise<void> {
    const text = sql.findUnbuilt(this.#building);
    let after: string | null = null;
    do {
      const [page]: { last: string | null }[] = await this.#query(signal, text, [after, PAGE_ROWS]);
      after = page?.last ?? null;
    } while (after !== null);
  }

  /** How many trainings are behind, at most `limit`. */
  async countBehind(signal: AbortSignal | undefined, limit = 1_000_000_000): Promise<number> {
    const [row] = await this.#query<{ behind: string }>(signal, sql.countBehind(this.#building), [limit]);
    return Number(row?.behind ?? 0);
  }

  /** Builds until at most {@link MOST_LEFT} trainings are behind: writes that go on would keep it from ever ending. */
  async catchUp(given: AbortSignal | undefined): Promise<void> {
    const stop = new AbortController();
    const signal = given ? AbortSignal.any([given, stop.signal]) : stop.signal;
    const renewal = setInterval(() => {
      this.#query(undefined, sql.renewClaims(this.#building), [this.#name]).catch(() => undefined); // the claims then expire
    }, sql.LEASE_MS / 3);
    try {
      const workers = Array.from({ length: this.#parts.concurrency }, () => this.#work(signal));
      await Promise.all(
        workers.map((worker) =>
          worker.catch((error: unknown) => {
            stop.abort();
            throw error;
          }),
        ),
      ).finally(() => Promise.allSettled(workers));
    } catch (error) {
      throwIfAborted(given);
      throw error;
    } finally {
      clearInterval(renewal);
      await this.#release();
    }
  }

  async #release(): Promise<void> {
    await this.#query(undefined, sql.releaseClaims(this.#building), [this.#name]).catch(() => undefined); // they expire, too
  }

  async #work(signal: AbortSignal): Promise<void> {
    let isFull = false;
    for (let stalls = 0; ;) {
      throwIfAborted(signal);
      // After a full batch there are more; counting them again and again would take longer than claiming.
      if (!isFull && (await this.countBehind(signal, MOST_LEFT + 1)) <= MOST_LEFT) return;
      const { claimed, built } = await this.#buildSome(signal);
      isFull = claimed.length === BATCH;
      if (claimed.length === 0) {
        await sleep(POLL_MS, undefined, { signal }).catch(() => undefined); // others build them
        continue;
      }
      // The source may have a newer version, whose upsert follows.
      stalls = built > 0 ? 0 : stalls + 1;
      if (stalls > MAX_STALLS) throw otherVersion(claimed[0] ?? "");
      if (stalls > 0) await sleep(STALL_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  /** Builds the few that {@link catchUp} leaves. Writes that go on meanwhile may leave others. */
  async buildRest(signal: AbortSignal | undefined): Promise<void> {
    try {
      await this.#buildRest(signal);
    } finally {
      await this.#release();
    }
  }

  async #buildRest(signal: AbortSignal | undefined): Promise<void> {
    for (let stalls = 0; ;) {
      const { claimed, built } = await this.#buildSome(signal);
      if (claimed.length === built) return;
      stalls += 1;
      if (stalls > MAX_STALLS) throw otherVersion(claimed[0] ?? "");
      if (built === 0) await sleep(STALL_MS, undefined, signal && { signal }).catch(() => undefined);
    }
  }

  async #buildSome(signal: AbortSignal | undefined): Promise<{ claimed: string[]; built: number }> {
    const { pool, onBuilt } = this.#parts;
    const claim = `${this.#name} ${++this.#claims}`;
    const claimed = await this.#claim(claim, signal);
    if (claimed.length === 0) return { claimed, built: 0 };
    const database = pool.within({ signal });
    const versions = await readVersions(this.#parts, database, claimed, signal);
    const built = await inTransaction(database, (client) => writeVersions(this.#parts, client, versions, claim));
    const left = claimed.filter((key) => !built.has(key));
    if (left.length > 0) await this.#query(signal, sql.releaseTrainings(this.#building), [left, claim]);
    onBuilt(built.size);
    return { claimed, built: built.size };
  }

  /**
   * Builds what is behind in the transaction of the switch itself, if it is little.
   *
   * @returns whether nothing is behind any more
   */
  async buildWithin(client: Queryable, limit: number, signal: AbortSignal): Promise<boolean> {
    const rows = await query<{ key: string }>(client, "claim-trainings", sql.listBehind(this.#building), [limit + 1]);
    if (rows.length === 0) return true;
    // A source that loads texts could take any time.
    if (rows.length > limit || this.#parts.source) return false;
    const keys = rows.map(({ key }) => key);
    // Without the limit of texts: writes wait.
    const versions = await readVersions({ ...this.#parts, rate: new RateLimit(undefined) }, client, keys, signal);
    return (await writeVersions(this.#parts, client, versions)).size === keys.length;
  }

  /** Claims the next trainings in the order of their ids, and after the last of them the first ones, which were written meanwhile. */
  async #claim(claim: string, signal: AbortSignal | undefined): Promise<string[]> {
    const claimAfter = async (after: string | null, limit: number): Promise<string[]> => {
      const text = sql.claimTrainings(this.#building);
      const rows = await this.#query<{ key: string }>(signal, text, [limit, claim, after]);
      return rows.map(({ key }) => key);
    };
    const after = this.#after;
    const claimed = new Set(await claimAfter(after, BATCH));
    if (after !== null && claimed.size < BATCH) {
      // A write in between gives its training free, which is then claimed again.
      for (const key of await claimAfter(null, BATCH - claimed.size)) claimed.add(key);
    }
    const keys = [...claimed];
    this.#after = keys.at(-1) ?? null;
    return keys;
  }

  get #building(): Layout {
    return this.#parts.building;
  }

  #query<Row>(signal: AbortSignal | undefined, text: string, values: unknown[]): Promise<Row[]> {
    return query<Row>(this.#parts.pool.within({ signal }), "claim-trainings", text, values);
  }
}
