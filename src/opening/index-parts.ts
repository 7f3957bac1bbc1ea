import type { EmbeddingsInterface } from "@langchain/core/embeddings";
import { checkFunction, checkInteger } from "../calls/checks.js";
import { Chunker } from "../chunking/chunker.js";
import { Indexer } from "../writing/indexer.js";
import { openIndex, type OpenIndex } from "./open-index.js";
import { refuseOtherModel } from "./model-mismatch.js";
import { notifier, type Notify } from "../calls/notices.js";
import { Exporter } from "../exporting/exporter.js";
import { Importer } from "../exporting/importer.js";
import { Reader } from "../inspecting/reader.js";
import { checkIndexOptions, checkSplitter, type TrainingIndexOptions } from "./index-options.js";
import { DEFAULT_EF_SEARCH, MAX_K } from "../searching/search-options.js";
import { checkPool } from "../calls/host-database.js";
import { Reconciler } from "../reconciling/reconciler.js";
import { Remover } from "../writing/remover.js";
import { Searcher } from "../searching/searcher.js";
import { TicketOrder } from "../writing/ticket-order.js";
import { boundedPool, type BoundedPool } from "../postgres/bounded-database.js";
import { narrowedFilter, openingFilter, type IndexFilter } from "../filtering/index-filter.js";
import { quoteIdentifier } from "../postgres/identifiers.js";
import { DEFAULT_SCHEMA, type Layout } from "../schema/layout.js";
import { NamedStatements } from "../postgres/named-statements.js";
import { claimOf } from "../storing/profile-claim.js";
import { checkIndexMethod, type VectorIndexMethod } from "../schema/vector-index-method.js";
import { KnownSchema } from "../schema/known-schema.js";
import { checkSequence } from "../storing/ticket-sequence.js";
import type { WriteTarget } from "../storing/write-target.js";
import { OfferedWords } from "../words/offered-words.js";
import type { Standby } from "../standby/standby.js";
import { WriteTokens } from "../standby/write-tokens.js";
import { checkReaders, openStandby } from "./readers.js";
import { compileSynonyms, type CompiledSynonyms } from "../words/synonyms.js";
import type { TrainingHeader } from "../chunking/training-input.js";
import type { Filter } from "../types.js";

/** The parts that an index shares with those that are narrowed from it. */
interface SharedParts extends OpenIndex {
  embeddings: EmbeddingsInterface;
  /** The host's pool, with bounded waits. */
  pool: BoundedPool;
  header: TrainingHeader | undefined;
  knownSchema: KnownSchema;
  statements: NamedStatements;
  chunker: Chunker;
  /** Orders the calls of this process, whatever filter their index has. */
  ticketOrder: TicketOrder;
  offeredWords: OfferedWords;
  /** The default `efSearch`. */
  efSearch: number;
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
}

/**
 * Checks the options of an index, reads its schema, and connects its parts.
 *
 * @throws {@link InvalidArgumentError} before the database is asked
 * @throws {@link SchemaError} | {@link DatabaseError}
 */
export async function openParts(embeddings: EmbeddingsInterface, options: TrainingIndexOptions): Promise<IndexParts> {
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

  const open = await openIndex(embeddings, pool, schema, options.profile, notify);
  const { profileId, profile } = open;
  const know = (database: BoundedPool): KnownSchema =>
    new KnownSchema({
      ...{ database, schema, profileId, notify, scanSettings: method?.settings },
      own: profile,
      check: (state, asked) => refuseOtherModel(asked, state, profile),
    });
  const knownSchema = know(pool);
  await knownSchema.current(); // now, so that the first search is a single statement like later ones
  await checkSequence(pool, knownSchema.layout, notify);
  const statements = new NamedStatements(pool, notify);
  const standby = await openStandby(readers, { primary: statements, know, notify });
  const shared: SharedParts = {
    ...open,
    standby,
    tokens: new WriteTokens({ statements, areGiven: readers.tokens, notify }),
    embeddings,
    pool,
    header,
    knownSchema,
    statements,
    offeredWords: new OfferedWords({ statements, knownSchema }),
    synonyms,
    chunker: new Chunker(splitter, profile),
    ticketOrder: new TicketOrder(),
    efSearch,
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
  const { pool, profile, embedder, header, knownSchema, statements, offeredWords, chunker, ticketOrder, tokens } =
    shared;
  const { efSearch, synonyms, standby, method, notify } = shared;
  const { dimensions } = profile;
  const target: WriteTarget = {
    get layout() {
      return knownSchema.layout;
    },
    get vectorOid() {
      return knownSchema.vectorOid;
    },
    scope: filter.scope,
    claim: claimOf(profile),
  };
  const connection = { statements, knownSchema, notify };
  const writing = { pool, connection, target, embedder, chunker, offeredWords, ticketOrder, tokens, notify };
  const indexer = new Indexer(writing);
  const remover = new Remover({ pool, target, ticketOrder, notify, knownSchema, tokens });
  return {
    ...shared,
    get layout() {
      return knownSchema.layout;
    },
    filter,
    indexer,
    remover,
    reconciler: new Reconciler({
      ...{
        pool,
        statements,
        knownSchema,
        target,
        indexer,
        remover,
        embedder,
        chunker,
        ticketOrder,
        tokens,
        notify,
        dimensions,
      },
      filter: filter.condition,
      hasHeader: header !== undefined,
    }),
    searcher: new Searcher({
      ...{ statements, knownSchema, standby, dimensions, embedder, efSearch, synonyms, notify },
      filter: filter.condition,
    }),
    reader: new Reader({ statements, knownSchema, standby, filter: filter.condition }),
    exporter: new Exporter({ pool, knownSchema, filter: filter.condition }),
    importer: new Importer({ ...writing, knownSchema, remover, profile, method, scope: filter.scope }),
  };
}

/** The fields that `console.log` shows of an index. */
export function shownParts({ layout: { schema, idType }, profile: { model, dimensions } }: IndexParts): object {
  return { schema, model, dimensions, idType };
}
