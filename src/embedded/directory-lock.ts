import { randomUUID } from "node:crypto";
import { linkSync, mkdirSync, readFileSync, realpathSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { DatabaseError } from "../errors.js";

/** The content of a lock file: the holder of the lock. */
interface Holder {
  /** Unique per lock: one process can hold several. */
  id: string;
  processId: number;
  host: string;
  /** Start time of the process, if the system reports it. Tells it from a later process with the same id. */
  processStart: string | undefined;
}

/** Lint rules forbid the global `process` in src, since the library must not read environment variables. */
const thisProcess = globalThis.process;

/** How often a holder touches its lock file, for processes on other hosts, which cannot look up its process. */
const HEARTBEAT_MS = 5_000;
/** After this long without a heartbeat, a holder on another host counts as dead. */
const SILENCE_MS = 60_000;
/** Bounds the attempts: of two processes that find a dead lock together, one may remove the other's new lock. */
const MAX_ATTEMPTS = 5;

const HELD = Symbol.for("langchain-training-index.directories");
const shared = globalThis as unknown as Partial<Record<symbol, Set<string>>>;
/** The ids of this process's locks, shared by the ESM and CJS builds of this module. */
const held = (shared[HELD] ??= new Set());

/**
 * Locks a folder for one user at a time. The lock of a process that no longer exists is taken over.
 *
 * @param directory - created if it does not exist
 * @returns a function that releases the lock; a repeat has no effect
 * @throws {@link DatabaseError} with the code DIRECTORY_IN_USE and the current holder
 */
export function lockDirectory(directory: string): () => void {
  mkdirSync(directory, { recursive: true });
  // Beside the folder, whose content belongs to the database.
  const path = `${realpathSync(directory)}.lock`;
  const holder: Holder = {
    id: randomUUID(),
    processId: thisProcess.pid,
    host: hostname(),
    processStart: processStart(thisProcess.pid),
  };
  const draft = `${path}.${holder.id}`;
  writeFileSync(draft, JSON.stringify(holder));
  try {
    take(path, draft, directory);
  } finally {
    rmSync(draft, { force: true });
  }
  held.add(holder.id);
  const heartbeat = setInterval(() => {
    const now = new Date();
    try {
      utimesSync(path, now, now);
    } catch {
      // The lock file was removed with its folder.
    }
  }, HEARTBEAT_MS);
  heartbeat.unref();
  return () => {
    if (!held.delete(holder.id)) return;
    clearInterval(heartbeat);
    if (read(path)?.id === holder.id) rmSync(path, { force: true });
  };
}

/** Creates the lock file as a link to a complete draft: atomic, and never over an existing file. */
function take(path: string, draft: string, directory: string): void {
  for (let attempt = 1; ; attempt++) {
    try {
      linkSync(draft, path);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      const holder = read(path);
      if ((holder && isAlive(holder, path)) || attempt === MAX_ATTEMPTS) throw inUse(directory, holder);
      rmSync(path, { force: true });
    }
  }
}

function read(path: string): Holder | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Holder;
  } catch {
    return undefined; // just released, or not a lock file of this library
  }
}

function isAlive({ id, processId, host, processStart: start }: Holder, path: string): boolean {
  if (host !== hostname()) return Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0) < SILENCE_MS;
  // In a container, successive processes may have the same id.
  if (processId === thisProcess.pid) return held.has(id);
  try {
    thisProcess.kill(processId, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false; // otherwise the process belongs to another user
  }
  const current = processStart(processId);
  return start === undefined || current === undefined || start === current;
}

/** @see https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html field 22; the name in field 2 may contain `) ` itself */
function processStart(processId: number): string | undefined {
  try {
    const fields = readFileSync(`/proc/${processId}/stat`, "utf8").split(") ").at(-1)?.split(" ");
    return fields?.[19];
  } catch {
    return undefined;
  }
}

function inUse(directory: string, holder: Holder | undefined): DatabaseError {
  const who =
    holder === undefined
      ? "another process"
      : holder.processId === thisProcess.pid && holder.host === hostname()
        ? "another pool of this process"
        : `process ${holder.processId} on ${holder.host}`;
  return new DatabaseError(
    `The folder ${JSON.stringify(directory)} of the embedded database is open in ${who}: a second pool would damage it. ` +
      "Call end() on that pool first, or use a Postgres server, which many processes can share",
    { code: "DIRECTORY_IN_USE", retryable: true },
  );
}
