import pg from "pg";
import { Network, Wait, type StartedTestContainer } from "testcontainers";
import { inject, onTestFinished } from "vitest";
import { postgresContainer } from "../../tooling/postgres-container.js";
import { useContainer } from "./containers.js";
import { until } from "./index.js";

const DATA = "/var/lib/postgresql/standby";
const PORT = 5432;
const PRIMARY = "primary";

/** Copies the primary, and follows it. `exec`, so that the end of the server ends the container. */
const FOLLOW = `pg_basebackup -w -h ${PRIMARY} -U postgres -D ${DATA} -R -c fast && chmod 700 ${DATA} &&
  exec postgres -D ${DATA} -c listen_addresses='*' -c fsync=off -c max_standby_streaming_delay=100ms`;

/** A primary and a hot standby that follows it, each in a container of its own. */
export interface ServerPair {
  primary: StartedTestContainer;
  standby: StartedTestContainer;
  stop: () => Promise<void>;
}

/** A pair for the tests of a suite; without a Docker engine they are skipped, see {@link useContainer}. */
export function usePair(): PairOfServers {
  return new PairOfServers(useContainer("primary and standby of this test", startPair));
}

async function startPair(): Promise<ServerPair> {
  const image = inject("image");
  const network = await new Network().start();
  const started: StartedTestContainer[] = [];
  const stop = async (): Promise<void> => {
    for (const container of started.reverse()) await container.stop();
    await network.stop();
  };
  try {
    const primary = await postgresContainer(image)
      .withUsername("postgres")
      .withPassword("test")
      .withDatabase("postgres")
      .withNetwork(network)
      .withNetworkAliases(PRIMARY)
      .withCommand(["postgres", "-c", "fsync=off", "-c", "wal_level=replica"])
      .start();
    started.push(primary);
    await allowReplication(primary);
    const standby = await postgresContainer(image)
      .withNetwork(network)
      .withUser("postgres")
      .withEnvironment({ PGPASSWORD: "test" })
      .withEntrypoint(["bash", "-c"])
      .withCommand([FOLLOW])
      .withWaitStrategy(
        Wait.forAll([Wait.forSuccessfulCommand("pg_isready --host localhost"), Wait.forListeningPorts()]),
      )
      .start();
    started.push(standby);
    return { primary, standby, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Lets the other container copy this server and follow it: the image lets only local users do so. */
async function allowReplication(primary: StartedTestContainer): Promise<void> {
  await withClient(addressOf(primary), async (client) => {
    const { rows } = await client.query<{ hba_file: string }>("SHOW hba_file");
    const append = pg.escapeLiteral(`cat >> '${rows[0]?.hba_file ?? ""}'`);
    await client.query(`COPY (SELECT 'host replication all all scram-sha-256') TO PROGRAM ${append}`);
    await client.query("SELECT pg_reload_conf()");
  });
}

function addressOf(container: StartedTestContainer): pg.PoolConfig {
  const [host, port] = [container.getHost(), container.getMappedPort(PORT)];
  return { host, port, user: "postgres", password: "test", database: "postgres" };
}

async function withClient<T>(address: pg.PoolConfig, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client(address);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** What tests do with a {@link ServerPair}. */
export class PairOfServers {
  readonly #pair: () => ServerPair;

  constructor(pair: () => ServerPair) {
    this.#pair = pair;
  }

  /** A pool that is ended with the test. */
  open(which: "primary" | "standby", options: pg.PoolConfig = {}): pg.Pool {
    const pool = new pg.Pool({ ...addressOf(this.#pair()[which]), max: 4, ...options });
    pool.on("error", () => undefined); // tests stop servers on purpose
    onTestFinished(() => pool.end());
    return pool;
  }

  /** The address of a server, for a superuser. */
  urlOf(which: "primary" | "standby"): URL {
    const { host, port, user, password, database } = addressOf(this.#pair()[which]);
    return new URL(`postgres://${user}:${String(password)}@${host}:${port}/${database}`);
  }

  /** Ends a server at once. */
  async stop(which: "primary" | "standby"): Promise<void> {
    await this.#pair()[which].stop({ timeout: 0 });
  }

  /** Runs statements on a server, each by itself. On the standby they are repeated if they are in the way of what it replays. */
  async on(which: "primary" | "standby", ...statements: string[]): Promise<Record<string, unknown>[]> {
    const run = (): Promise<Record<string, unknown>[]> =>
      withClient(addressOf(this.#pair()[which]), async (client) => {
        let rows: Record<string, unknown>[] = [];
        for (const text of statements) ({ rows } = await client.query<Record<string, unknown>>(text));
        return rows;
      });
    return run().catch((error: unknown) => {
      if (which === "primary" || (error as { code?: unknown }).code !== "40001") throw error;
      return this.on(which, ...statements);
    });
  }

  /** Waits until the standby has replayed everything that the primary has written. */
  async caughtUp(): Promise<void> {
    // A commit flushes the log, also what a transaction that is still open has written.
    const flush = "SELECT pg_logical_emit_message(true, 'test', '')";
    const [row] = await this.on("primary", flush, "SELECT pg_current_wal_insert_lsn()::text AS lsn");
    await until(async () => {
      const [found] = await this.on(
        "standby",
        `SELECT pg_last_wal_replay_lsn() >= '${String(row?.["lsn"])}' AS reached`,
      );
      return found?.["reached"] === true;
    });
  }

  /** Makes the standby stop replaying until the test ends. */
  async pause(): Promise<void> {
    await this.on("standby", "SELECT pg_wal_replay_pause()");
    await until(async () => {
      const [row] = await this.on("standby", "SELECT pg_get_wal_replay_pause_state() AS state");
      return row?.["state"] === "paused";
    });
    onTestFinished(() => this.resume());
  }

  async resume(): Promise<void> {
    await this.on("standby", "SELECT CASE WHEN pg_is_in_recovery() THEN pg_wal_replay_resume() END");
  }
}
