import { EmbeddingError, InvalidArgumentError, throwIfAborted } from "../errors.js";
import { profileRetired } from "../postgres/database.js";
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
import type { Model, Models } from "../models/models.js";
import type { KnownSchema, SchemaState } from "../schema/known-schema.js";
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
  knownSchema: KnownSchema;
  models: Models;
  /** Answers searches without a client of the host's. */
  standby: Standby | undefined;
  /** The index's own filter, compiled; `undefined` without one. */
  filter: Condition | undefined;
  /** The index's default `efSearch`. */
  efSearch: number;
  synonyms: CompiledSynonyms | undefined;
  /** Notifies the host of a fallback. */
  notify: Notify;
}

/** How often a query is embedded while the index is switched from model to model. */
const MAX_ATTEMPTS = 3;

/** Internal: the stored vectors are of another model than the vector of the query. */
class OtherModel extends Error {
  readonly model: Model;

  constructor(model: Model) {
    super();
    this.model = model;
  }
}

type Query = string | ArrayLike<number>;
/** The options of a call that {@link CheckedSearch} does not hold. */
type CallOptions = Pick<AnySearchOptions, "client" | "signal" | "onTextOnly" | "model"> & Pick<ReadCall, "consistency">;

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
    const { model } = checked;
    if (model !== undefined && typeof query === "string") {
      throw new InvalidArgumentError("model", "is for a query that is a vector: the index embeds a text itself");
    }
    const find = async (signal: AbortSignal | undefined): Promise<Hit[] | TrainingHit[]> => {
      const { client, onTextOnly } = options;
      const call = { client, signal, onTextOnly, model, consistency: checked.consistency };
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
    const { schema } = this.#parts.knownSchema.layout;
    return beginTrace(query, checked, { schema, model: this.#model.profile.model });
  }

  #find(query: Query, checked: CheckedSearch, call: CallOptions): Promise<Found[]> {
    return checked.mode === "vector" ? this.#findChunks(query, checked, call) : this.#findByWords(query, checked, call);
  }

  async #findReranked(
    query: Query,
    checked: CheckedSearch & { rerank: CheckedRerank },
    call: CallOptions,
  ): Promise<Hit[]> {
    const question = checkQuery(query, this.#dimensions);
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

  #findChunks(query: Query, checked: CheckedSearch, call: CallOptions): Promise<FoundChunk[]> {
    const { k, mmr } = checked;
    return this.#readByVector(query, call, async (read, vector) => {
      const wanted = { ...checked, k: mmr?.fetchK ?? k, vector };
      const found = await read((target) => searchByVector(target, wanted, mmr !== undefined));
      const near = found.filter(({ hit }) => meetsThresholds(hit, checked));
      return mmr ? chooseDiverse(vector, near, k, mmr.lambda, call.signal) : near;
    });
  }

  async #findByWords(query: Query, checked: CheckedSearch, call: CallOptions): Promise<Found[]> {
    const question = checkQuery(query, this.#dimensions);
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
      return await this.#readByVector(search.question, call, (read, vector) =>
        read((target) => searchHybrid(target, { ...search, vector })),
      );
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

  /** The model in use, as far as this process knows. */
  get #model(): Model {
    const { models, knownSchema } = this.#parts;
    return models.of(knownSchema.latest);
  }

  get #dimensions(): number {
    return this.#model.profile.dimensions;
  }

  /**
   * Embeds a query, and reads with its vector. If the index turns out to be switched to another model, embeds the query with that one,
   * and reads again: vectors of two models are never compared.
   */
  async #readByVector<T>(
    query: Query,
    call: CallOptions,
    find: (
      read: <Found>(work: (target: SearchTarget) => Promise<Found>) => Promise<Found>,
      vector: Float32Array,
    ) => Promise<T>,
  ): Promise<T> {
    const { models } = this.#parts;
    for (let attempt = 1, model = await this.#modelFor(query, call); ; attempt++) {
      const vector = await this.#vectorOf(query, model, call.signal);
      const read = <Found>(work: (target: SearchTarget) => Promise<Found>): Promise<Found> =>
        this.read(call, async (target) => {
          const needed = models.of(target.state);
          if (needed !== model) throw new OtherModel(needed);
          return work(target);
        });
      try {
        return await find(read, vector);
      } catch (error) {
        if (!(error instanceof OtherModel) || typeof query !== "string" || attempt === MAX_ATTEMPTS) {
          throw error instanceof OtherModel ? profileRetired(error) : error;
        }
        ({ model } = error);
      }
    }
  }

  /** The model in use, as far as this process knows; a query that is a vector has to be of it. */
  async #modelFor(query: Query, { model: named, client, signal }: CallOptions): Promise<Model> {
    const { models, knownSchema } = this.#parts;
    if (typeof query === "string" || (named === undefined && !models.areSeveral)) return this.#model;
    const look = (): Promise<SchemaState> => knownSchema.look(client, signal);
    return models.requireMaker({ vector: query, named, option: "query" }, { latest: knownSchema.latest, look });
  }

  async #vectorOf(query: Query, { profile, embedder }: Model, signal: AbortSignal | undefined): Promise<Float32Array> {
    const given = checkQuery(query, profile.dimensions);
    const vector = typeof given === "string" ? await embedder.embedQuery(given, signal) : given;
    throwIfAborted(signal);
    return vector;
  }

  /** Called before anything is embedded. A schema known without text search is read again: it may have been migrated. */
  async #requireTextSearch({ client, signal }: CallOptions): Promise<void> {
    const { knownSchema, standby } = this.#parts;
    // What the standby is known to have, no one needs to ask the primary for. Otherwise the primary may have it.
    if (!client && standby?.knownSchema.isRecent && standby.knownSchema.layout.textSearch !== undefined) return;
    const state = await knownSchema.current(client, signal);
    if (state.layout.textSearch !== undefined) return;
    requireTextSearch(await knownSchema.look(client, signal));
  }

  /**
   * Runs a search against the current schema.
   *
   * @param find - called again if the known schema turns out to be outdated
   */
  read<T>(call: ReadCall, find: (target: SearchTarget) => Promise<T>): Promise<T> {
    const { synonyms, notify } = this.#parts;
    return readCurrent(this.#parts, call, (statements, state) =>
      find({ statements, state, dimensions: state.dimensions, synonyms, notify }),
    );
  }
}

function meetsThresholds(
  { score, distance = 0 }: { score: number; distance?: number | undefined },
  { minScore, maxDistance }: CheckedSearch,
): boolean {
  return score >= minScore && distance <= maxDistance;
}
