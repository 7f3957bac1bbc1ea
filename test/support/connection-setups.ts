/**
 * The ways to the real server that the integration tests are run on: as it is, behind PgBouncer in transaction mode, and as a
 * role that has only the rights that docs/migrations.md names, with nothing on the `search_path`.
 */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import pg from "pg";

/** The addresses of one way to the server. */
export interface ConnectionSetup {
  /** For the owner of the schema: migrations, and what the host's own role does. */
  ownerUrl: string;
  /** For what the library gets. */
  url: string;
  /** The role in `url`, when it is not the owner's. */
  role?: string | undefined;
  close: () => Promise<void>;
}

/** The ways, by the name of their project in `vitest.config.ts`. */
export const CONNECTION_SETUPS = {
  integration: { name: "server database", open: (url: string) => Promise.resolve(asItIs(url)) },
  "integration-pgbouncer": { name: "server behind PgBouncer", open: behindPgBouncer },
  "integration-role": { name: "server as a limited role without a search_path", open: asLimitedRole },
} as const;

/** Whether the machine has the program that a way needs. */
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

function asItIs(url: string): ConnectionSetup {
  return { ownerUrl: url, url, close: () => Promise.resolve() };
}

function withoutSearchPath(url: string): URL {
  const address = new URL(url);
  address.searchParams.set("options", "-c search_path=");
  return address;
}

async function asLimitedRole(url: string): Promise<ConnectionSetup> {
  const role = `limited_${process.pid}_${Date.now()}`;
  const owner = new pg.Client({ connectionString: url });
  await owner.connect();
  await owner.query(`CREATE ROLE ${role} LOGIN PASSWORD 'limited' NOSUPERUSER NOCREATEDB NOCREATEROLE`);
  const address = withoutSearchPath(url);
  Object.assign(address, { username: role, password: "limited" });
  return {
    ownerUrl: withoutSearchPath(url).href,
    url: address.href,
    role,
    close: async () => {
      await owner.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
      await owner.end();
    },
  };
}

async function behindPgBouncer(url: string): Promise<ConnectionSetup> {
  const server = new URL(url);
  const folder = await mkdtemp(join(tmpdir(), "pgbouncer-"));
  const port = await freePort();
  const login = `user=${decodeURIComponent(server.username)} password=${decodeURIComponent(server.password)}`;
  const settings = {
    listen_addr: "127.0.0.1",
    listen_port: port,
    unix_socket_dir: "",
    auth_type: "any",
    pool_mode: "transaction",
    // Few connections for many clients, so that a session is never the one of the last statement.
    default_pool_size: 6,
    max_client_conn: 500,
    // The parameter that `pg` sends at the start of each connection and PgBouncer does not track.
    ignore_startup_parameters: "extra_float_digits",
    // A root that starts it in a container may not run it.
    ...(process.getuid?.() === 0 ? { user: "nobody" } : {}),
  };
  const file = join(folder, "pgbouncer.ini");
  await writeFile(
    file,
    [
      "[databases]",
      `* = host=${server.hostname} port=${server.port || "5432"} ${login}`,
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
  const address = new URL(url);
  Object.assign(address, { hostname: "127.0.0.1", port: `${port}` });
  await untilItAnswers(address.href, () => {
    if (bouncer.exitCode !== null) throw new Error(`pgbouncer ended: ${log}`);
  });
  return {
    ...asItIs(address.href),
    close: async () => {
      bouncer.kill("SIGKILL");
      await once(bouncer, "exit");
      await rm(folder, { recursive: true });
    },
  };
}

async function untilItAnswers(connectionString: string, check: () => void): Promise<void> {
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
