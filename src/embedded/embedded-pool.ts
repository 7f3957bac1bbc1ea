/**
 * An embedded Postgres with pgvector, for examples, tests and small hosts: nothing to install but two packages,
 * `@electric-sql/pglite` and `@electric-sql/pglite-pgvector`.
 *
 * @module
 */
import { PGlite } from "@electric-sql/pglite";
import { createPgConfig } from "@electric-sql/pglite/node-postgres";
import { vector } from "@electric-sql/pglite-pgvector";
import pg from "pg";
import { lockDirectory } from "./directory-lock.js";
import { InvalidArgumentError } from "../errors.js";

/**
 * A `pg.Pool` on a Postgres that runs inside this process. It starts at the first query, which takes some
 * seconds. The pool has one client, as the database has one session: a second caller waits for the first.
 *
 * @param dataDir - a folder to keep the data in; made where it is missing, and used by one pool of one process at a time: a
 * file beside it, `<dataDir>.lock`, says by whom. `end()` gives it back; one whose process is gone is taken over.
 * Default: in memory, gone with the process.
 * @throws {@link InvalidArgumentError} for what is no path
 * @returns a pool whose `end()` also closes the database
 * @throws {@link DatabaseError} with the code DIRECTORY_IN_USE when another process, or another pool, has the folder open
 */
export function embeddedPool(dataDir?: string): pg.Pool {
  if (dataDir !== undefined && typeof dataDir !== "string") {
    throw new InvalidArgumentError("dataDir", 'must be a string: embeddedPool("data")');
  }
  return new EmbeddedPool(dataDir);
}

class EmbeddedPool extends pg.Pool {
  readonly #database: PGlite;
  readonly #unlock: (() => void) | undefined;

  constructor(dataDir: string | undefined) {
    const unlock = isFolder(dataDir) ? lockDirectory(dataDir.replace(/^file:\/\//, "")) : undefined;
    const database = new PGlite({ ...(dataDir === undefined ? {} : { dataDir }), extensions: { vector } });
    // A database that does not start says so at each connection; this promise is not the place.
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

/** PGlite takes a path, and addresses of its own kinds: `memory://` is no folder. */
function isFolder(dataDir: string | undefined): dataDir is string {
  return dataDir !== undefined && (dataDir.startsWith("file://") || !/^[a-z]+:\/\//.test(dataDir));
}

/**
 * `pg` ends a client after an error, and PGlite's connection object does not survive that; so each client gets a
 * connection of its own. The session behind it is the same: what the last client left in it is cleared first.
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
