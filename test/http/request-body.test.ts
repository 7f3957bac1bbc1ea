/** A request body must be JSON in UTF-8, uncompressed, and arrive in time. */
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
  it("is never guessed: Latin-1 accents are refused, not searched for as other characters", async () => {
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
  ])("answers 415 if another charset is declared: %s", async (type) => {
    const index = new FakeIndex();
    const answer = await sendBytes(index, bytesOf(JSON_BODY, "utf8"), { "content-type": type });
    expect(answer).toMatchObject({ status: 415, body: { error: "The body must be JSON in UTF-8" } });
    expect(index.calls).toEqual([]);
  });

  it.each(["application/json; charset=UTF-8", 'application/json;charset="utf-8"', "application/json ; x=1"])(
    "is accepted if declared as UTF-8 or not declared: %s",
    async (type) => {
      const index = new FakeIndex();
      const answer = await sendBytes(index, bytesOf(JSON_BODY, "utf8"), { "content-type": type });
      expect(answer.status).toBe(200);
      expect(index.calls[0]?.query).toBe("Qual é o prazo de devolução?");
    },
  );

  it("may begin with the byte order mark that Windows programs write", async () => {
    const index = new FakeIndex();
    expect((await sendBytes(index, bytesOf(`\uFEFF${JSON_BODY}`, "utf8"))).status).toBe(200);
    expect(index.calls[0]?.query).toBe("Qual é o prazo de devolução?");
  });

  it.each(["gzip", "br", "GZIP"])("answers 415 if the body is compressed: %s", async (coding) => {
    const answer = await sendBytes(new FakeIndex(), bytesOf(JSON_BODY, "utf8"), {
      "content-encoding": coding,
    });
    expect(answer).toMatchObject({ status: 415, body: { error: "The body must not be compressed" } });
    expect(answer.headers.get("accept-encoding")).toBe("identity");
  });
});

describe("a body that cannot be read", () => {
  it("answers 504 if it arrives too slowly, and cancels it", async () => {
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

  it("answers 400 if it breaks off", async () => {
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

  it("answers 500 if the host has already read it, and tells the host why", async () => {
    const told: unknown[] = [];
    const request = new Request("http://localhost/x", jsonRequest(JSON_BODY));
    await request.json();
    const handler = similarityHandler(new FakeIndex(), { onError: (error) => void told.push(error) });
    const response = await handler(request);
    expect(response.status).toBe(500);
    expect(await response.json()).toEqual({ error: "The search failed" });
    expect(told).toEqual([new Error("The body was read before the handler: mount it before any body parser")]);
  });

  it("leaves no listener on the request's signal", async () => {
    const { signal } = new AbortController();
    const request = new Request("http://localhost/x", jsonRequest(JSON_BODY));
    Object.defineProperty(request, "signal", { value: signal }); // the Request constructor would make its own signal
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
