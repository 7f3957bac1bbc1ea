/**
 * An embedded Postgres with pgvector, for examples, tests and small hosts. It needs two packages, `@electric-sql/pglite`
 * and `@electric-sql/pglite-pgvector`, and no server.
 *
 * @module langchain-training-index/embedded
 */
import { PGlite } from "@electric-sql/pglite";
import { createPgConfig } from "@electric-sql/pglite/node-postgres";
import { vector } from "@electric-sql/pglite-pgvector";
import pg from "pg";
import { lockDirectory } from "./directory-lock.js";
import { InvalidArgumentError } from "../errors.js";

/**
 * Makes a `pg.Pool` on a Postgres that runs inside this process. The first query waits until the database has started,
 * which takes several seconds. The pool has one client, since the database has one session: a second caller waits for the
 * first.
 *
 * @example
 * ```ts
 * const pool = embeddedPool("data");
 * await migrate(pool);
 * ```
 * @param dataDir - the folder of the data, created if it does not exist. Only one pool of one process can use it at a time;
 * the file `<dataDir>.lock` beside it names the holder. `end()` releases it, and the lock of a dead process is taken over.
 * Default: in memory, lost when the process ends.
 * @returns a pool whose `end()` also closes the database. A process that leaves it open stays up to 10 s longer, because
 * Postgres waits that long before it writes its statistics
 * @throws `InvalidArgumentError` for a `dataDir` that is not a string
 * @throws `DatabaseError` with the code DIRECTORY_IN_USE if another process or another pool has the folder open
 */
export function embeddedPool(dataDir?: string): pg.Pool {
  if (dataDir !== undefined && typeof dataDir !== "string") {
    throw new InvalidArgumentError("dataDir", 'must be a string: embeddedPool("data")');
  }
  return new EmbeddedPool(dataDir);
}

/**
 * Postgres reports every 10 s how far it has come with opening a folder that was not closed before. In this process nothing ends its timer,
 * which would keep a process alive that leaves its pool open.
 */
const NO_STARTUP_TIMER = ["-c", "log_startup_progress_interval=0"];

class EmbeddedPool extends pg.Pool {
  readonly #database: PGlite;
  readonly #unlock: (() => void) | undefined;

  constructor(dataDir: string | undefined) {
    const unlock = isFolder(dataDir) ? lockDirectory(dataDir.replace(/^file:\/\//, "")) : undefined;
    const database = new PGlite({
      ...(dataDir === undefined ? {} : { dataDir }),
      extensions: { vector },
      startParams: [...PGlite.defaultStartParams, ...NO_STARTUP_TIMER],
    });
    // If the database does not start, each connection reports the error; this promise must not be an unhandled rejection.
    database.waitReady.catch(() => undefined);
    super({ Client: clientOf(database), max: 1, idleTimeoutMillis: 0, allowExitOnIdle: true });
    this.#database = database;
    this.#unlock = unlock;
  }

  override end(): Promise<void>;
  override end(callback: () => void): void;
  override end(callback?: () => void): Promise<void> | void {
    const ended = this.#end();
    if (!callback) return ended;
    void ended.finally(callback);
  }

  async #end(): Promise<void> {
    try {
      await super.end();
      if (!this.#database.closed) await this.#database.close();
    } finally {
      this.#unlock?.();
    }
  }
}

/** PGlite accepts paths and addresses such as `memory://`, which is not a folder. */
function isFolder(dataDir: string | undefined): dataDir is string {
  return dataDir !== undefined && (dataDir.startsWith("file://") || !/^[a-z]+:\/\//.test(dataDir));
}

/**
 * Makes a client class for a database. `pg` ends a client after an error, which PGlite's connection object does not
 * survive, so each client gets its own connection. All of them share one session, which is cleared at each connect.
 */
function clientOf(database: PGlite): typeof pg.Client {
  return class EmbeddedClient extends pg.Client {
    constructor(config?: pg.ClientConfig) {
      super({ ...config, connection: createPgConfig(database).connection } as pg.ClientConfig);
    }

    override connect(): Promise<pg.Client>;
    override connect(callback: (error: Error) => void): void;
    override connect(callback?: (error: Error) => void): Promise<pg.Client> | void {
      const cleared = clearSession(database);
      if (!callback) return cleared.then(() => super.connect());
      cleared.then(() => {
        super.connect(callback);
      }, callback);
    }
  };
}

async function clearSession(database: PGlite): Promise<void> {
  await database.exec("ROLLBACK");
  await database.exec("DISCARD ALL");
}
