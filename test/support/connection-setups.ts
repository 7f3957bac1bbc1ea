/**
 * How the integration tests connect to the real server: directly, and in the strictest setup that the library supports, which is
 * PgBouncer in transaction mode, a role that has only the rights of docs/migrations.md, and an empty `search_path`. A Citus cluster is
 * another server.
 */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import pg from "pg";

/** The addresses of one connection setup. */
export interface ConnectionSetup {
  /** For the owner of the schema, which migrates and writes the host's tables. */
  ownerUrl: string;
  /** For the library. */
  url: string;
  /** The role in `url`, if it is not the owner. */
  role?: string | undefined;
  close: () => Promise<void>;
}

/** The connection setups by the name of their project in `vitest.config.ts`. */
export const CONNECTION_SETUPS = {
  integration: { name: "server database", open: (url: string) => Promise.resolve(direct(url)) },
  "integration-pgbouncer": {
    name: "server behind PgBouncer, as a limited role without a search_path",
    open: asLimitedRole,
  },
  "integration-citus": {
    name:
      process.env["TEST_CITUS_MODE"] === "tables"
        ? "Citus cluster, with trainings spread over its workers"
        : "Citus cluster, with schemas on its workers",
    open: (url: string) => Promise.resolve(direct(withSettings(url))),
  },
} as const;

/** Whether `pgbouncer` is installed on this machine. */
export async function hasPgBouncer(): Promise<boolean> {
  return promisify(execFile)("pgbouncer", ["--version"]).then(
    () => true,
    () => false,
  );
}

/** A port that nothing listens on. */
export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

function direct(url: string): ConnectionSetup {
  return { ownerUrl: url, url, close: () => Promise.resolve() };
}

/** Tests stop and fail statements by triggers, which Citus has only if asked. Eight shards instead of 32 make each schema in less time. */
function withSettings(given: string): string {
  const url = new URL(given);
  url.searchParams.set("options", "-c citus.enable_unsafe_triggers=on -c citus.shard_count=8");
  return url.href;
}

async function asLimitedRole(url: string): Promise<ConnectionSetup> {
  const role = `limited_${process.pid}_${Date.now()}`;
  const owner = new pg.Client({ connectionString: url });
  await owner.connect();
  await owner.query(`CREATE ROLE ${role} LOGIN PASSWORD 'limited' NOSUPERUSER NOCREATEDB NOCREATEROLE`);
  const server = new URL(url);
  const database = decodeURIComponent(server.pathname.slice(1));
  const ownerDatabase = `${database}_as_owner`;
  const ownerLogin = { user: decodeURIComponent(server.username), password: decodeURIComponent(server.password) };
  const bouncer = await startPgBouncer(server, [
    { name: ownerDatabase, database, ...ownerLogin },
    { name: "*", user: role, password: "limited" },
  ]);
  const ownerUrl = new URL(bouncer.url);
  ownerUrl.pathname = `/${encodeURIComponent(ownerDatabase)}`;
  return {
    ownerUrl: ownerUrl.href,
    url: bouncer.url,
    role,
    close: async () => {
      await bouncer.close();
      await owner.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
      await owner.end();
    },
  };
}

/** A database that PgBouncer offers, and the login with which it connects to it. */
interface OfferedDatabase {
  /** `*` for all others. */
  name: string;
  /** Its name on the server, if it is another one. */
  database?: string;
  user: string;
  password: string;
}

/** Starts PgBouncer in transaction mode. Its connections have an empty `search_path`. */
async function startPgBouncer(
  server: URL,
  databases: readonly OfferedDatabase[],
): Promise<{ url: string; close: () => Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), "pgbouncer-"));
  const port = await freePort();
  const settings = {
    listen_addr: "127.0.0.1",
    listen_port: port,
    unix_socket_dir: "",
    auth_type: "any",
    pool_mode: "transaction",
    // Few connections for many clients, so that consecutive statements run in different sessions.
    default_pool_size: 6,
    max_client_conn: 500,
    // `pg` sends this parameter at connection start, and PgBouncer does not track it.
    ignore_startup_parameters: "extra_float_digits",
    // PgBouncer refuses to run as root.
    ...(process.getuid?.() === 0 ? { user: "nobody" } : {}),
  };
  const file = join(folder, "pgbouncer.ini");
  await writeFile(
    file,
    [
      "[databases]",
      ...databases.map(
        ({ name, database, user, password }) =>
          `${name} = host=${server.hostname} port=${server.port || "5432"} ${database ? `dbname=${database} ` : ""}user=${user} ` +
          `password=${password} connect_query='SET search_path = ""'`,
      ),
      "[pgbouncer]",
      ...Object.entries(settings).map(([name, value]) => `${name} = ${value}`),
      "",
    ].join("\n"),
  );
  await chmod(folder, 0o755);
  const bouncer = spawn("pgbouncer", ["--quiet", file], { stdio: ["ignore", "ignore", "pipe"] });
  let log = "";
  bouncer.stderr.on("data", (data: Buffer) => {
    log += data.toString();
  });
  const address = new URL(server);
  Object.assign(address, { hostname: "127.0.0.1", port: `${port}` });
  await untilReachable(address.href, () => {
    if (bouncer.exitCode !== null) throw new Error(`pgbouncer ended: ${log}`);
  });
  return {
    url: address.href,
    close: async () => {
      bouncer.kill("SIGKILL");
      await once(bouncer, "exit");
      await rm(folder, { recursive: true });
    },
  };
}

async function untilReachable(connectionString: string, check: () => void): Promise<void> {
  for (;;) {
    const client = new pg.Client({ connectionString });
    try {
      await client.connect();
      await client.end();
      return;
    } catch {
      check();
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
