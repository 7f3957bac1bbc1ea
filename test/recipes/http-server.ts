/** The recipe's handler, mounted in Hono and Express on local ports. */
import { request as startRequest, type IncomingMessage, type ClientRequest, type Server } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import { createServer } from "node:http";
import { onTestFinished } from "vitest";
import { expressApp } from "../../examples/http/express.js";
import { SIMILARITY_PATH } from "../../examples/http/handler.js";
import { honoApp } from "../../examples/http/hono.js";

/** The mounted handler. */
export type Handler = (request: Request) => Promise<Response>;

/** How it is mounted, for `describe.each`. */
export const MOUNTS: [name: string, mount: (handler: Handler) => Server][] = [
  ["Hono", (handler) => createAdaptorServer(honoApp(SIMILARITY_PATH, handler)) as Server],
  ["Express", (handler) => createServer(expressApp(SIMILARITY_PATH, handler))],
];

/** Listens until the test ends. @returns the address of the handler */
export async function serve(server: Server): Promise<string> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}${SIMILARITY_PATH}`;
}

/** Sends a JSON body with its content type. */
export function ask(url: string, body: unknown, init: RequestInit = {}): Promise<Response> {
  const headers = { "content-type": "application/json", ...(init.headers as Record<string, string>) };
  return fetch(url, { method: "POST", body: JSON.stringify(body), ...init, headers });
}

/** Starts a request whose body the test writes in parts. */
export function beginRequest(url: string, headers: Record<string, string> = {}): ClientRequest {
  const request = startRequest(url, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
  });
  request.on("error", () => undefined); // the server may close the connection of a request that it refuses
  request.flushHeaders();
  return request;
}

/** Status and parsed body of the answer to a request. */
export async function answerTo(request: ClientRequest): Promise<{ status: number; body: unknown }> {
  const [response] = (await once(request, "response")) as [IncomingMessage];
  const parts: Buffer[] = [];
  for await (const part of response as AsyncIterable<Buffer>) parts.push(part);
  return { status: response.statusCode ?? 0, body: JSON.parse(Buffer.concat(parts).toString("utf8")) };
}
