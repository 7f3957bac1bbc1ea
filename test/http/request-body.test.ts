/** What a body is made of: JSON in UTF-8, as it is, that comes in time. */
import { getEventListeners } from "node:events";
import { describe, expect, it } from "vitest";
import { similarityHandler } from "../../src/http/handler.js";
import { FakeIndex, jsonRequest, send, type Answer } from "../support/http.js";

const JSON_BODY = '{"query":"Qual é o prazo de devolução?"}';

/** Sends bytes with headers of the test's choice. */
function sendBytes(
  index: FakeIndex,
  body: Uint8Array<ArrayBuffer>,
  headers: Record<string, string> = {},
): Promise<Answer> {
  return send(index, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body,
  });
}

function bytesOf(text: string, encoding: BufferEncoding): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(Buffer.from(text, encoding));
}

describe("the encoding of a body", () => {
  it("is never guessed: accents of Latin-1 are refused, not searched for as something else", async () => {
    const index = new FakeIndex();
    const answer = await sendBytes(index, bytesOf(JSON_BODY, "latin1"));
    expect(answer).toMatchObject({ status: 400, body: { error: "The body is not UTF-8" } });
    expect(index.calls).toEqual([]);
  });

  it.each([
    "application/json; charset=iso-8859-1",
    'application/json; charset="windows-1252"',
    "application/json;charset=utf-16",
    "application/json; profile=x; CharSet=latin1",
  ])("answers 415 when it is said to be another: %s", async (type) => {
    const index = new FakeIndex();
    const answer = await sendBytes(index, bytesOf(JSON_BODY, "utf8"), { "content-type": type });
    expect(answer).toMatchObject({ status: 415, body: { error: "The body must be JSON in UTF-8" } });
    expect(index.calls).toEqual([]);
  });

  it.each(["application/json; charset=UTF-8", 'application/json;charset="utf-8"', "application/json ; x=1"])(
    "is served when it is said to be UTF-8, or nothing is said: %s",
    async (type) => {
      const index = new FakeIndex();
      const answer = await sendBytes(index, bytesOf(JSON_BODY, "utf8"), { "content-type": type });
      expect(answer.status).toBe(200);
      expect(index.calls[0]?.query).toBe("Qual é o prazo de devolução?");
    },
  );

  it("may begin with the mark that Windows programs write", async () => {
    const index = new FakeIndex();
    expect((await sendBytes(index, bytesOf(`\uFEFF${JSON_BODY}`, "utf8"))).status).toBe(200);
    expect(index.calls[0]?.query).toBe("Qual é o prazo de devolução?");
  });

  it.each(["gzip", "br", "GZIP"])("answers 415 when the body is compressed: %s", async (coding) => {
    const answer = await sendBytes(new FakeIndex(), bytesOf(JSON_BODY, "utf8"), {
      "content-encoding": coding,
    });
    expect(answer).toMatchObject({ status: 415, body: { error: "The body must not be compressed" } });
    expect(answer.headers.get("accept-encoding")).toBe("identity");
  });
});

describe("a body that does not come", () => {
  it("answers 504 when it comes too slowly, and lets go of it", async () => {
    let cancelled = false;
    const stream = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(bytesOf('{"query":', "utf8"));
      },
      cancel() {
        cancelled = true;
      },
    });
    const init = { ...jsonRequest(stream), duplex: "half" as const };
    const request = new Request("http://localhost/x", init);
    const response = await similarityHandler(new FakeIndex(), { timeoutMs: 30 })(request);
    expect(response.status).toBe(504);
    expect(cancelled).toBe(true);
  });

  it("answers 400 when it breaks off", async () => {
    const told: unknown[] = [];
    const stream = new ReadableStream<Uint8Array>({
      pull(controller) {
        controller.error(new Error("ECONNRESET"));
      },
    });
    const init = { ...jsonRequest(stream), duplex: "half" as const };
    const answer = await send(new FakeIndex(), init, { onError: (error) => void told.push(error) });
    expect(answer).toMatchObject({ status: 400, body: { error: "The body was interrupted" } });
    expect(told).toEqual([]);
  });

  it("answers 500 and says where to look when the host has read it before", async () => {
    const told: unknown[] = [];
    const request = new Request("http://localhost/x", jsonRequest(JSON_BODY));
    await request.json();
    const handler = similarityHandler(new FakeIndex(), { onError: (error) => void told.push(error) });
    const response = await handler(request);
    expect(response.status).toBe(500);
    expect(await response.json()).toEqual({ error: "The search failed" });
    expect(told).toEqual([
      new Error("The body was read before the handler: mount it before any body parser"),
    ]);
  });

  it("leaves no listener at the caller's signal", async () => {
    const { signal } = new AbortController();
    const request = new Request("http://localhost/x", jsonRequest(JSON_BODY));
    Object.defineProperty(request, "signal", { value: signal }); // Request itself makes another of the one it is given
    let listening = 0;
    const index = new FakeIndex(() => {
      listening = getEventListeners(signal, "abort").length;
      return [];
    });
    expect((await similarityHandler(index)(request)).status).toBe(200);
    expect(listening).toBe(1);
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });
});
