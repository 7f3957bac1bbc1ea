import { namesOfProperties } from "../calls/checks.js";
import { EmbeddingError, InvalidArgumentError } from "../errors.js";
import type { ListOptions, ReadOptions } from "../inspecting/read-options.js";
import type { StoredTraining } from "../inspecting/stored-training.js";
import type { DeleteResult, Filter, Training, TrainingId, UpsertResult } from "../types.js";
import { ID_TAKEN } from "../writing/scope.js";
import type { DeleteOptions, UpsertOptions } from "../writing/write-options.js";
import { answerRequest, requireIndex } from "./answering.js";
import { requireAuthorization } from "./authorization.js";
import { checkMethod, HttpError, readBody } from "./request.js";
import { RequestBounds } from "./request-bounds.js";
import { hostOptions } from "./request-search.js";
import { NOT_CACHED, respond } from "./response.js";
import { readLimit, readQuery, readRevision, readTraining, requestedId } from "./training-request.js";
import {
  checkTrainingsOptions,
  type RequestTrainings,
  type TrainingsHandlerOptions,
  type TrainingsSettings,
} from "./trainings-options.js";

/** The part of a `TrainingIndex` that {@link trainingsHandler} needs. */
export interface HttpTrainings {
  withFilter(filter: Filter): HttpTrainings;
  get(id: TrainingId, options?: ReadOptions): Promise<StoredTraining<object> | undefined>;
  list(options?: ListOptions): AsyncIterable<StoredTraining<object>>;
  upsertTraining(training: Training<object>, options?: UpsertOptions): Promise<UpsertResult>;
  deleteTraining(id: TrainingId, options?: DeleteOptions): Promise<DeleteResult>;
}

/** One request, after it has been authorized. */
interface Call {
  request: Request;
  signal: AbortSignal;
  index: HttpTrainings;
  /** Of the host, for this request. */
  filter: Filter | undefined;
}

const REQUEST_TRAININGS = namesOfProperties<RequestTrainings>({ filter: true });
/** Arguments whose values are the request's own; all others are the host's. */
const CALLERS_ARGUMENT = /^(?:training|id|revision|after)(?!\w)/;

/**
 * Makes a handler that lists, reads, stores and deletes trainings, so that a host in another language needs no code of its own
 * in Node. It is mounted at `path` and everything below:
 *
 * | request | response |
 * |---|---|
 * | `GET /trainings?limit=&after=` | `{ trainings, next }`, in the order of their ids; `next` is the `after` of the next page, or `null` |
 * | `GET /trainings/ID` | the training as `index.get` returns it, or 404 |
 * | `PUT /trainings/ID` with `{ content, metadata?, revision? }` or `{ documents, ... }` | the result of `index.upsertTraining` |
 * | `DELETE /trainings/ID?revision=` | the result of `index.deleteTraining` |
 *
 * A request may be repeated. With a `revision` it is harmless however late it arrives: it is answered with 200 and the status
 * `superseded`.
 *
 * | status | when |
 * |---|---|
 * | 400, 413, 415 | the request, its query or its body is invalid; the body is too large; not uncompressed JSON in UTF-8 |
 * | 401, 403 | `authorize` refused the request; its filter allows reads only |
 * | 404, 405 | there is no such training that the request may see, or no such path; another method |
 * | 409 | the id belongs to a training that the request may not see, or the host's row with the id is missing |
 * | 429, 503 | too many requests; the embedder or the database is down. `Retry-After` says when to try again |
 * | 504 | the request took longer than `timeoutMs`, or the caller disconnected. Nothing was stored |
 * | 500 | anything else |
 *
 * `onError` gets the error behind a 500, 503 or 504. The handler never rejects.
 *
 * @example
 * ```ts
 * import { bearerToken, trainingsHandler } from "langchain-training-index/http";
 *
 * const trainings = trainingsHandler(index, { authorize: bearerToken("a-secret-of-the-host") });
 * const response = await trainings(
 *   new Request("http://localhost/trainings/frete", {
 *     method: "PUT",
 *     headers: { "Content-Type": "application/json", Authorization: "Bearer a-secret-of-the-host" },
 *     body: JSON.stringify({ content: "O frete custa doze reais.", revision: 3 }),
 *   }),
 * );
 * ```
 *
 * @throws `InvalidArgumentError` for an unusable option, a missing `authorize`, or an index that is not a `TrainingIndex`
 */
export function trainingsHandler(
  index: HttpTrainings,
  options: TrainingsHandlerOptions,
): (request: Request) => Promise<Response> {
  requireIndex(index, "upsertTraining");
  const settings = checkTrainingsOptions(options);
  const bounds = new RequestBounds(settings.bounds);
  return (request) =>
    answerRequest(request, { ...settings, noun: "request" }, (signal) =>
      answer({ index, bounds, settings }, request, signal),
    );
}

async function answer(
  { index, bounds, settings }: { index: HttpTrainings; bounds: RequestBounds; settings: TrainingsSettings },
  request: Request,
  signal: AbortSignal,
): Promise<Response> {
  await requireAuthorization(request, settings.authorize);
  await bounds.count(request);
  const id = requestedId(request, settings.path);
  checkMethod(request, ...(id === undefined ? ["GET", "HEAD"] : ["GET", "HEAD", "PUT", "DELETE"]));
  const { options } = settings;
  const { filter } = options ? await hostOptions(options, request, REQUEST_TRAININGS, "trainingsHandler") : {};
  const call: Call = { request, signal, filter, index: filter === undefined ? index : index.withFilter(filter) };
  const work = await prepare(call, id, settings);
  return bounds.run(() => explained(work));
}

/** Reads the request, and returns the work that it asks for: a request whose body arrives slowly takes no one's place. */
async function prepare(
  call: Call,
  id: string | undefined,
  settings: TrainingsSettings,
): Promise<() => Promise<Response>> {
  const { request, signal, index, filter } = call;
  if (id === undefined) {
    const query = readQuery(request, ["limit", "after"]);
    const limit = readLimit(query.get("limit"), settings.maxLimit);
    return () => list(call, limit, query.get("after"));
  }
  const query = readQuery(request, request.method === "DELETE" ? ["revision"] : []);
  if (request.method === "PUT") {
    const training = readTraining(id, await readBody(request, settings.maxBodyBytes, signal), filter);
    return () => put(call, training);
  }
  if (request.method === "DELETE") {
    const revision = readRevision(query.get("revision"));
    return async () => respond(200, await index.deleteTraining(id, { revision, signal }));
  }
  return async () => {
    const training = await index.get(id, { signal });
    if (!training) throw new HttpError(404, "There is no such training");
    return respond(200, training, NOT_CACHED);
  };
}

async function list({ index, signal }: Call, limit: number, after: string | undefined): Promise<Response> {
  const trainings: StoredTraining<object>[] = [];
  // One more than asked for, which says whether there is another page.
  for await (const training of index.list({ limit: limit + 1, after, signal })) trainings.push(training);
  const page = trainings.slice(0, limit);
  const next = trainings.length > limit ? page.at(-1)?.id.toString() : null;
  return respond(200, { trainings: page, next }, NOT_CACHED);
}

async function put({ index, signal }: Call, training: Training): Promise<Response> {
  const result = await index.upsertTraining(training, { signal });
  // Not a 200: a caller that writes before its transaction commits would take the training for stored.
  if (result.reason === "hostRowMissing") {
    throw new HttpError(409, "The host's row with this id does not exist, or is not committed yet");
  }
  // Nor if the newer version is not the caller's: another tenant took the id while this request was embedding.
  if (result.reason === "newer" && !(await index.get(training.id, { signal }))) throw idTaken();
  return respond(200, result);
}

function idTaken(): HttpError {
  return new HttpError(409, "The id is not available");
}

/** Does the work. Only an error about the request's own values is shown to the caller. */
async function explained(work: () => Promise<Response>): Promise<Response> {
  try {
    return await work();
  } catch (error) {
    if (EmbeddingError.is(error) && error.code === "TEXT_TOO_LONG") {
      throw new HttpError(400, "A document is longer than the model reads: leave out split to have it split");
    }
    if (!InvalidArgumentError.is(error)) throw error;
    if (error.cause instanceof RangeError) throw new HttpError(400, "The body is nested too deep");
    if (error.message === `training.id ${ID_TAKEN}`) throw idTaken();
    // The filter is valid: it has narrowed the index before.
    if (error.option === "filter") throw new HttpError(403, "Only reads are allowed here");
    if (!CALLERS_ARGUMENT.test(error.option)) throw error;
    throw new HttpError(400, error.message.replace(/^training\./, ""));
  }
}
