import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { ConsoleHandler, type ConsoleOptions } from "./console-handler.js";
import { Guard } from "./guard.js";

/** A console that listens. */
export interface RunningConsole {
  /** The address to open, with the token of this start behind the `#`, which browsers send to no server. */
  url: string;
  close: () => Promise<void>;
}

const ADDRESS = "127.0.0.1";

/**
 * Starts a console on this machine alone.
 *
 * @param port - 0 for any free one
 * @throws Node's error if the port is in use
 */
export async function startConsole(options: ConsoleOptions, port: number): Promise<RunningConsole> {
  const token = randomBytes(24).toString("base64url");
  const server = createServer();
  server.listen(port, ADDRESS);
  await once(server, "listening");
  const { port: listening } = server.address() as AddressInfo;
  const handler = new ConsoleHandler(options, new Guard(listening, token));
  server.on("request", (incoming, outgoing) => {
    void serve(handler, incoming, outgoing);
  });
  return { url: `http://${ADDRESS}:${listening}/#${token}`, close: () => close(server) };
}

async function close(server: Server): Promise<void> {
  const closed = once(server, "close");
  server.close();
  server.closeAllConnections();
  await closed;
}

/** Gives a request of Node to the handler, and its response back. The request is aborted when the browser has gone. */
async function serve(handler: ConsoleHandler, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  const gone = new AbortController();
  outgoing.on("close", () => {
    if (!outgoing.writableFinished) gone.abort();
  });
  outgoing.setHeader("X-Content-Type-Options", "nosniff");
  outgoing.setHeader("Cross-Origin-Resource-Policy", "same-origin");
  const request = toRequest(incoming, gone.signal);
  const response = request ? await handler.answer(request) : new Response(null, { status: 400 });
  outgoing.writeHead(response.status, Object.fromEntries(response.headers));
  outgoing.end(Buffer.from(await response.arrayBuffer()));
}

/** @returns `undefined` for a request that `Request` refuses, such as one of method TRACE */
function toRequest(incoming: IncomingMessage, signal: AbortSignal): Request | undefined {
  const { method = "GET", url = "/", headers } = incoming;
  const hasBody = method !== "GET" && method !== "HEAD";
  try {
    return new Request(new URL(url, `http://${ADDRESS}`), {
      method,
      headers: Object.entries(headers).flatMap(([name, value]) =>
        value === undefined ? [] : [[name, String(value)] satisfies [string, string]],
      ),
      ...(hasBody ? { body: Readable.toWeb(incoming) as ReadableStream, duplex: "half" as const } : {}),
      signal,
    });
  } catch {
    return undefined;
  }
}
