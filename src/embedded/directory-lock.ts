import { randomUUID } from "node:crypto";
import {
  linkSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { DatabaseError } from "../errors.js";

/** Who holds a folder. */
interface Holder {
  /** Of one lock: two in one process are not the same. */
  id: string;
  processId: number;
  host: string;
  /** When the process began, where the system says; so that another one which got its number is not taken for it. */
  processStart: string | undefined;
}

/** Of the environment nothing is read. */
const thisProcess = globalThis.process;

/** How often a holder says that it is still there, for those who cannot look for its process: on another host. */
const HEARTBEAT_MS = 5_000;
/** A holder on another host that has not been heard of for so long is gone. */
const SILENCE_MS = 60_000;
/** Of two that find a lock of a dead process at once, one may take the other's for that. */
const MAX_ATTEMPTS = 5;

const HELD = Symbol.for("langchain-training-index.directories");
const shared = globalThis as unknown as Partial<Record<symbol, Set<string>>>;
/** Locks of this process, whichever build of this module took them. */
const held = (shared[HELD] ??= new Set());

/**
 * Takes a folder for one user at a time. A lock whose process is gone, however it ended, is taken over.
 *
 * @param directory - made where it is missing
 * @returns gives it back; more than once does no harm
 * @throws {@link DatabaseError} with the code DIRECTORY_IN_USE that says who has it
 */
export function lockDirectory(directory: string): () => void {
  mkdirSync(directory, { recursive: true });
  // Beside it: the folder itself belongs to the database, which makes it from nothing.
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
      // The folder is gone, and with it what the lock was for.
    }
  }, HEARTBEAT_MS);
  heartbeat.unref();
  return () => {
    if (!held.delete(holder.id)) return;
    clearInterval(heartbeat);
    if (read(path)?.id === holder.id) rmSync(path, { force: true });
  };
}

/** A link is made whole or not at all, and never over another file: nobody ever reads half of a lock. */
function take(path: string, draft: string, directory: string): void {
  for (let attempt = 1; ; attempt++) {
    try {
      linkSync(draft, path);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      const holder = read(path);
      if ((holder && isThere(holder, path)) || attempt === MAX_ATTEMPTS) throw inUse(directory, holder);
      rmSync(path, { force: true });
    }
  }
}

function read(path: string): Holder | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Holder;
  } catch {
    return undefined; // it has just been given back, or is no lock of ours
  }
}

function isThere({ id, processId, host, processStart: start }: Holder, path: string): boolean {
  if (host !== hostname())
    return Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0) < SILENCE_MS;
  // In a container each process may have the number that the one before it had.
  if (processId === thisProcess.pid) return held.has(id);
  try {
    thisProcess.kill(processId, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false; // else it is another user's
  }
  const current = processStart(processId);
  return start === undefined || current === undefined || start === current;
}

/** @see https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html field 22; the name in field 2 may hold anything */
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
    `The folder ${JSON.stringify(directory)} of the embedded database is open in ${who}: two at once would damage it. End that ` +
      "one first, or take a Postgres server, which many processes can use",
    { code: "DIRECTORY_IN_USE", retryable: true },
  );
}
