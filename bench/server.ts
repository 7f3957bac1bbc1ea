import { randomBytes } from "node:crypto";
import { configFromEnv } from "langchain-training-index";
import pg from "pg";
import { postgresContainer } from "../test/support/postgres-container.js";

/** Connections that each pool may open: one for each caller of the widest throughput test. */
export const POOL_SIZE = 16;

const IMAGE = "pgvector/pgvector:pg17";
const SHARED_MEMORY_BYTES = 1024 ** 3;
/**
 * As on a server of its own: tables and indexes of all contenders fit the cache, an index of 100,000 vectors fits the
 * memory of its build, and no checkpoint falls into one contender's turn by chance.
 */
const SETTINGS = { shared_buffers: "4GB", maintenance_work_mem: "800MB", max_wal_size: "8GB" };

/** Settings of a session by name. */
export type SessionSettings = Record<string, string>;

/** The one server that all contenders run on: that of `DATABASE_URL`, else a container. */
export class BenchServer {
  readonly connectionString: string;
  /** Of all contenders that take a pool of the caller's. */
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

  /** Starts a container where the environment names no server. */
  static async start(): Promise<BenchServer> {
    const { databaseUrl } = configFromEnv(process.env);
    const server = databaseUrl === undefined ? await startContainer() : { url: databaseUrl };
    const description = server.stop ? `container of ${IMAGE}` : "the server of DATABASE_URL";
    const started = new BenchServer(server.url, description, server.stop);
    await started.pool.query("CREATE EXTENSION IF NOT EXISTS vector");
    if (server.stop) await started.pool.query("CREATE EXTENSION IF NOT EXISTS pg_prewarm");
    return started;
  }

  /** One more pool of the same size, whose sessions have settings of their own. */
  openPool(settings: SessionSettings): pg.Pool {
    const pool = this.#newPool(settings);
    this.#pools.push(pool);
    return pool;
  }

  /** The name of a schema that is dropped when the run ends. */
  schemaName(purpose: string): string {
    return `${this.#prefix}_${purpose}_${randomBytes(2).toString("hex")}`;
  }

  async dropSchema(name: string): Promise<void> {
    await this.pool.query(`DROP SCHEMA IF EXISTS ${name} CASCADE`);
  }

  /** Drops all that the run has made so far, and ends the pools that were opened for it. */
  async clear(): Promise<void> {
    await Promise.all(this.#pools.splice(0).map((pool) => pool.end()));
    for (const name of await this.#readSchemas()) await this.dropSchema(name);
  }

  /**
   * Brings all tables to where a server has them that has been at work for a while: statistics gathered, index updates
   * that were put off flushed, and pages in the cache, of all contenders alike.
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

  /** Writes out what earlier measurements left to be written, so that the next does not pay for it. */
  async settle(): Promise<void> {
    try {
      await this.pool.query("CHECKPOINT");
    } catch (error) {
      // Needs a right that a role of the caller's server may not have; the figures then vary a little more.
      if ((error as { code?: string }).code !== "42501") throw error;
    }
  }

  /** What the server is, and the settings that decide its speed. */
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

  /** Drops what is left, and stops the container. */
  async stop(): Promise<void> {
    try {
      await this.clear();
    } finally {
      await this.pool.end();
      await this.#stopContainer?.();
    }
  }

  /** The caller's server has the extension or it has not; nothing is added to it that searches could do without. */
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
      idleTimeoutMillis: 0, // a search must not pay for a connection because others took their time before it
      ...(options.length > 0 ? { options: options.join(" ") } : {}),
    });
    pool.on("error", (error) => {
      console.error("An idle connection to Postgres was lost:", error.message);
    });
    return pool;
  }
}

async function startContainer(): Promise<{ url: string; stop?: () => Promise<unknown> }> {
  const settings = Object.entries(SETTINGS).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const container = await postgresContainer(IMAGE)
    .withSharedMemorySize(SHARED_MEMORY_BYTES) // parallel builds of an index share their memory there
    .withCommand(["postgres", ...settings])
    .start();
  return { url: container.getConnectionUri(), stop: () => container.stop() };
}
