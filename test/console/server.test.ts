/** Who may ask the console, and what it answers before there is an index. */
import { request as httpRequest } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DatabaseError, SchemaError } from "../../src/errors.js";
import { readPage } from "../../src/console/page.js";
import { startConsole, type RunningConsole } from "../../src/console/server.js";
import { PAGE } from "./page-texts.js";
import { fileURLToPath } from "node:url";

const MAX_PAGE_BYTES = 100_000;

let running: RunningConsole;
let base: URL;
let token = "";
let opened = 0;
const errors: unknown[] = [];
let failure: Error = new DatabaseError("secret text", { code: "CONNECTION_FAILED", retryable: true });

beforeAll(async () => {
  running = await startConsole(
    {
      open: () => {
        opened += 1;
        return Promise.reject(failure);
      },
      schema: "loja",
      writable: false,
      page: await readPage(fileURLToPath(PAGE)),
      onError: (error) => errors.push(error),
    },
    0,
  );
  base = new URL(running.url);
  token = base.hash.slice(1);
});
afterAll(() => running.close());

interface Answer {
  status: number;
  headers: Record<string, unknown>;
  body: string;
}

/** A request with any headers, also those that `fetch` sets itself. */
function send(path: string, method: string, headers: Record<string, string>, body?: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest({ host: base.hostname, port: base.port, path, method, headers }, (response) => {
      let text = "";
      response.on("data", (data: Buffer) => (text += data.toString()));
      response.on("end", () => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text });
      });
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

const call = (headers: Record<string, string> = {}, path = "/overview", method = "POST"): Promise<Answer> =>
  send(
    path,
    method,
    { host: base.host, "content-type": "application/json", authorization: `Bearer ${token}`, ...headers },
    method === "POST" ? "{}" : undefined,
  );

describe("the console's page", () => {
  it("is one file of less than 100 KB, which needs no other request", async () => {
    const response = await fetch(running.url);
    const html = await response.text();
    expect(response.status).toBe(200);
    expect(Buffer.byteLength(html)).toBeLessThan(MAX_PAGE_BYTES);
    expect(html).not.toMatch(/<link[^>]*stylesheet|<script[^>]*src=|@import|\burl\(|<img/);
    expect(html).not.toMatch(/^\s*(?:import|export) /m);
    expect(html.length).toBeGreaterThan(40_000);
  });

  it("runs nothing but its own style and script, in no frame", async () => {
    const { headers } = await fetch(running.url);
    const policy = headers.get("content-security-policy") ?? "";
    expect(policy).toMatch(
      /default-src 'none'; script-src 'sha256-[^']+'; style-src 'sha256-[^']+'; connect-src 'self'/,
    );
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toContain("unsafe");
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    expect(headers.get("referrer-policy")).toBe("no-referrer");
    expect(headers.get("cache-control")).toBe("no-store");
  });

  it("does not contain the token", async () => {
    expect(token.length).toBeGreaterThan(30);
    expect(await (await fetch(running.url)).text()).not.toContain(token);
  });
});

describe("a call of the console", () => {
  it("is served to this machine's page with the token alone", async () => {
    const refused: [Record<string, string>, number, string][] = [
      [{ host: `evil.example:${base.port}` }, 403, "FOREIGN_REQUEST"],
      [{ host: "127.0.0.1" }, 403, "FOREIGN_REQUEST"],
      [{ origin: "http://evil.example" }, 403, "FOREIGN_REQUEST"],
      [{ origin: "null" }, 403, "FOREIGN_REQUEST"],
      [{ origin: `http://localhost:${base.port}` }, 403, "FOREIGN_REQUEST"],
      [{ "sec-fetch-site": "cross-site" }, 403, "FOREIGN_REQUEST"],
      [{ "sec-fetch-site": "same-site" }, 403, "FOREIGN_REQUEST"],
      [{ authorization: "Bearer wrong" }, 401, "TOKEN_MISSING"],
      [{ authorization: "" }, 401, "TOKEN_MISSING"],
    ];
    const before = opened;
    for (const [headers, status, code] of refused) {
      const answer = await call(headers);
      expect([headers, answer.status, JSON.parse(answer.body)]).toEqual([headers, status, { code, schema: "loja" }]);
    }
    expect(opened).toBe(before);
    const served = await call({ origin: base.origin, "sec-fetch-site": "same-origin" });
    expect([served.status, JSON.parse(served.body)]).toEqual([503, { code: "CONNECTION_FAILED", schema: "loja" }]);
    expect((await call({ host: `localhost:${base.port}` })).status).toBe(503);
  });

  it("says of a failure its code alone, and tells the rest to whoever runs the console", async () => {
    errors.length = 0;
    const answer = await call();
    expect(answer.body).not.toContain("secret");
    expect(errors).toEqual([failure]);
  });

  it("opens the index again after a failure", async () => {
    const before = opened;
    failure = new SchemaError("SCHEMA_MISSING", "has not been migrated");
    expect(JSON.parse((await call()).body)).toMatchObject({ code: "SCHEMA_MISSING" });
    await call();
    expect(opened).toBe(before + 2);
  });

  it("needs POST, JSON and a known path", async () => {
    expect((await call({}, "/overview", "GET")).status).toBe(405);
    expect((await call({ "content-type": "text/plain" })).status).toBe(415);
    expect((await call({}, "/nothing")).status).toBe(404);
    expect((await call({}, "/constructor")).status).toBe(404);
    expect((await send("/", "POST", { host: base.host })).status).toBe(405);
  });
});
