import { InvalidArgumentError } from "../errors.js";
import { mapInTurns } from "../calls/turns.js";
import { encodeVector } from "../postgres/codec.js";
import type { StatementName } from "../postgres/statement-names.js";
import type { HostNumber } from "../postgres/database.js";
import { metadataOfTraining, toFound, toPassage, type Found, type PassageRow } from "./hits.js";
import {
  isFull,
  orExact,
  widenUntilFull,
  scanFor,
  notifyAllChunks,
  notifyExactSearch,
  notifyMissingIndex,
  type Examined,
  type ExamineLimit,
} from "./scan.js";
import { cached, cacheOf, GAVE_UP, planKeyOf } from "./search-cache.js";
import type { SearchPlan } from "../search-sql/vector-search-sql.js";
import { planOfNearest, type SearchPage, type SearchTarget, type VectorSearch } from "./vector-search.js";
import { correctableWords, findCloseWords, type Read } from "../words/close-words.js";
import { questionOf } from "../words/searched-words.js";
import { withSynonyms } from "../words/synonyms.js";
import { isLarge, type SchemaState } from "../schema/known-schema.js";
import { correctionsOfRow, withMatches, type HalvesRow, type HybridRow, type TextRow } from "./text-rows.js";
import { scoredChunks } from "../search-sql/hybrid-search-sql.js";
import { isFirstFound } from "../search-sql/page-sql.js";
import { matchingChunks, type TextLayout, type TextSearchShape } from "../search-sql/text-search-sql.js";

/** A text search with checked arguments. */
export interface TextSearch extends SearchPage {
  question: string;
  /** Whether hits say where the question's words are in them. */
  matches: boolean;
  /** Whether words that no chunk has are read as close ones. */
  typos: boolean;
}

/** A hybrid search with checked arguments. */
export interface HybridSearch extends VectorSearch, TextSearch {
  /** The weight of each search in the score; their sum is 1. */
  weights: { vector: number; text: number };
}

/** In a table with more pages, common words are not counted: the planner's statistics say how common they are. */
const MAX_PAGES_TO_COUNT_WORDS = 2000;
/** At least that many pages are sampled: enough to estimate the average length of chunks to within a few percent. */
const SAMPLE_PAGES = 500;
/**
 * Least number of candidates of each search in a hybrid search. It does not depend on `k` up to here, so a larger `k` only adds
 * hits.
 */
const MIN_CANDIDATES = 50;

/**
 * Chunks with the question's rare words that are enough for a hybrid search. Others can be among the nearest chunks, which are
 * scored by all words.
 */
const MIN_MATCHES_BESIDE_VECTORS = 10;

/** The part of a question that is searched for words, in UTF-16 units: far beyond any real one, parsed in a few ms. */
const MAX_QUESTION_LENGTH = 20_000;

/**
 * The chunks that match a question's words, best first. One statement, one round trip; one more if the filter excludes most
 * of the chunks with the question's rare words, and two more if no chunk has one of the words and others are close to it.
 *
 * @throws {@link InvalidArgumentError} for a schema without text search
 */
export async function searchText(target: SearchTarget, search: TextSearch): Promise<Found<"text">[]> {
  const layout = requireTextSearch(target.state);
  const { k, condition } = search;
  const asked = askedText(target, layout, search);
  const question = questionOf(asked, layout.textSearch);
  const find = (closeWords: CloseWords): Promise<TextRow[]> =>
    findPage(target, { ...search, closeWords }, { depth: k, planOf: undefined }, ({ words }) => ({
      name: "search-by-words",
      text: matchingChunks(layout, words, search),
      values: [question, ...closeWords, ...(condition?.values ?? [])],
    }));
  return mapInTurns(await findCorrected(target, layout, search.typos ? asked : undefined, find), (row) => {
    const score = Number(row.score);
    return {
      hit: withMatches(
        Object.assign(toPassage(row, layout), { score, coverage: score, ...correctionsOfRow(row) }),
        row,
      ),
      trainingMetadata: metadataOfTraining(row),
    };
  });
}

/** As {@link searchText}, with the hits of a hybrid search: the fallback when there is no vector. */
export async function searchTextOnly(
  target: SearchTarget,
  search: TextSearch & Pick<HybridSearch, "weights">,
): Promise<Found<"hybrid">[]> {
  const found = await searchText(target, search);
  return found.map(({ hit, trainingMetadata }) => ({
    hit: { ...hit, score: search.weights.text * hit.coverage, similarity: undefined, distance: undefined },
    trainingMetadata,
  }));
}

/**
 * The chunks that are best by vector and words together, best first, in one statement and one round trip. If the vector search
 * or the text search may have missed candidates, the statement runs once more, with that search examining all chunks.
 */
export async function searchHybrid(target: SearchTarget, search: HybridSearch): Promise<Found<"hybrid">[]> {
  const layout = requireTextSearch(target.state);
  const { k, condition } = search;
  const asked = askedText(target, layout, search);
  const [vector, question] = [encodeVector(search.vector), questionOf(asked, layout.textSearch)];
  const depth = Math.max(k, MIN_CANDIDATES);
  const planOf = (limit: number): Promise<SearchPlan> => planOfNearest(target, search, limit);
  const find = (closeWords: CloseWords): Promise<HybridRow[]> =>
    findPage(target, { ...search, closeWords }, { depth, planOf }, (halves, state) => {
      const { words, plan } = halves;
      const { shape, efSearch } = scanFor(search, target.dimensions, { limit: words.limit, plan }, state);
      return {
        name: "search-hybrid",
        text: scoredChunks(layout, shape, words, search),
        values: [vector, efSearch, question, ...closeWords, ...(condition?.values ?? [])],
      };
    });
  return mapInTurns(await findCorrected(target, layout, search.typos ? asked : undefined, find), (row) => {
    const { hit, trainingMetadata } = toFound(row, layout);
    const scores = { score: Number(row.score), coverage: Number(row.coverage), ...correctionsOfRow(row) };
    return { hit: withMatches(Object.assign(hit, scores), row), trainingMetadata };
  });
}

/** How a statement searches: by words, and by vector. */
interface Halves {
  words: TextSearchShape;
  plan: SearchPlan;
}

/** The parameter that holds the close words, as JSON; none if the statement does not correct. */
type CloseWords = [] | [json: string];

/**
 * Searches without correcting anything, and once more if no chunk has one of the question's words and others are close to it. So
 * a question without errors costs nothing more.
 *
 * @param question - `undefined` to correct nothing
 */
async function findCorrected<Row extends TextRow>(
  { statements }: SearchTarget,
  layout: TextLayout,
  question: string | undefined,
  find: (closeWords: CloseWords) => Promise<Row[]>,
): Promise<Row[]> {
  const rows = await find([]);
  const [row] = rows;
  const unknown = row ? (JSON.parse(row.unknown ?? "[]") as string[]) : undefined;
  const typed = question !== undefined && unknown?.length !== 0 ? correctableWords(question, layout.textSearch) : [];
  if (typed.length === 0) return rows;
  const read: Read = (text, values) => statements.query("find-close-words", text, values, { keepsPlan: false });
  const closeWords = await findCloseWords(read, layout, typed, unknown);
  return closeWords.length === 0 ? rows : find([JSON.stringify(closeWords)]);
}

type StatementOf = (
  halves: Halves,
  state: SchemaState,
) => {
  name: StatementName;
  text: string;
  values: unknown[];
};

/**
 * Runs a statement; if trainings count, again with a higher limit while its chunks belong to too few of them.
 *
 * @param planOf - how the half by vector finds its nearest chunks in a large table; `undefined` without that half
 */
async function findPage<Row extends PassageRow & HalvesRow>(
  target: SearchTarget,
  search: TextSearch & { closeWords: CloseWords },
  { depth, planOf }: { depth: number; planOf: ((limit: number) => Promise<SearchPlan>) | undefined },
  statement: StatementOf,
): Promise<Row[]> {
  const { state } = target;
  if (planOf) notifyMissingIndex(target.notify, state);
  const examine = async (limit: ExamineLimit): Promise<Examined<Row>> => {
    if (planOf && limit === undefined) notifyAllChunks(target.notify, state);
    const plan = planOf && limit !== undefined && isLarge(state) ? await planOf(limit) : "exact";
    return examineByHalves(target, search, state, { words: wordsShape(search, state, limit), plan }, statement);
  };
  if (isFirstFound(search)) return (await examine(depth)).rows;
  return widenUntilFull(search.k, examine, (rows) => isFull(search, rows));
}

function wordsShape(
  { condition, closeWords }: TextSearch & { closeWords: CloseWords },
  { pages }: SchemaState,
  limit: ExamineLimit,
): TextSearchShape {
  const hasManyChunks = pages > MAX_PAGES_TO_COUNT_WORDS;
  return {
    limit,
    condition: condition?.text,
    samplePercent: samplePercentOf(pages),
    hasManyChunks,
    onlyRareWords: hasManyChunks && limit !== undefined,
    corrects: closeWords.length > 0,
  };
}

/** Changes only when a table doubles: each percentage makes another statement. */
function samplePercentOf(pages: number): number {
  return 100 / 2 ** Math.max(0, Math.floor(Math.log2(pages / SAMPLE_PAGES)));
}

/**
 * Runs a statement, and repeats it if one half of the search may have missed chunks, with that half examining all: the scan
 * of the vector index gives up after 20,000 chunks that a filter excludes, and a filter can exclude most of the chunks with
 * the question's rare words.
 */
async function examineByHalves<Row extends HalvesRow>(
  { statements, notify }: SearchTarget,
  { condition }: TextSearch,
  state: SchemaState,
  { words, plan }: Halves,
  statement: StatementOf,
): Promise<Examined<Row>> {
  const { limit } = words;
  // A prepared plan does not know the filter's values.
  const keepsPlan = statements.areKept && isLarge(state) && condition === undefined;
  const run = (halves: Halves): Promise<Row[]> => {
    const { name, text, values } = statement(halves, state);
    const readsAll = !halves.words.onlyRareWords || (name === "search-hybrid" && halves.plan === "exact");
    return statements.query<Row>(name, text, values, { keepsPlan, reads: readsAll ? "all chunks" : "many chunks" });
  };
  const isShort = (found: HostNumber | undefined): boolean => limit === undefined || Number(found ?? 0) < limit;
  const examinedAll = ([row]: Row[]): boolean => isShort(row?.near) && isShort(row?.matched);

  // As long as the schema's cache lives, a filter that made the scan give up is searched exactly.
  const planKey = `by halves ${condition ? planKeyOf(limit ?? 0, limit ?? 0, condition) : (limit ?? 0)}`;
  const { plans, gaveUp: gaveUpBefore } = cacheOf(state);
  if (plan !== "exact" && gaveUpBefore.has(planKey)) notifyExactSearch(notify, "gave up");
  let ran = plan === "exact" ? plan : ((await plans.get(planKey))?.plan ?? plan);
  const rows = await orExact(ran, notify, (next) => run({ words, plan: (ran = next) }));
  const [row] = rows;
  const gaveUp = ran !== "exact" && isShort(row?.near);
  // Without rows nothing says whether words were left out: assume so if there is a filter.
  const leftOut = row ? Number(row.left_out) > 0 : condition !== undefined;
  const isVectorSearch = row?.near !== undefined;
  const enough = isVectorSearch ? MIN_MATCHES_BESIDE_VECTORS : (limit ?? 0);
  const missedWords = words.onlyRareWords && leftOut && Number(row?.matched ?? 0) < enough;
  if (!gaveUp && !missedWords) return { rows, examinedAll: examinedAll(rows) };

  if (gaveUp) {
    void cached(plans, planKey, () => Promise.resolve(GAVE_UP));
    if (state.type !== undefined) {
      if (plans.has(planKey)) gaveUpBefore.add(planKey);
      notifyExactSearch(notify, "gave up");
    }
  }
  if (missedWords) notifyExactSearch(notify, "rare words");
  const widened = { ...words, onlyRareWords: words.onlyRareWords && !missedWords };
  const all = await orExact(gaveUp ? "exact" : ran, notify, (next) => run({ words: widened, plan: next }));
  return { rows: all, examinedAll: examinedAll(all) };
}

/** The part of a question that is searched, with its synonyms. A surrogate pair cut in two becomes U+FFFD, which is in no word. */
function askedText({ synonyms }: SearchTarget, { textSearch }: TextLayout, { question }: TextSearch): string {
  return withSynonyms(question.slice(0, MAX_QUESTION_LENGTH).toWellFormed(), textSearch, synonyms);
}

/** The layout with text search. @throws {@link InvalidArgumentError} for a schema without it */
export function requireTextSearch({ layout }: Pick<SchemaState, "layout">): TextLayout {
  const { textSearch, citus } = layout;
  if (textSearch !== undefined) return { ...layout, textSearch };
  if (citus === "tables") {
    throw new InvalidArgumentError(
      "mode",
      'must be "vector": the trainings of this schema are spread over a Citus cluster, and scores of words need the statistics of all chunks. ' +
        'For searches by words, use a schema with citus: "schema"',
    );
  }
  throw new InvalidArgumentError(
    "mode",
    'needs a schema with text search: run migrate(pool, { textSearch: "portuguese" }), or with another language',
  );
}
