import type { EmbeddingsInterface } from "@langchain/core/embeddings";
import { checkFunction, checkInteger } from "../calls/checks.js";
import { Indexer } from "../writing/indexer.js";
import { checkSchema } from "./check-schema.js";
import { Models } from "../models/models.js";
import { notifier, type Notify } from "../calls/notices.js";
import { Exporter } from "../exporting/exporter.js";
import { Importer } from "../exporting/importer.js";
import { Reader } from "../inspecting/reader.js";
import { checkIndexOptions, checkSplitter, givenModels, type TrainingIndexOptions } from "./index-options.js";
import { DEFAULT_EF_SEARCH, MAX_K } from "../searching/search-options.js";
import { checkPool } from "../calls/host-database.js";
import { Reconciler } from "../reconciling/reconciler.js";
import { Remover } from "../writing/remover.js";
import { Searcher } from "../searching/searcher.js";
import { Switcher } from "../switching/switcher.js";
import type { Splitter } from "../chunking/splitter.js";
import { TicketOrder } from "../writing/ticket-order.js";
import { boundedPool, type BoundedPool } from "../postgres/bounded-database.js";
import { narrowedFilter, openingFilter, type IndexFilter } from "../filtering/index-filter.js";
import { quoteIdentifier } from "../postgres/identifiers.js";
import { DEFAULT_SCHEMA, type Layout } from "../schema/layout.js";
import { NamedStatements } from "../postgres/named-statements.js";
import { checkIndexMethod, type VectorIndexMethod } from "../schema/vector-index-method.js";
import { KnownSchema } from "../schema/known-schema.js";
import { checkSequence } from "../storing/ticket-sequence.js";
import type { WriteTarget } from "../storing/write-target.js";
import { OfferedWords } from "../words/offered-words.js";
import type { Standby } from "../standby/standby.js";
import { WriteTokens } from "../standby/write-tokens.js";
import { checkReaders, openStandby, refuseStandby } from "./readers.js";
import { compileSynonyms, type CompiledSynonyms } from "../words/synonyms.js";
import type { TrainingHeader } from "../chunking/training-input.js";
import type { Filter } from "../types.js";

/** The parts that an index shares with those that are narrowed from it. */
interface SharedParts {
  models: Models;
  /** The host's pool, with bounded waits. */
  pool: BoundedPool;
  header: TrainingHeader | undefined;
  knownSchema: KnownSchema;
  statements: NamedStatements;
  /** Orders the calls of this process, whatever filter their index has. */
  ticketOrder: TicketOrder;
  offeredWords: OfferedWords;
  /** The default `efSearch`. */
  efSearch: number;
  /** Whether the host has chosen how the vector index is searched, and does not rely on the default `efSearch`. */
  choseEfSearch: boolean;
  splitter: Splitter | undefined;
  /** Answers searches and reads; `undefined` without a `readPool`. */
  standby: Standby | undefined;
  tokens: WriteTokens;
  synonyms: CompiledSynonyms | undefined;
  /** The vector index of another extension. */
  method: VectorIndexMethod | undefined;
  /** Reports a fallback to the host. */
  notify: Notify;
}

/** The parts of an open index. */
export interface IndexParts extends SharedParts {
  /** The current layout; it changes when the schema is migrated. */
  readonly layout: Layout;
  /** The filter of the index, compiled. */
  filter: IndexFilter;
  indexer: Indexer;
  remover: Remover;
  reconciler: Reconciler;
  searcher: Searcher;
  reader: Reader;
  exporter: Exporter;
  importer: Importer;
  switcher: Switcher;
}

/**
 * Checks the options of an index, reads its schema, and connects its parts.
 *
 * @throws {@link InvalidArgumentError} before the database is asked
 * @throws {@link SchemaError} | {@link DatabaseError}
 */
export async function openParts(
  embeddings: EmbeddingsInterface | readonly EmbeddingsInterface[],
  options: TrainingIndexOptions,
): Promise<IndexParts> {
  checkIndexOptions(embeddings, options);
  const hostPool = checkPool((options as TrainingIndexOptions | undefined)?.pool);
  const readers = checkReaders(options, hostPool);
  const schema = options.schema ?? DEFAULT_SCHEMA;
  quoteIdentifier(schema, "schema");
  const filter = openingFilter(options.filter);
  const efSearch = checkInteger("hnsw.efSearch", options.hnsw?.efSearch ?? DEFAULT_EF_SEARCH, 1, MAX_K);
  const splitter = checkSplitter(options.splitter);
  const header = checkFunction("header", options.header);
  const method =
    options.vectorIndex === undefined ? undefined : checkIndexMethod(options.vectorIndex, "TrainingIndex.initialize");
  const synonyms = compileSynonyms(options.synonyms);
  const notify = notifier(checkFunction("onNotice", options.onNotice));
  const pool = boundedPool(hostPool, {}, notify);

  const citus = await checkSchema(pool, schema);
  const models = new Models({ given: givenModels(embeddings, options.profile), splitter, notify });
  const know = (database: BoundedPool): KnownSchema =>
    new KnownSchema({
      ...{ pool: database, schema, notify, citus, scanSettings: method?.settings },
      choose: (state, asked) => models.choose(state, asked),
    });
  const knownSchema = know(pool);
  const { layout } = await knownSchema.current(); // now, so that the first search is a single statement like later ones
  refuseStandby(readers, layout);
  await checkSequence(pool, layout, notify);
  const statements = new NamedStatements(pool, notify);
  const standby = await openStandby(readers, { primary: statements, know, notify });
  const shared: SharedParts = {
    models,
    standby,
    tokens: new WriteTokens({ statements, areGiven: readers.tokens, notify }),
    pool,
    header,
    splitter,
    knownSchema,
    statements,
    offeredWords: new OfferedWords({ statements, knownSchema }),
    synonyms,
    ticketOrder: new TicketOrder(),
    efSearch,
    choseEfSearch: options.hnsw?.efSearch !== undefined || method !== undefined,
    method,
    notify,
  };
  return connect(shared, filter);
}

/**
 * The parts of an index that sees less: a further filter is ANDed with its own. Asks the database nothing.
 *
 * @throws {@link InvalidArgumentError}
 */
export function narrowedParts(parts: IndexParts, filter: Filter): IndexParts {
  return connect(parts, narrowedFilter(parts.filter, filter));
}

/** Makes the parts that depend on the filter. */
function connect(shared: SharedParts, filter: IndexFilter): IndexParts {
  const { pool, models, header, knownSchema, statements, offeredWords, ticketOrder, tokens } = shared;
  const { efSearch, synonyms, splitter, standby, method, notify } = shared;
  const target: WriteTarget = {
    get layout() {
      return knownSchema.layout;
    },
    get vectorOid() {
      return knownSchema.vectorOid;
    },
    scope: filter.scope,
  };
  const connection = { statements, knownSchema, notify };
  const writing = { pool, connection, target, models, offeredWords, ticketOrder, tokens, notify };
  const indexer = new Indexer(writing);
  const remover = new Remover({ pool, target, ticketOrder, connection, tokens });
  return {
    ...shared,
    get layout() {
      return knownSchema.layout;
    },
    filter,
    indexer,
    remover,
    reconciler: new Reconciler({
      ...{ pool, statements, knownSchema, target, indexer, remover, models, ticketOrder, tokens, notify },
      filter: filter.condition,
      hasHeader: header !== undefined,
    }),
    searcher: new Searcher({
      ...{ statements, knownSchema, standby, models, efSearch, synonyms, notify },
      filter: filter.condition,
    }),
    reader: new Reader({ statements, knownSchema, standby, filter: filter.condition }),
    exporter: new Exporter({ pool, knownSchema, filter: filter.condition }),
    importer: new Importer({ ...writing, knownSchema, remover, method, scope: filter.scope }),
    switcher: new Switcher({ pool, knownSchema, models, splitter, header, method, notify }),
  };
}

/** The fields that `console.log` shows of an index. */
export function shownParts({ layout: { schema, idType }, models, knownSchema }: IndexParts): object {
  const { model, dimensions } = models.of(knownSchema.latest).profile;
  return { schema, model, dimensions, idType };
}
