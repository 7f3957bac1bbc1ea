import net from "node:net";
import tls from "node:tls";
import { setTimeout as sleep } from "node:timers/promises";

/** How long to wait for a cancelled statement or a ROLLBACK to end, in milliseconds. */
export const ENDING_MS = 800;
/** Interval of repeated cancel requests: one that arrives before the statement has begun has no effect. */
const REPEAT_MS = 100;

const CANCEL_REQUEST = 80_877_102;
const SSL_REQUEST = 80_877_103;

/** The fields of a `pg.Client` that describe its session. A wrapper or another client may have none of them. */
interface SessionOfClient {
  processID?: unknown;
  secretKey?: unknown;
  host?: unknown;
  port?: unknown;
  ssl?: boolean | tls.ConnectionOptions | undefined;
  sslNegotiation?: unknown;
  connection?: { stream?: unknown };
}

/** A cancel request and the address to send it to. */
interface CancelTarget {
  address: net.NetConnectOpts;
  /** `undefined` without TLS. */
  ssl: { options: tls.ConnectionOptions; isDirect: boolean } | undefined;
  request: Buffer;
}

/**
 * Whether a client's running statement can be cancelled on the server. It cannot in an embedded Postgres, nor if a wrapper
 * hides the session's key.
 */
export function canCancel(client: object): boolean {
  return targetOf(client) !== undefined;
}

/**
 * Cancels a client's running statement with the protocol's cancel request, which PgBouncer forwards.
 * `pg_cancel_backend` would be wrong behind a pooler: it cancels whatever statement the session runs by then. Returns when
 * the statement has ended and the server has closed the request's connection, so that the request cannot hit a later
 * statement; or after {@link ENDING_MS}, if the server does not answer. A statement that cannot be cancelled is only waited for.
 *
 * @see https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-CANCELING-REQUESTS
 */
export async function cancelStatement(client: object, statement: Promise<unknown>): Promise<void> {
  const target = targetOf(client);
  const stop = new AbortController();
  const timer = setTimeout(() => {
    stop.abort();
  }, ENDING_MS);
  const ended = statement.then(always, always);
  try {
    let hasEnded = false;
    while (!hasEnded && !isAborted(stop.signal)) {
      if (target) await sendCancelRequest(target, stop.signal);
      const wait = sleep(REPEAT_MS, false, { signal: stop.signal }).catch(() => false);
      hasEnded = await Promise.race([ended, wait]);
    }
  } finally {
    clearTimeout(timer);
    stop.abort();
  }
}

/** A function, since TypeScript assumes that `signal.aborted` stays the same across an `await`. */
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
  // Connect to the address of the session's own server: a host name can resolve to several.
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

/** Resolves when the server has closed the connection. Never rejects: the caller reports its own timeout. */
function sendCancelRequest({ address, ssl, request }: CancelTarget, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const socket = net.connect(address);
    const close = (): void => {
      socket.destroy();
    };
    const secure = (options: tls.ConnectionOptions): void => {
      const secured = tls.connect({ ...options, socket }, () => {
        secured.write(request); // not `end`: PgBouncer drops the request of a client that has disconnected
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
        const sslRequest = Buffer.alloc(8);
        sslRequest.writeInt32BE(8, 0);
        sslRequest.writeInt32BE(SSL_REQUEST, 4);
        socket.write(sslRequest);
        socket.once("data", (answer) => {
          if (answer.toString() === "S") secure(ssl.options);
          else close();
        });
      }
    });
  });
}

function noop(): void {
  // The caller handles "close".
}
