import type { Embedder } from "../embedding/embedder.js";
import { EmbeddingError, InvalidArgumentError, orAbort, throwIfAborted } from "../errors.js";
import { runHostCode } from "../calls/host-code.js";
import { chooseDiverse } from "./marginal-relevance.js";
import type { Notify } from "../calls/notices.js";
import { checkQuery } from "./query.js";
import type { AnySearchOptions } from "./search-options.js";
import { checkSearch, type CheckedSearch } from "./checked-search.js";
import type { Condition } from "../filtering/condition.js";
import { toTrainingHits, type Found, type FoundChunk } from "./hits.js";
import { readCurrent, type ReadCall } from "./current-statements.js";
import type { Standby } from "../standby/standby.js";
import type { NamedStatements } from "../postgres/named-statements.js";
import { searchByVector, type SearchTarget } from "./vector-search.js";
import type { KnownSchema } from "../schema/known-schema.js";
import { requireTextSearch, searchHybrid, searchText, searchTextOnly } from "./text-search.js";
import { reranked, type CheckedRerank } from "./rerank.js";
import { beginTrace, traceSearch } from "./search-trace.js";
import type { SearchTrace } from "../calls/tracing.js";
import { withTimeLimit } from "../calls/time-limit.js";
import type { Hit, TrainingHit } from "../hit-types.js";
import type { CompiledSynonyms } from "../words/synonyms.js";

/** Dependencies of a {@link Searcher}. */
export interface SearcherParts {
  statements: NamedStatements;
  dimensions: number;
  knownSchema: KnownSchema;
  /** Answers searches without a client of the host's. */
  standby: Standby | undefined;
  embedder: Embedder;
  /** The index's own filter, compiled; `undefined` without one. */
  filter: Condition | undefined;
  /** The index's default `efSearch`. */
  efSearch: number;
  synonyms: CompiledSynonyms | undefined;
  /** Notifies the host of a fallback. */
  notify: Notify;
}

type Query = string | ArrayLike<number>;
/** The options of a call that {@link CheckedSearch} does not hold. */
type CallOptions = Pick<AnySearchOptions, "client" | "signal" | "onTextOnly"> & Pick<ReadCall, "consistency">;

/** Finds the chunks or trainings that answer a query. */
export class Searcher {
  readonly #parts: SearcherParts;

  constructor(parts: SearcherParts) {
    this.#parts = parts;
  }

  /** The index's default `efSearch`. */
  get efSearch(): number {
    return this.#parts.efSearch;
  }

  /** @throws {@link InvalidArgumentError} naming the option */
  check(options: AnySearchOptions): CheckedSearch {
    const checked = checkSearch(options, this.#parts);
    const { knownSchema } = this.#parts;
    // If the known schema is not recent, the search itself checks it.
    if (checked.mode !== "vector" && knownSchema.isRecent) requireTextSearch(knownSchema);
    return checked;
  }

  /** Finds hits, best first. @throws {@link InvalidArgumentError} for bad arguments, before anything is embedded */
  async find(query: Query, options: AnySearchOptions): Promise<Hit[] | TrainingHit[]> {
    const checked = checkSearch(options, this.#parts);
    const find = async (signal: AbortSignal | undefined): Promise<Hit[] | TrainingHit[]> => {
      const { client, onTextOnly } = options;
      const call = { client, signal, onTextOnly, consistency: checked.consistency };
      const { rerank } = checked;
      if (rerank) return this.#findReranked(query, { ...checked, rerank }, call);
      const found = await this.#find(query, checked, call);
      return checked.strategy === "trainings" ? toTrainingHits(found) : found.map(({ hit }) => hit);
    };
    return traceSearch(
      () => this.#traceOf(query, checked),
      () => withTimeLimit(options, find),
      (hits) => hits,
    );
  }

  #traceOf(query: Query, checked: CheckedSearch): SearchTrace {
    const { knownSchema, embedder } = this.#parts;
    return beginTrace(query, checked, { schema: knownSchema.layout.schema, model: embedder.model });
  }

  async #find(query: Query, checked: CheckedSearch, call: CallOptions): Promise<Found[]> {
    return checked.mode === "vector" ? this.#findChunks(query, checked, call) : this.#findByWords(query, checked, call);
  }

  async #findReranked(
    query: Query,
    checked: CheckedSearch & { rerank: CheckedRerank },
    call: CallOptions,
  ): Promise<Hit[]> {
    const question = checkQuery(query, this.#parts.dimensions);
    if (typeof question !== "string") {
      throw new InvalidArgumentError("query", "must be a text with rerank: a vector has no words");
    }
    const { k, rerank } = checked;
    const found = await this.#find(query, { ...checked, k: Math.max(k, rerank.from) }, call);
    const { notify } = this.#parts;
    const best = await reranked(question, found, { k, rerank, signal: call.signal, notify });
    return best.map(({ hit }) => hit);
  }

  /** As {@link find} in mode `vector`, with the vectors of the chunks if MMR needed them. */
  async findChunks(query: Query, options: Omit<AnySearchOptions, "mode" | "strategy">): Promise<FoundChunk[]> {
    const checked = this.check(options);
    const { client } = options;
    const { consistency } = checked;
    return traceSearch(
      () => this.#traceOf(query, checked),
      () => withTimeLimit(options, (signal) => this.#findChunks(query, checked, { client, signal, consistency })),
      (found) => found.map(({ hit }) => hit),
    );
  }

  async #findChunks(query: Query, checked: CheckedSearch, call: CallOptions): Promise<FoundChunk[]> {
    const { k, mmr } = checked;
    const vector = await this.#vectorOf(query, call.signal);
    const wanted = { ...checked, k: mmr?.fetchK ?? k, vector };
    const found = await this.read(call, (target) => searchByVector(target, wanted, mmr !== undefined));
    const near = found.filter(({ hit }) => meetsThresholds(hit, checked));
    return mmr ? chooseDiverse(vector, near, k, mmr.lambda, call.signal) : near;
  }

  async #findByWords(query: Query, checked: CheckedSearch, call: CallOptions): Promise<Found[]> {
    const question = checkQuery(query, this.#parts.dimensions);
    if (typeof question !== "string") {
      throw new InvalidArgumentError("query", `must be a text in mode ${checked.mode}: a vector has no words`);
    }
    const search = { ...checked, question };
    await this.#requireTextSearch(call);
    const found = checked.mode === "hybrid" ? this.#findByBoth(search, call) : this.#findByText(search, call);
    return (await found).filter(({ hit }) => meetsThresholds(hit, checked));
  }

  async #findByText(search: CheckedSearch & { question: string }, call: CallOptions): Promise<Found<"text">[]> {
    return this.read(call, (target) => searchText(target, search));
  }

  async #findByBoth(search: CheckedSearch & { question: string }, call: CallOptions): Promise<Found<"hybrid">[]> {
    const { signal, onTextOnly } = call;
    try {
      const vector = await this.#vectorOf(search.question, signal);
      return await this.read(call, (target) => searchHybrid(target, { ...search, vector }));
    } catch (error) {
      if (!onTextOnly || !EmbeddingError.is(error) || signal?.aborted) throw error;
      this.#parts.notify({
        code: "TEXT_ONLY",
        message: "A hybrid search was answered by words alone, because the question could not be embedded",
        cause: error,
      });
      runHostCode("onTextOnly", () => {
        onTextOnly(error);
      });
      return this.read(call, (target) => searchTextOnly(target, search));
    }
  }

  async #vectorOf(query: Query, signal: AbortSignal | undefined): Promise<Float32Array> {
    const { dimensions, embedder } = this.#parts;
    const given = checkQuery(query, dimensions);
    const vector = typeof given === "string" ? await embedder.embedQuery(given, signal) : given;
    throwIfAborted(signal);
    return vector;
  }

  /** Called before anything is embedded. A schema known without text search is read again: it may have been migrated. */
  async #requireTextSearch({ client, signal }: CallOptions): Promise<void> {
    const { knownSchema, standby } = this.#parts;
    // What the standby is known to have, no one needs to ask the primary for. Otherwise the primary may have it.
    if (!client && standby?.knownSchema.isRecent && standby.knownSchema.layout.textSearch !== undefined) return;
    const state = await orAbort(() => knownSchema.current(client), signal);
    if (state.layout.textSearch !== undefined) return;
    requireTextSearch(await orAbort(() => knownSchema.look(client), signal));
  }

  /**
   * Runs a search against the current schema.
   *
   * @param find - called again if the known schema turns out to be outdated
   */
  async read<T>(call: ReadCall, find: (target: SearchTarget) => Promise<T>): Promise<T> {
    const { dimensions, synonyms, notify } = this.#parts;
    return readCurrent(this.#parts, call, (statements, state) =>
      find({ statements, state, dimensions, synonyms, notify }),
    );
  }
}

function meetsThresholds(
  { score, distance = 0 }: { score: number; distance?: number | undefined },
  { minScore, maxDistance }: CheckedSearch,
): boolean {
  return score >= minScore && distance <= maxDistance;
}
