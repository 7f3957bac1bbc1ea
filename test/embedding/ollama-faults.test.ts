import { describe, expect, it, vi } from "vitest";
import { Embedder } from "../../src/embedding/embedder.js";
import { ollamaEmbeddings, type ProfiledOllamaEmbeddings } from "../../src/embedding/ollama.js";
import { AbortError, EmbeddingError, InvalidArgumentError } from "../../src/errors.js";
import { failureIn, openOllama, startOllama, summaryOf } from "../support/ollama.js";
import { startOllamaServer, type OllamaServerOptions } from "../support/ollama-server.js";
import type { Fault } from "../support/ollama-faults.js";

const MODEL = '"mxbai-embed-large"';
/** How much longer than its waits and time-outs a call may take on a busy machine. */
const SLACK_MS = 1_500;
/** Time-outs that a call is meant to exceed. */
const SHORT = { requestTimeoutMs: 150, loadTimeoutMs: 150 };
/** More than five words: too long for a server with a window of 10 tokens. */
const LONG = "um texto de mais de cinco palavras";

const texts = (count: number): string[] => Array.from({ length: count }, (_, index) => `texto ${index}`);

/** Transient faults, and the options needed to detect them quickly. */
const PASSING: [string, Fault, object?][] = [
  ["the queue is full", { kind: "busy" }],
  ["the model could not be loaded", { kind: "loadFailure" }],
  ["the runner has not come up", { kind: "notReady" }],
  ["the runner dies", { kind: "crash" }],
  ["the runner has died", { kind: "dead" }],
  ["the connection breaks", { kind: "reset" }],
  ["a proxy reaches no server", { kind: "proxy" }],
  ["a proxy times out", { kind: "proxy", status: 504 }],
  ["there were too many requests", { kind: "proxy", status: 429 }],
  ["the request took too long to arrive", { kind: "proxy", status: 408 }],
  ["nothing answers", { kind: "hang" }, SHORT],
  ["an answer stalls halfway", { kind: "stall" }, SHORT],
];

describe("a transient failure", () => {
  it.concurrent.for(PASSING)("is retried with success when %s once", async ([, fault, options], { onTestFinished }) => {
    const faults = [{ ...fault, times: 1 }];
    const { server, embeddings } = await openOllama({ faults }, options, onTestFinished);
    await expect(embeddings.embedDocuments(["frete"])).resolves.toHaveLength(1);
    expect(server.inputs()).toEqual([["frete"], ["frete"]]);
  });

  const lasting = PASSING.filter(([, { status }]) => status === undefined);
  it.concurrent.for(lasting)("is retryable for the caller when %s every time", async (given, { onTestFinished }) => {
    const [, fault, options] = given;
    const retryBudgetMs = 500;
    const limits = { retryBudgetMs, ...options };
    const { server, embeddings } = await openOllama({ faults: [fault] }, limits, onTestFinished);
    const { error, elapsedMs } = await failureIn(() => embeddings.embedQuery("frete"));
    expect(error).toMatchObject({ code: options ? "TIMEOUT" : "EMBEDDING_FAILED", retryable: true });
    expect((error as Error).constructor).toBe(EmbeddingError);
    expect((error as Error).message).toContain(MODEL);
    expect(elapsedMs).toBeLessThan(retryBudgetMs + SLACK_MS);
    // On a busy machine the first request can take up the budget.
    expect(server.requests.length > 1 || elapsedMs > retryBudgetMs).toBe(true);
    expect(server.requests.length).toBeLessThan(6);
  });

  it("is not retried with a budget of 0", async () => {
    const { server, embeddings } = await openOllama({ faults: [{ kind: "busy" }] }, { retryBudgetMs: 0 });
    await expect(embeddings.embedQuery("frete")).rejects.toMatchObject({ retryable: true });
    expect(server.requests).toHaveLength(1);
  });

  it("has its status in the message, and the server's words as the cause", async () => {
    const { embeddings } = await openOllama({ faults: [{ kind: "busy" }] }, { retryBudgetMs: 0 });
    const { error } = await failureIn(() => embeddings.embedQuery("frete"));
    expect(error).toMatchObject({
      message: `Ollama failed for model ${MODEL} (HTTP 503)`,
      cause: { message: "server busy, please try again.  maximum pending requests exceeded" },
    });
  });
});

describe("a permanent failure", () => {
  it.each<[string, OllamaServerOptions, string, string]>([
    ["a text is too long", { maxTokens: 10 }, LONG, "TEXT_TOO_LONG"],
    ["a vector is not a number", { faults: [{ kind: "nan" }] }, "frete", "EMBEDDING_INVALID"],
    ["a vector is missing", { faults: [{ kind: "short" }] }, "frete", "EMBEDDING_INVALID"],
    ["the model is missing", { models: ["bge-m3"] }, "frete", "MODEL_MISSING"],
    ["the request is bad", { faults: [proxy(400, "invalid options")] }, "frete", "EMBEDDING_FAILED"],
    ["the caller is not authorized", { faults: [proxy(401, "unauthorized")] }, "frete", "EMBEDDING_FAILED"],
    ["the request is too large", { faults: [proxy(413, "model too large")] }, "frete", "EMBEDDING_FAILED"],
    ["the address has no such API", { faults: [proxy(404, "not found")] }, "frete", "EMBEDDING_FAILED"],
  ])("makes one request when %s", async (_name, options, text, code) => {
    const { server, embeddings } = await openOllama(options);
    const { error } = await failureIn(() => embeddings.embedQuery(text));
    expect(error).toMatchObject({ code, retryable: false });
    expect((error as Error).constructor).toBe(EmbeddingError);
    expect(server.requests).toHaveLength(1);
  });

  it("makes one request for several texts if it concerns all of them", async () => {
    const { server, embeddings } = await openOllama({ faults: [proxy(400, "invalid options")] });
    await expect(embeddings.embedEach(texts(20))).rejects.toMatchObject({ code: "EMBEDDING_FAILED" });
    expect(server.requests).toHaveLength(1);
  });

  it("says how to get a missing model", async () => {
    const { embeddings } = await openOllama({ models: [] });
    await expect(embeddings.embedDocuments(["frete"])).rejects.toMatchObject({
      code: "MODEL_MISSING",
      message: `Ollama has no model ${MODEL}: run "ollama pull mxbai-embed-large" on its server`,
    });
  });

  it("ends the concurrent requests", async () => {
    const faults: Fault[] = [
      { kind: "hang", marker: "espera" },
      { ...proxy(400, "invalid options"), marker: "mau" },
    ];
    const { server, embeddings } = await openOllama({ faults }, { maxTextsPerRequest: 1 });
    await expect(embeddings.embedEach(["espera", "mau", "nunca"])).rejects.toMatchObject({
      code: "EMBEDDING_FAILED",
      retryable: false,
    });
    await vi.waitUntil(() => server.requests[0]?.wasCut);
    expect(server.inputs()).toEqual([["espera"], ["mau"]]);
  });

  it("is assumed if the caller's own fetch aborts", async () => {
    let requests = 0;
    const aborting = (): Promise<Response> => {
      requests += 1;
      return Promise.reject(new DOMException("aborted", "AbortError"));
    };
    const embeddings = ollamaEmbeddings({ fetch: aborting });
    await expect(embeddings.embedQuery("frete")).rejects.toMatchObject({ retryable: false });
    expect(requests).toBe(1);
  });
});

describe("a text that fails", () => {
  it.each([0, 13, 31])("is identified within its request if it is too long, at place %d", async (place) => {
    const { server, embeddings } = await openOllama({ maxTokens: 10 });
    const given = texts(32).with(place, LONG);
    const outcomes = await embeddings.embedEach(given);
    expect(summaryOf(outcomes)).toEqual(texts(32).fill("vector").with(place, "TEXT_TOO_LONG"));
    expect(server.requests.length).toBeLessThanOrEqual(1 + 2 * Math.log2(32));
    await expect(embeddings.embedDocuments(given)).rejects.toMatchObject({
      code: "TEXT_TOO_LONG",
      message: `A text is too long for model ${MODEL}: texts[${place}]`,
    });
  });

  it("is found in any request, even beside another one", async () => {
    const faults: Fault[] = [{ kind: "nan", marker: "sem vetor" }];
    const { embeddings } = await openOllama({ maxTokens: 10, faults }, { maxTextsPerRequest: 8 });
    const given = texts(30).with(3, "sem vetor").with(4, LONG).with(29, "sem vetor");
    const expected = texts(30)
      .fill("vector")
      .with(3, "EMBEDDING_INVALID")
      .with(4, "TEXT_TOO_LONG")
      .with(29, "EMBEDDING_INVALID");
    expect(summaryOf(await embeddings.embedEach(given))).toEqual(expected);
  });

  it("is reported for each text if all are too long", async () => {
    const { embeddings } = await openOllama({ maxTokens: 10 });
    expect(summaryOf(await embeddings.embedEach([LONG, LONG, LONG]))).toEqual(texts(3).fill("TEXT_TOO_LONG"));
  });

  it("is found within the retry budget if it crashes the runner", { timeout: 20_000 }, async () => {
    const retryBudgetMs = 2_500;
    const faults: Fault[] = [{ kind: "crash", marker: "veneno" }];
    const { embeddings } = await openOllama({ faults }, { retryBudgetMs });
    const start = performance.now();
    const outcomes = await embeddings.embedEach(texts(4).with(1, "veneno"));
    expect(performance.now() - start).toBeLessThan(retryBudgetMs + SLACK_MS);
    expect(summaryOf(outcomes)).toEqual(["vector", "EMBEDDING_FAILED", "vector", "vector"]);
    expect(outcomes[1]).toMatchObject({ retryable: true });
  });

  it("is named as the caller of the Embedder wants", async () => {
    const faults: Fault[] = [{ kind: "zeros", marker: "vazio" }];
    const { server, embeddings } = await openOllama({ maxTokens: 10, faults }, { dimensions: 16 });
    const embedder = new Embedder(embeddings, { profile: embeddings.profile, addsPrefixes: false });
    expect(await embedder.embedDocuments(["frete", LONG])).toEqual([expect.any(Float32Array), "too long"]);
    await expect(embedder.embedDocuments(["frete", "vazio"])).rejects.toMatchObject({
      code: "EMBEDDING_INVALID",
      message: expect.stringContaining("no direction (texts[1])") as string,
    });
    server.fault({ kind: "nan", marker: "estranho" });
    const nameOf = (index: number): string => `trecho ${index}`;
    await expect(embedder.embedDocuments(["frete", "estranho"], { nameOf })).rejects.toMatchObject({
      code: "EMBEDDING_INVALID",
      message: `Model ${MODEL} returned NaN or infinity for a text: trecho 1`,
    });
  });
});

describe("vectors that do not belong to their texts", () => {
  it.each<[Fault["kind"], string]>([
    ["short", "returned 3 vectors for 4 texts"],
    ["shuffled", "returned vectors in another order than the texts (ollama#6187): upgrade Ollama"],
  ])("are refused without a retry: %s", async (kind, what) => {
    const { server, embeddings } = await openOllama({ faults: [{ kind }] });
    await expect(embeddings.embedDocuments(texts(3))).rejects.toMatchObject({
      code: "EMBEDDING_INVALID",
      message: `Ollama's model mxbai-embed-large ${what}`,
      retryable: false,
    });
    expect(server.requests).toHaveLength(1);
  });

  it.each([
    ["not a list", '{"embeddings":"x"}'],
    ["missing", "{}"],
    ["null for each", '{"embeddings":[null,null,null]}'],
  ])("are refused by an Embedder when they are %s", async (_name, body) => {
    const faults: Fault[] = [{ kind: "proxy", status: 200, type: "application/json", body }];
    const { embeddings } = await openOllama({ faults });
    const embedder = new Embedder(embeddings, { profile: embeddings.profile, addsPrefixes: false });
    await expect(embedder.embedDocuments(texts(2))).rejects.toMatchObject({ code: "EMBEDDING_INVALID" });
  });
});

/** How soon an Ollama that is not running must be reported. */
const REPORTED_WITHIN_MS = 3_000;

/** The address of a server that has been stopped. */
async function deadAddress(): Promise<string> {
  const server = await startOllamaServer();
  await server.close();
  return server.url;
}

describe("an unreachable Ollama", () => {
  const calls: [string, (embeddings: ProfiledOllamaEmbeddings) => Promise<unknown>][] = [
    ["a question", (embeddings) => embeddings.embedQuery("frete")],
    ["documents", (embeddings) => embeddings.embedDocuments(texts(100))],
  ];

  it.concurrent.for(calls)("is reported within 3 s for %s, with its address and what to do", async ([, call]) => {
    const baseUrl = await deadAddress();
    const embeddings = ollamaEmbeddings({ baseUrl: baseUrl.replace("//", "//ana:segredo@") });
    const { error, elapsedMs } = await failureIn(() => call(embeddings));
    expect(elapsedMs).toBeLessThan(REPORTED_WITHIN_MS);
    expect(error).toMatchObject({
      code: "EMBEDDING_FAILED",
      retryable: true,
      message:
        `Ollama cannot be reached at ${baseUrl} (ECONNREFUSED): start it there with "ollama serve", and get the model ` +
        'with "ollama pull mxbai-embed-large"; or set baseUrl to where it runs',
    });
  });

  it.concurrent.for<[string, string, RegExp]>([
    ["an unknown host", "http://ollama.invalid:11434", /ollama\.invalid:11434 \((ENOTFOUND|EAI_AGAIN)\)/],
    ["a port that fetch refuses", "http://127.0.0.1:1", /127\.0\.0\.1:1 \(bad port\)/],
    ["a name with two addresses", "http://localhost:9", /localhost:9 \((ECONNREFUSED|bad port)\)/],
  ])("is reported within 3 s at %s", async ([, baseUrl, message]) => {
    const { error, elapsedMs } = await failureIn(() => ollamaEmbeddings({ baseUrl }).embedQuery("frete"));
    expect((error as Error).message).toMatch(message);
    expect(elapsedMs).toBeLessThan(REPORTED_WITHIN_MS);
  });

  it.concurrent("is reported to queued and later calls without another wait", async () => {
    const embeddings = ollamaEmbeddings({ baseUrl: await deadAddress() });
    const start = performance.now();
    await Promise.allSettled(Array.from({ length: 20 }, () => embeddings.embedDocuments(["frete"])));
    expect(performance.now() - start).toBeLessThan(REPORTED_WITHIN_MS);
    const { elapsedMs } = await failureIn(() => embeddings.embedQuery("frete"));
    expect(elapsedMs).toBeLessThan(500);
  });

  it.concurrent("may be away for a moment, for example during a restart", async ({ onTestFinished }) => {
    let isAway = true;
    setTimeout(() => (isAway = false), 800);
    const { server } = await openOllama({}, {}, onTestFinished);
    const away: typeof fetch = (input, init) =>
      isAway ? Promise.reject(Object.assign(new TypeError("fetch failed"), { cause: refused() })) : fetch(input, init);
    const retries: string[] = [];
    const embeddings = ollamaEmbeddings({ baseUrl: server.url, fetch: away, dimensions: 16 });
    const onRetry = ({ message }: Error): void => void retries.push(message);
    await expect(embeddings.embedEach(["frete"], { onRetry })).resolves.toHaveLength(1);
    expect(retries.length).toBeGreaterThanOrEqual(2);
    expect(retries[0]).toContain("ECONNREFUSED");
  });

  it.concurrent("is waited for as long as unreachableBudgetMs says", async () => {
    const baseUrl = await deadAddress();
    const embeddings = ollamaEmbeddings({ baseUrl, unreachableBudgetMs: 4_000 });
    const { elapsedMs } = await failureIn(() => embeddings.embedDocuments(["frete"]));
    expect(elapsedMs).toBeGreaterThan(1_500);
  });

  it("is not retried if its certificate is not trusted", async () => {
    let requests = 0;
    const refusing = (): Promise<Response> => {
      requests += 1;
      const cause = Object.assign(new Error("self-signed certificate"), {
        code: "DEPTH_ZERO_SELF_SIGNED_CERT",
      });
      return Promise.reject(new TypeError("fetch failed", { cause }));
    };
    const embeddings = ollamaEmbeddings({ baseUrl: "https://ollama", fetch: refusing });
    const { error } = await failureIn(() => embeddings.embedQuery("frete"));
    expect(error).toMatchObject({ code: "EMBEDDING_FAILED", retryable: false });
    expect((error as Error).message).toContain("https://ollama was refused (DEPTH_ZERO_SELF_SIGNED_CERT)");
    expect(requests).toBe(1);
  });

  const refused = (): Error => Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
});

describe("the time limit of a query", () => {
  it.concurrent.for<[string, OllamaServerOptions]>([
    ["the server never answers", { faults: [{ kind: "hang" }] }],
    ["the model is being loaded", { loadMs: 10_000 }],
  ])("is separate from that of documents, and the error says how to raise it, when %s", async (given, context) => {
    const limits = { queryTimeoutMs: 300, retryBudgetMs: 60_000 };
    const { server, embeddings } = await openOllama(given[1], limits, context.onTestFinished);
    const { error, elapsedMs } = await failureIn(() => embeddings.embedQuery("frete"));
    expect(error).toMatchObject({ code: "TIMEOUT", retryable: true });
    expect((error as Error).message).toMatch(/within (300|29\d) ms\. It may be loading the model: .*queryTimeoutMs/);
    expect(elapsedMs).toBeLessThan(300 + SLACK_MS);
    await vi.waitUntil(() => server.requests.every(({ wasCut }) => wasCut));
    server.heal();
  });

  it.concurrent("leaves a retry enough time to be answered: else the failure is reported at once", async (context) => {
    const options = { queryTimeoutMs: 350, retryBudgetMs: 60_000 }; // the first retry would start after 125 to 250 ms
    const faults: Fault[] = [{ kind: "proxy" }];
    const { server, embeddings } = await openOllama({ faults }, options, context.onTestFinished);
    const { error } = await failureIn(() => embeddings.embedQuery("frete"));
    expect(error).toMatchObject({ code: "EMBEDDING_FAILED", retryable: true });
    expect(server.requests).toHaveLength(1);
  });

  it.concurrent(
    "is 5 s by default, whatever the retry budget of documents",
    async ({ onTestFinished }) => {
      const faults: Fault[] = [{ kind: "proxy" }];
      const { embeddings } = await openOllama({ faults }, { retryBudgetMs: 120_000 }, onTestFinished);
      const { error, elapsedMs } = await failureIn(() => embeddings.embedQuery("frete"));
      expect(error).toMatchObject({ code: "EMBEDDING_FAILED", retryable: true });
      expect(elapsedMs).toBeLessThan(5_000 + SLACK_MS);
    },
    10_000,
  );
});

describe("the request time-outs", () => {
  it("do not let a call hang on a server that never answers", async () => {
    const { embeddings } = await openOllama({ faults: [{ kind: "hang" }] }, { ...SHORT, retryBudgetMs: 300 });
    const { error, elapsedMs } = await failureIn(() => embeddings.embedEach(texts(4)));
    expect(error).toMatchObject({
      code: "TIMEOUT",
      message: `Ollama did not answer for model ${MODEL} within 150 ms`,
      retryable: true,
    });
    expect((error as Error).constructor).toBe(EmbeddingError);
    expect(elapsedMs).toBeLessThan(300 + SLACK_MS);
  });

  it("give the first request time to load the model, and later ones less", async () => {
    const limits = { requestTimeoutMs: 150, loadTimeoutMs: 10_000, retryBudgetMs: 0 };
    const { server, embeddings } = await openOllama({ loadMs: 400 }, limits);
    await expect(embeddings.embedQuery("frete")).resolves.toHaveLength(16);
    server.fault({ kind: "slow", ms: 10_000 });
    const { error, elapsedMs } = await failureIn(() => embeddings.embedQuery("frete"));
    expect((error as Error).message).toContain("within 150 ms");
    expect(elapsedMs).toBeLessThan(150 + SLACK_MS);
  });

  it.each<Fault["kind"]>(["crash", "dead"])(
    "give time to load the model again after the runner died: %s",
    async (kind) => {
      const limits = { requestTimeoutMs: 150, loadTimeoutMs: 10_000, retryBudgetMs: 500 };
      const { server, embeddings } = await openOllama({ loadMs: 400 }, limits);
      await embeddings.embedQuery("frete");
      server.fault({ kind, times: 1 });
      await expect(embeddings.embedQuery("frete")).resolves.toHaveLength(16);
      expect(server.requests).toHaveLength(3);
    },
  );

  it("make texts that take too long together be sent separately", { timeout: 20_000 }, async () => {
    const limits = { requestTimeoutMs: 500, loadTimeoutMs: 500, retryBudgetMs: 5_000 };
    const { embeddings } = await openOllama({ faults: [{ kind: "slow", msPerText: 250 }] }, limits);
    await expect(embeddings.embedDocuments(texts(2))).resolves.toHaveLength(2);
  });
});

/** On a busy machine, tests of milliseconds may need more than one attempt. */
const BUSY = { retry: 2 };

describe("an abort", () => {
  const reason = new Error("basta");

  it("before a call prevents every request", async () => {
    const { server, embeddings } = await openOllama();
    const signal = AbortSignal.abort(reason);
    await expect(embeddings.embedEach(["frete"], { signal })).rejects.toThrow(new AbortError(reason));
    await expect(embeddings.embedQuery("frete", { signal })).rejects.toThrow(new AbortError(reason));
    expect(server.requests).toEqual([]);
  });

  it.each<[string, Fault]>([
    ["during a request", { kind: "hang" }],
    ["during an answer", { kind: "stall" }],
    ["during a slow request", { kind: "slow", ms: 10_000 }],
  ])("ends a call and its connections within 100 ms: %s", BUSY, async (_name, fault) => {
    const { server, embeddings } = await openOllama({ faults: [fault] }, { maxTextsPerRequest: 1 });
    const controller = new AbortController();
    const call = embeddings.embedEach(texts(5), { signal: controller.signal });
    const ended = failureIn(() => call);
    await vi.waitUntil(() => server.requests.length === 2);
    const start = performance.now();
    controller.abort(reason);
    const { error } = await ended;
    expect(performance.now() - start).toBeLessThan(100);
    expect(error).toBeInstanceOf(AbortError);
    expect((error as Error).cause).toBe(reason);
    await vi.waitUntil(() => server.requests.every(({ wasCut }) => wasCut));
    expect(server.requests).toHaveLength(2);
  });

  it("ends the wait before a retry within 100 ms", BUSY, async () => {
    const faults: Fault[] = [{ kind: "proxy" }];
    const { server, embeddings } = await openOllama({ faults }, { retryBudgetMs: 60_000 });
    const controller = new AbortController();
    const ended = failureIn(() => embeddings.embedQuery("frete", { signal: controller.signal }));
    await vi.waitUntil(() => server.requests.length === 4, { timeout: 10_000 }); // the fifth would follow more than a second later
    const start = performance.now();
    controller.abort("basta");
    const { error } = await ended;
    expect(performance.now() - start).toBeLessThan(100);
    expect(error).toMatchObject({ code: "ABORTED", cause: "basta" });
    expect(server.requests).toHaveLength(4);
  });
});

describe("what others can see", () => {
  it.each([
    ["a page", proxy(502, "<html>segredo</html>", "text/html")],
    ["truncated JSON", proxy(502, '{"error": "seg', "application/json")],
    ["JSON of another kind", proxy(502, "null", "application/json")],
    ["empty", proxy(502, "", "application/json")],
    ["a page with status 200", proxy(200, "<html>segredo</html>", "text/html")],
  ])("on the console is nothing, even if the answer is %s", async (_name, fault) => {
    const spies = (["log", "info", "warn", "error", "debug"] as const).map((name) =>
      vi.spyOn(console, name).mockImplementation(() => undefined),
    );
    const { embeddings } = await openOllama({ faults: [fault] }, { retryBudgetMs: 0 });
    await expect(embeddings.embedQuery("frete")).rejects.toMatchObject({ code: "EMBEDDING_FAILED" });
    for (const spy of spies) {
      expect(spy).not.toHaveBeenCalled();
      spy.mockRestore();
    }
  });

  it.each<[string, Fault | undefined]>([
    ["nothing listens", undefined],
    ["the connection breaks", { kind: "reset" }],
    ["nothing answers", { kind: "hang" }],
    ["the runner dies", { kind: "crash" }],
    ["a vector is not a number", { kind: "nan" }],
    ["a vector is missing", { kind: "short" }],
    ["the order is wrong", { kind: "shuffled" }],
    ["an answer repeats the text", proxy(400, "cannot embed segredo at 127.0.0.1")],
    ["an answer is a page", proxy(404, "<html>segredo at 127.0.0.1</html>", "text/html")],
  ])(
    "in a message includes no password, no text and no address of a server that answered, when %s",
    async (_name, fault) => {
      const server = await startOllama({ dimensions: 16, faults: fault ? [fault] : [] });
      if (!fault) await server.close();
      const baseUrl = `${server.url.replace("//", "//ana:segredo@")}/`;
      const embeddings = ollamaEmbeddings({ baseUrl, ...SHORT, retryBudgetMs: 0 });
      const { error } = await failureIn(() => embeddings.embedDocuments(["segredo", "segredo 2"]));
      expect(error).toBeInstanceOf(EmbeddingError);
      const { message, stack } = error as Error;
      for (const text of [message, String(error), JSON.stringify(error), stack?.split("\n    at ")[0]]) {
        expect(text).not.toMatch(fault ? /segredo|127\.0\.0\.1|ana|http:/ : /segredo|ana/);
      }
    },
  );

  it("in the message about an invalid address does not include the password", () => {
    const open = (): unknown => ollamaEmbeddings({ baseUrl: "http://ana:segredo@ollama:porta" });
    expect(open).toThrow(InvalidArgumentError);
    expect(open).not.toThrow(/segredo/);
  });
});

function proxy(status: number, body: string, type = "text/plain"): Fault {
  return { kind: "proxy", status, body, type };
}
