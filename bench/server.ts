import { randomBytes } from "node:crypto";
import { configFromEnv } from "langchain-training-index";
import pg from "pg";
import { postgresContainer } from "../tooling/postgres-container.js";

/** Size of each pool: one connection per caller of the throughput test with the most callers. */
export const POOL_SIZE = 16;

const IMAGE = "pgvector/pgvector:pg17";
const SHARED_MEMORY_BYTES = 1024 ** 3;
/**
 * As on a dedicated server: tables and indexes of all contenders fit the cache, the build of an index of 100,000 vectors fits
 * its memory, and no checkpoint happens by chance in one contender's turn.
 */
const SETTINGS = { shared_buffers: "4GB", maintenance_work_mem: "800MB", max_wal_size: "8GB" };

/** Settings of a session by name. */
export type SessionSettings = Record<string, string>;

/** What a container gets, if one is started. */
export interface ServerMemory {
  settings?: SessionSettings;
  /** Of `/dev/shm`, where the graph of a parallel build is. */
  sharedMemoryBytes?: number;
}

/** The server that all contenders share: that of `DATABASE_URL`, else a container. */
export class BenchServer {
  readonly connectionString: string;
  /** Shared by all contenders that take a pool. */
  readonly pool: pg.Pool;
  readonly description: string;
  readonly #stopContainer: (() => Promise<unknown>) | undefined;
  readonly #pools: pg.Pool[] = [];
  readonly #prefix = `bench_${randomBytes(4).toString("hex")}`;

  private constructor(connectionString: string, description: string, stopContainer?: () => Promise<unknown>) {
    this.connectionString = connectionString;
    this.description = description;
    this.#stopContainer = stopContainer;
    this.pool = this.#newPool({});
  }

  /**
   * Starts a container if `DATABASE_URL` is not set.
   *
   * @param memory - of the container: settings of Postgres that differ, and the size of `/dev/shm`
   */
  static async start({
    settings = {},
    sharedMemoryBytes = SHARED_MEMORY_BYTES,
  }: ServerMemory = {}): Promise<BenchServer> {
    const { databaseUrl } = configFromEnv(process.env);
    const server =
      databaseUrl === undefined
        ? await startContainer({ ...SETTINGS, ...settings }, sharedMemoryBytes)
        : { url: databaseUrl };
    const description = server.stop ? `container of ${IMAGE}` : "the server of DATABASE_URL";
    const started = new BenchServer(server.url, description, server.stop);
    await started.pool.query("CREATE EXTENSION IF NOT EXISTS vector");
    if (server.stop) await started.pool.query("CREATE EXTENSION IF NOT EXISTS pg_prewarm");
    return started;
  }

  /** Whether the server is a container of this run, which ends with it. */
  get isContainer(): boolean {
    return this.#stopContainer !== undefined;
  }

  /** Opens another pool of the same size, whose sessions have these settings. */
  openPool(settings: SessionSettings = {}): pg.Pool {
    const pool = this.#newPool(settings);
    this.#pools.push(pool);
    return pool;
  }

  /** A new name for a schema, which is dropped at the end of the run. */
  schemaName(purpose: string): string {
    return `${this.#prefix}_${purpose}_${randomBytes(2).toString("hex")}`;
  }

  async dropSchema(name: string): Promise<void> {
    await this.pool.query(`DROP SCHEMA IF EXISTS ${name} CASCADE`);
  }

  /** Drops all schemas of the run so far, and ends the pools opened for it. */
  async clear(): Promise<void> {
    await Promise.all(this.#pools.splice(0).map((pool) => pool.end()));
    for (const name of await this.#readSchemas()) await this.dropSchema(name);
  }

  /**
   * Brings all tables into the state of a server that has been in use for a while, for all contenders alike: statistics
   * gathered, pending index updates flushed, pages in the cache.
   */
  async prepareForSearches(): Promise<void> {
    const schemas = await this.#readSchemas();
    const { rows } = await this.pool.query<{ name: string }>(
      `SELECT oid::regclass::text AS name FROM pg_class
        WHERE relkind = 'r' AND relnamespace = ANY ($1::text[]::regnamespace[])`,
      [schemas],
    );
    for (const { name } of rows) await this.pool.query(`VACUUM (ANALYZE) ${name}`);
    if (await this.#canPrewarm()) {
      await this.pool.query(
        `SELECT pg_prewarm(oid) FROM pg_class
          WHERE relkind IN ('r', 'i') AND relnamespace = ANY ($1::text[]::regnamespace[])`,
        [schemas],
      );
    }
    await this.settle();
  }

  /** Writes out dirty pages of earlier measurements, so that the next one does not pay for them. */
  async settle(): Promise<void> {
    try {
      await this.pool.query("CHECKPOINT");
    } catch (error) {
      // The caller's role may lack the right to do so; the figures then vary a little more.
      if ((error as { code?: string }).code !== "42501") throw error;
    }
  }

  /** Versions of the server, and the settings that affect its speed. */
  async describe(): Promise<{ versions: Record<string, string>; settings: Record<string, string> }> {
    const { rows: found } = await this.pool.query<{ postgres: string; pgvector: string }>(
      `SELECT split_part(current_setting('server_version'), ' ', 1) AS postgres, extversion AS pgvector
        FROM pg_extension WHERE extname = 'vector'`,
    );
    const { rows: settings } = await this.pool.query<{ name: string; value: string }>(
      "SELECT name, current_setting(name) AS value FROM unnest($1::text[]) AS name",
      [[...Object.keys(SETTINGS), "max_parallel_maintenance_workers", "fsync", "synchronous_commit"]],
    );
    const { postgres = "?", pgvector = "?" } = found[0] ?? {};
    return {
      versions: { Postgres: postgres, pgvector },
      settings: Object.fromEntries(settings.map(({ name, value }) => [name, value])),
    };
  }

  /** Drops what is left, and stops the container if there is one. */
  async stop(): Promise<void> {
    try {
      await this.clear();
    } finally {
      await this.pool.end();
      await this.#stopContainer?.();
    }
  }

  /** On the caller's server the extension is used if it exists, but not created: searches work without it. */
  async #canPrewarm(): Promise<boolean> {
    const { rows } = await this.pool.query("SELECT 1 FROM pg_extension WHERE extname = 'pg_prewarm'");
    return rows.length > 0;
  }

  async #readSchemas(): Promise<string[]> {
    const { rows } = await this.pool.query<{ name: string }>(
      "SELECT nspname AS name FROM pg_namespace WHERE starts_with(nspname, $1)",
      [this.#prefix],
    );
    return rows.map(({ name }) => name);
  }

  #newPool(settings: SessionSettings): pg.Pool {
    const options = Object.entries(settings).map(([name, value]) => `-c ${name}=${value}`);
    const pool = new pg.Pool({
      connectionString: this.connectionString,
      max: POOL_SIZE,
      idleTimeoutMillis: 0, // keeps connections open while other contenders have their turns
      ...(options.length > 0 ? { options: options.join(" ") } : {}),
    });
    pool.on("error", (error) => {
      console.error("An idle connection to Postgres was lost:", error.message);
    });
    return pool;
  }
}

async function startContainer(
  chosen: SessionSettings,
  sharedMemoryBytes: number,
): Promise<{ url: string; stop?: () => Promise<unknown> }> {
  const settings = Object.entries(chosen).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const container = await postgresContainer(IMAGE)
    .withSharedMemorySize(sharedMemoryBytes) // used by parallel index builds
    .withCommand(["postgres", ...settings])
    .start();
  return { url: container.getConnectionUri(), stop: () => container.stop() };
}
