import net from "node:net";
import tls from "node:tls";
import { setTimeout as sleep } from "node:timers/promises";

/** How long a statement that was given up is waited for until it has ended, in milliseconds. */
export const ENDING_MS = 800;
/** A request that comes before the statement has begun does nothing, so it is made again. */
const REPEAT_MS = 100;

const CANCEL_REQUEST = 80_877_102;
const SSL_REQUEST = 80_877_103;

/** What a `pg.Client` knows of its session. What stands in its place may have none of it. */
interface SessionOfClient {
  processID?: unknown;
  secretKey?: unknown;
  host?: unknown;
  port?: unknown;
  ssl?: boolean | tls.ConnectionOptions | undefined;
  sslNegotiation?: unknown;
  connection?: { stream?: unknown };
}

/** Where a request to cancel goes, and what is in it. */
interface CancelTarget {
  address: net.NetConnectOpts;
  /** `undefined` without TLS. */
  ssl: { options: tls.ConnectionOptions; isDirect: boolean } | undefined;
  request: Buffer;
}

/**
 * Whether the statement that runs on a client can be cancelled on the server: not in an embedded Postgres, and not where a
 * wrapper does not show the session's key.
 */
export function canCancel(client: object): boolean {
  return targetOf(client) !== undefined;
}

/**
 * Cancels the statement that runs on a client, by the protocol's own request, which also PgBouncer passes on; never by
 * `pg_cancel_backend`, which behind a pooler meets whoever has the session by then. Returns when the statement has ended
 * and the server has closed the connection of the request, so that it cannot meet a later statement; or after
 * {@link ENDING_MS}, when the server is silent.
 *
 * @see https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-CANCELING-REQUESTS
 */
export async function cancelStatement(client: object, statement: Promise<unknown>): Promise<void> {
  const target = targetOf(client);
  if (!target) return;
  const over = new AbortController();
  const timer = setTimeout(() => {
    over.abort();
  }, ENDING_MS);
  const ended = statement.then(always, always);
  try {
    let hasEnded = false;
    while (!hasEnded && !isAborted(over.signal)) {
      await sendCancelRequest(target, over.signal);
      const wait = sleep(REPEAT_MS, false, { signal: over.signal }).catch(() => false);
      hasEnded = await Promise.race([ended, wait]);
    }
  } finally {
    clearTimeout(timer);
    over.abort();
  }
}

/** Across an `await` it changes, which the compiler does not know. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}

function always(): boolean {
  return true;
}

function targetOf(client: object): CancelTarget | undefined {
  const { processID, secretKey, host, port, ssl, sslNegotiation, connection } = client as SessionOfClient;
  const stream = connection?.stream;
  if (!(stream instanceof net.Socket) || typeof processID !== "number" || typeof secretKey !== "number")
    return undefined;
  if (typeof host !== "string" || typeof port !== "number") return undefined;
  const request = Buffer.alloc(16);
  request.writeInt32BE(16, 0);
  request.writeInt32BE(CANCEL_REQUEST, 4);
  request.writeInt32BE(processID, 8);
  request.writeInt32BE(secretKey, 12);
  // The very server that has the session: a host name can stand for several.
  const address = host.startsWith("/")
    ? { path: `${host}/.s.PGSQL.${port}` }
    : { host: stream.remoteAddress ?? host, port: stream.remotePort ?? port };
  const options = {
    host,
    ...(net.isIP(host) === 0 ? { servername: host } : {}),
    ...(typeof ssl === "object" ? ssl : {}),
    ...(sslNegotiation === "direct" ? { ALPNProtocols: ["postgresql"] } : {}),
  };
  return { address, ssl: ssl ? { options, isDirect: sslNegotiation === "direct" } : undefined, request };
}

/** Settles when the server has closed the connection. Never rejects: who gives up a statement has no use for it. */
function sendCancelRequest({ address, ssl, request }: CancelTarget, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const socket = net.connect(address);
    const close = (): void => {
      socket.destroy();
    };
    const secure = (options: tls.ConnectionOptions): void => {
      const secured = tls.connect({ ...options, socket }, () => {
        secured.write(request); // not `end`: PgBouncer drops the request of a client that has gone
      });
      secured.on("error", close);
      secured.resume();
    };
    socket.on("error", noop); // "close" follows
    socket.on("close", () => {
      signal.removeEventListener("abort", close);
      resolve();
    });
    signal.addEventListener("abort", close);
    socket.on("connect", () => {
      if (!ssl) {
        socket.write(request);
        socket.resume();
      } else if (ssl.isDirect) {
        secure(ssl.options);
      } else {
        const ask = Buffer.alloc(8);
        ask.writeInt32BE(8, 0);
        ask.writeInt32BE(SSL_REQUEST, 4);
        socket.write(ask);
        socket.once("data", (answer) => {
          if (answer.toString() === "S") secure(ssl.options);
          else close();
        });
      }
    });
  });
}

function noop(): void {
  // What became of it is for others to tell.
}
