/** Helpers that send requests to a handler of trainings on a fake index. */
import type { Filter, StoredTraining, UpsertResult } from "langchain-training-index";
import { trainingsHandler, type HttpTrainings, type TrainingsHandlerOptions } from "../../src/http/handler.js";
import type { Answer } from "./http.js";
import { checkAnswer, TRAININGS } from "./openapi.js";

/** A stored training. */
export const stored: StoredTraining = {
  id: "frete",
  metadata: { grupo: "loja" },
  revision: 3,
  chunks: 1,
  updatedAt: new Date("2026-11-26T12:00:00.000Z"),
};

/** What storing it resolved to. */
export const upserted: UpsertResult = {
  id: "frete",
  status: "indexed",
  chunks: 1,
  embedded: 1,
  reused: 0,
  removed: 0,
};

/** One call of a method. */
export interface RecordedCall {
  method: string;
  /** What the index was narrowed by. */
  filters: Filter[];
  args: unknown[];
}

/** Records its calls and answers as the test wants. */
export class FakeTrainings implements HttpTrainings {
  readonly calls: RecordedCall[];
  readonly #filters: Filter[];
  readonly #answer: (call: RecordedCall) => unknown;

  constructor(answer: (call: RecordedCall) => unknown = () => undefined, filters: Filter[] = [], calls = []) {
    this.#answer = answer;
    this.#filters = filters;
    this.calls = calls;
  }

  withFilter(filter: Filter): FakeTrainings {
    return new FakeTrainings(this.#answer, [...this.#filters, filter], this.calls as never);
  }

  async get(...args: unknown[]): Promise<StoredTraining | undefined> {
    return this.#call("get", args, stored);
  }

  async *list(...args: unknown[]): AsyncIterable<StoredTraining> {
    yield* await this.#call("list", args, [stored]);
  }

  async upsertTraining(...args: unknown[]): Promise<UpsertResult> {
    return this.#call("upsertTraining", args, upserted);
  }

  async deleteTraining(...args: unknown[]): Promise<{ id: string; status: "deleted"; removed: number }> {
    return this.#call("deleteTraining", args, { id: "frete", status: "deleted", removed: 1 });
  }

  async #call<Result>(method: string, args: unknown[], usual: Result): Promise<Result> {
    const call = { method, filters: this.#filters, args };
    this.calls.push(call);
    return ((await this.#answer(call)) as Result | undefined) ?? usual;
  }
}

/** Ids of all kinds of characters that a path can have; it cannot have `.` and `..`. */
export const IDS_OF_ANY_CHARACTERS = [
  "a",
  "frete",
  "loja/7",
  "a//b",
  "/",
  "a b",
  "ação 🌻",
  "%2F",
  "100%",
  "?limit=1",
  "a#b",
  "..a",
  "a/../b",
  "+",
  "x\u0001",
  "é".repeat(512),
];

/** Whoever asks is served. */
export const everyone: TrainingsHandlerOptions = { authorize: () => true };

/** A request of JSON. */
export function put(body: unknown): RequestInit {
  return { method: "PUT", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
}

/** Sends a request to a handler on `index`, and checks the answer against `docs/openapi.yaml`. */
export async function send(
  index: HttpTrainings,
  path: string,
  init: RequestInit = {},
  options: TrainingsHandlerOptions = everyone,
): Promise<Answer> {
  return sendTo(trainingsHandler(index, options), path, init);
}

/** Sends a request to a handler, and checks the answer against `docs/openapi.yaml`. */
export async function sendTo(
  handler: (request: Request) => Promise<Response>,
  path: string,
  init: RequestInit = {},
): Promise<Answer> {
  const request = new Request(`http://localhost${path}`, init);
  const response = await handler(request);
  const text = await response.text();
  if (request.method !== "HEAD") checkTrainingsAnswer(request, response, text);
  return { status: response.status, body: text === "" ? undefined : JSON.parse(text), text, headers: response.headers };
}

/** Checks the answer to a request of trainings against `docs/openapi.yaml`. */
export function checkTrainingsAnswer({ method, url }: Request, response: Response, text: string): void {
  const isList = /^\/trainings\/?$/.test(new URL(url).pathname);
  const operation = { PUT: TRAININGS.put, DELETE: TRAININGS.delete }[method] ?? TRAININGS.get;
  checkAnswer(isList ? TRAININGS.list : response.status === 405 ? TRAININGS.get : operation, response, text);
}
