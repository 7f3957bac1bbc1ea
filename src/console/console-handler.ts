import { namesOfProperties } from "../calls/checks.js";
import type { Metadata } from "../index.js";
import { limitTime } from "../http/answering.js";
import { similarityHandler } from "../http/handler.js";
import { HttpError, checkMethod, objectWithKeys, readBody } from "../http/request.js";
import { NOT_CACHED, respond } from "../http/response.js";
import { readTraining, removeTraining, storeTraining, type Edit } from "./editing.js";
import type { Guard } from "./guard.js";
import { OpenIndex, type Opened } from "./open-index.js";
import type { ConsolePage } from "./page.js";
import { failureOf, Refusal } from "./refusal.js";
import { firstLook } from "./first-look.js";
import { listTrainings } from "./trainings-page.js";

/** What a console shows, and how. */
export interface ConsoleOptions {
  /** Opens the index. Called again after a failure. */
  open: () => Promise<Opened>;
  /** The schema of the index, for the remedies that the page shows. */
  schema: string;
  /** Whether trainings can be created, edited and deleted. */
  writable: boolean;
  page: ConsolePage;
  /** Questions to begin with. Default: made of the first trainings. */
  questions?: readonly string[] | undefined;
  /** Called with the errors that the page shows only the kind of. */
  onError?: ((error: unknown) => void) | undefined;
}

/** A request whose body has been read. */
interface Call {
  body: Record<string, unknown>;
  request: Request;
  signal: AbortSignal;
}

type Answer = (opened: Opened, call: Call) => Promise<object | Response>;

/** Trainings of a page of the list. */
const PAGE_SIZE = 25;
/** The largest body: a training of some thousand pages. */
const MAX_BODY_BYTES = 8_388_608;
const TIMEOUT_MS = 120_000;
const MAX_K = 50;
const SEARCH = { matches: true, neighbors: { before: 1, after: 1 }, perTraining: 3 } as const;

const EDIT_KEYS = namesOfProperties<Edit>({ id: true, text: true, metadata: true, version: true });

/** The page, and behind it the calls that it makes, all of them `POST` with a JSON body. */
export class ConsoleHandler {
  readonly #options: ConsoleOptions;
  readonly #guard: Guard;
  readonly #index: OpenIndex;

  constructor(options: ConsoleOptions, guard: Guard) {
    this.#options = options;
    this.#guard = guard;
    this.#index = new OpenIndex(options.open);
  }

  /** Answers a request. Never rejects. */
  async answer(request: Request): Promise<Response> {
    const limit = limitTime(request.signal, TIMEOUT_MS);
    try {
      this.#guard.checkHost(request);
      const { pathname } = new URL(request.url);
      if (pathname === "/") return this.#page(request);
      const answer = this.#answers[pathname];
      if (!answer) throw new HttpError(404, "There is nothing at this path");
      this.#guard.checkCall(request);
      checkMethod(request, "POST");
      return await this.#call(answer, request, limit.signal);
    } catch (error) {
      const { code, status } = failureOf(error);
      if (status >= 500 && !request.signal.aborted) this.#options.onError?.(error);
      return respond(status, { code, schema: this.#options.schema }, NOT_CACHED);
    } finally {
      limit.clear();
    }
  }

  #page(request: Request): Response {
    checkMethod(request, "GET", "HEAD");
    const { html, policy } = this.#options.page;
    return new Response(html, {
      headers: {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": policy,
        "Cross-Origin-Opener-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        ...NOT_CACHED,
      },
    });
  }

  async #call(answer: Answer, request: Request, signal: AbortSignal): Promise<Response> {
    // The search reads the body itself.
    const isSearch = answer === this.#search;
    const body = isSearch ? {} : await readBody(request, MAX_BODY_BYTES, signal);
    const started = performance.now();
    const call = { body: body as Record<string, unknown>, request, signal };
    const result = await this.#index.with((opened) => answer(opened, call));
    const response = result instanceof Response ? result : respond(200, result, NOT_CACHED);
    response.headers.set("Server-Timing", `total;dur=${(performance.now() - started).toFixed(1)}`);
    return response;
  }

  readonly #overview: Answer = async ({ index, idType }, { signal }) => {
    const status = await index.status({ signal });
    const { questions, trainings } = await firstLook(index, signal);
    const { writable, questions: given } = this.#options;
    return { status, idType, writable, questions: given ?? questions, trainings };
  };

  readonly #search: Answer = async ({ index }, { request }) => {
    const failures: unknown[] = [];
    const search = similarityHandler(index, {
      modes: ["hybrid", "vector", "text"],
      strategies: ["trainings"],
      maxK: MAX_K,
      timeoutMs: TIMEOUT_MS,
      search: SEARCH,
      onError: (error) => failures.push(error),
    });
    const response = await search(request);
    if (failures.length > 0) throw failures[0];
    if (response.ok) return response;
    throw response.status === 400
      ? new Refusal("QUESTION_INVALID")
      : new HttpError(response.status, "The search was refused");
  };

  readonly #list: Answer = (opened, { body, signal }) => {
    const { prefix = "", after } = objectWithKeys(body, ["prefix", "after"]);
    const request = { prefix: asText(prefix), after: after === undefined ? after : asText(after), limit: PAGE_SIZE };
    return listTrainings(opened, request, signal);
  };

  readonly #read: Answer = (opened, { body, signal }) =>
    readTraining(opened, asText(objectWithKeys(body, ["id"])["id"]), signal);

  readonly #store: Answer = async (opened, { body, signal }) => {
    this.#requireWritable();
    const { id, text, metadata, version } = objectWithKeys(body, EDIT_KEYS);
    return storeTraining(
      opened,
      {
        id: asText(id),
        text: asText(text),
        metadata: metadata as Metadata, // which the index checks
        version: version === undefined ? undefined : asText(version),
      },
      signal,
    );
  };

  readonly #remove: Answer = (opened, { body, signal }) => {
    this.#requireWritable();
    const { id, version } = objectWithKeys(body, ["id", "version"]);
    return removeTraining(opened, { id: asText(id), version: asText(version) }, signal);
  };

  readonly #answers: Readonly<Record<string, Answer>> = {
    "/overview": this.#overview,
    "/search": this.#search,
    "/trainings": this.#list,
    "/training": this.#read,
    "/store": this.#store,
    "/delete": this.#remove,
  };

  #requireWritable(): void {
    if (!this.#options.writable) throw new Refusal("READ_ONLY");
  }
}

function asText(value: unknown): string {
  if (typeof value !== "string") throw new Refusal("BAD_REQUEST");
  return value;
}
