/** The recipe's handlers, served on local ports. */
import { request as startRequest, type IncomingMessage, type ClientRequest } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";
import { PATHS, type OraculoHandlers } from "../../examples/http/handlers.js";
import { SERVERS } from "../../examples/http/servers.js";

/** The frameworks, for `describe.each`. */
export const FRAMEWORKS = Object.keys(SERVERS);

/** Serves handlers until the test ends. @returns the address, without a path */
export async function serve(handlers: Partial<OraculoHandlers>, framework = "hono"): Promise<string> {
  const missing = (): Promise<Response> => Promise.resolve(new Response(null, { status: 501 }));
  const all = { similarity: missing, trainings: missing, health: missing, ...handlers };
  const server = await SERVERS[framework]?.(all);
  if (!server) throw new Error(`there is no framework ${framework}`);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Searches with a JSON body and its content type. */
export function ask(address: string, body: unknown, init: RequestInit = {}): Promise<Response> {
  const headers = { "content-type": "application/json", ...(init.headers as Record<string, string>) };
  return fetch(address + PATHS.similarity, { method: "POST", body: JSON.stringify(body), ...init, headers });
}

/** Starts a search whose body the test writes in parts. */
export function beginRequest(address: string, headers: Record<string, string> = {}): ClientRequest {
  const request = startRequest(address + PATHS.similarity, {
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
