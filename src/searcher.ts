import type { Embedder } from "./embedding/embedder.js";
import { EmbeddingError, InvalidArgumentError, orAbort, throwIfAborted } from "./errors.js";
import { runHostCode } from "./host-code.js";
import { chooseUnlike } from "./marginal-relevance.js";
import { checkQuery } from "./options.js";
import { checkSearch, type AnySearchOptions, type CheckedSearch } from "./search-options.js";
import type { Conditions } from "./store/filter.js";
import type { FoundChunk } from "./store/hits.js";
import { hostClient } from "./store/host-client.js";
import { NamedStatements } from "./store/named-statements.js";
import { search, type SearchTarget } from "./store/search.js";
import type { ServingIndex } from "./store/serving-index.js";
import { requireTextSearch, searchHybrid, searchText, searchTextOnly } from "./store/text-search.js";
import { searchTrainings } from "./store/training-search.js";
import { withTimeLimit } from "./time-limit.js";
import type { Hit, HybridHit, TrainingHit } from "./types.js";

/** What a {@link Searcher} works with. */
export interface SearcherParts {
  target: Omit<SearchTarget, "serving"> & { serving: ServingIndex };
  embedder: Embedder;
  /** The filter of the index, compiled. */
  scope: Conditions;
  /** The index's default of `efSearch`. */
  efSearch: number;
}

type Query = string | ArrayLike<number>;

/** Finds the chunks, or the trainings, that answer a query. */
export class Searcher {
  readonly #parts: SearcherParts;

  constructor(parts: SearcherParts) {
    this.#parts = parts;
  }

  /** What a search has that names no `efSearch`. */
  get efSearch(): number {
    return this.#parts.efSearch;
  }

  /** @throws {@link InvalidArgumentError} naming the option */
  check(options: AnySearchOptions): CheckedSearch {
    const checked = checkSearch(options, this.#parts);
    if (checked.mode !== "vector") requireTextSearch(this.#parts.target);
    return checked;
  }

  /** Best first. @throws {@link InvalidArgumentError} before anything is asked of embedder or database */
  async find(query: Query, options: AnySearchOptions): Promise<Hit[] | TrainingHit[]> {
    const checked = this.check(options);
    return withTimeLimit(options, async (signal) => {
      const limited = { ...options, signal };
      if (checked.mode !== "vector") return this.#findByWords(query, checked, limited);
      if (checked.strategy === "trainings") return this.#findTrainings(query, checked, limited);
      const found = await this.#findChunks(query, checked, limited);
      return found.map(({ hit }) => hit);
    });
  }

  /** As {@link find}, by vector, with the vectors where they were needed. */
  async findChunks(
    query: Query,
    options: Omit<AnySearchOptions, "mode" | "strategy">,
  ): Promise<FoundChunk[]> {
    const checked = this.check(options);
    return withTimeLimit(options, (signal) => this.#findChunks(query, checked, { ...options, signal }));
  }

  async #findChunks(query: Query, checked: CheckedSearch, options: AnySearchOptions): Promise<FoundChunk[]> {
    const { k, mmr } = checked;
    const vector = await this.#vectorOf(query, options.signal);
    const wanted = { ...checked, k: mmr?.fetchK ?? k, vector };
    const found = await this.#read(options, (target) => search(target, wanted, mmr !== undefined));
    const near = found.filter(({ hit }) => isNear(hit, checked));
    return mmr ? chooseUnlike(vector, near, k, mmr.lambda, options.signal) : near;
  }

  async #findTrainings(
    query: Query,
    checked: CheckedSearch,
    options: AnySearchOptions,
  ): Promise<TrainingHit[]> {
    const vector = await this.#vectorOf(query, options.signal);
    const hits = await this.#read(options, (target) => searchTrainings(target, { ...checked, vector }));
    return hits.filter((hit) => isNear(hit, checked));
  }

  async #findByWords(query: Query, checked: CheckedSearch, options: AnySearchOptions): Promise<Hit[]> {
    const question = checkQuery(query, this.#parts.target.dimensions);
    if (typeof question !== "string") {
      throw new InvalidArgumentError(
        "query",
        `must be a text in mode ${checked.mode}: a vector has no words`,
      );
    }
    const search = { ...checked, question };
    if (checked.mode === "hybrid") return this.#findByBoth(search, options);
    return this.#read(options, (target) => searchText(target, search));
  }

  async #findByBoth(
    search: CheckedSearch & { question: string },
    options: AnySearchOptions,
  ): Promise<HybridHit[]> {
    const { signal, onTextOnly } = options;
    try {
      const vector = await this.#vectorOf(search.question, signal);
      const hits = await this.#read(options, (target) => searchHybrid(target, { ...search, vector }));
      return hits.filter((hit) => isNear(hit, search));
    } catch (error) {
      if (!onTextOnly || !EmbeddingError.is(error) || signal?.aborted) throw error;
      this.#parts.target.notify({
        code: "TEXT_ONLY",
        message: "A hybrid search was answered by words alone, because the question could not be embedded",
        cause: error,
      });
      runHostCode("onTextOnly", () => {
        onTextOnly(error);
      });
      return this.#read(options, (target) => searchTextOnly(target, search));
    }
  }

  async #vectorOf(query: Query, signal: AbortSignal | undefined): Promise<Float32Array> {
    const { target, embedder } = this.#parts;
    const given = checkQuery(query, target.dimensions);
    const vector = typeof given === "string" ? await embedder.embedQuery(given, signal) : given;
    throwIfAborted(signal);
    return vector;
  }

  /** Runs a search. A host that gives its client may have no other to spare. */
  async #read<T>(
    { client, signal }: AnySearchOptions,
    search: (target: SearchTarget) => Promise<T>,
  ): Promise<T> {
    const { target } = this.#parts;
    const { serving, statements } = target;
    if (!client) {
      // What is known of the catalogs is shared: whoever needs it waits for it, and nobody ends it for the others.
      const current = (): ReturnType<typeof serving.current> => orAbort(() => serving.current(), signal);
      const found = await search({
        ...target,
        statements: statements.within({ signal }),
        serving: { current },
      });
      throwIfAborted(signal);
      return found;
    }
    return hostClient(client, { signal }).read((session) =>
      search({
        ...target,
        serving: { current: () => serving.current(session) },
        statements: new NamedStatements(session),
      }),
    );
  }
}

function isNear(
  { score = 1, distance = 0 }: { score: number | undefined; distance: number | undefined },
  { minScore, maxDistance }: CheckedSearch,
): boolean {
  return score >= minScore && distance <= maxDistance;
}
