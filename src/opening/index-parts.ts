import type { EmbeddingsInterface } from "@langchain/core/embeddings";
import { checkFunction, checkInteger } from "../calls/checks.js";
import { Chunker } from "../chunking/chunker.js";
import { Indexer } from "../writing/indexer.js";
import { openIndex, type OpenIndex } from "./open-index.js";
import { refuseOtherModel } from "./model-mismatch.js";
import { notifier, type Notify } from "../calls/notices.js";
import { checkIndexOptions, checkSplitter, type TrainingIndexOptions } from "./index-options.js";
import { DEFAULT_EF_SEARCH, MAX_K } from "../searching/search-options.js";
import { checkPool } from "../calls/host-database.js";
import { Reconciler } from "../reconciling/reconciler.js";
import { Remover } from "../writing/remover.js";
import { Searcher } from "../searching/searcher.js";
import { TicketOrder } from "../writing/ticket-order.js";
import { boundedPool, type BoundedPool } from "../postgres/bounded-database.js";
import { compileScope, type Scope } from "../filtering/scope.js";
import { quoteIdentifier } from "../postgres/identifiers.js";
import { DEFAULT_SCHEMA, type Layout } from "../schema/layout.js";
import { NamedStatements } from "../postgres/named-statements.js";
import { claimOf } from "../storing/profile-claim.js";
import { KnownSchema } from "../schema/known-schema.js";
import { checkSequence } from "../storing/ticket-sequence.js";
import type { WriteTarget } from "../storing/write-target.js";
import type { TrainingHeader } from "../chunking/training-input.js";

/** The parts of an open index. */
export interface IndexParts extends OpenIndex {
  embeddings: EmbeddingsInterface;
  /** The host's pool, with bounded waits. */
  pool: BoundedPool;
  /** The current layout; it changes when the schema is migrated. */
  readonly layout: Layout;
  /** The filter of the index, compiled. */
  scope: Scope;
  header: TrainingHeader | undefined;
  indexer: Indexer;
  remover: Remover;
  reconciler: Reconciler;
  searcher: Searcher;
  knownSchema: KnownSchema;
  /** Reports a fallback to the host. */
  notify: Notify;
}

/**
 * Checks the options of an index, reads its schema, and connects its parts.
 *
 * @throws {@link InvalidArgumentError} before the database is asked
 * @throws {@link SchemaError} | {@link DatabaseError}
 */
export async function openParts(embeddings: EmbeddingsInterface, options: TrainingIndexOptions): Promise<IndexParts> {
  checkIndexOptions(embeddings, options);
  const pool = boundedPool(checkPool((options as TrainingIndexOptions | undefined)?.pool));
  const schema = options.schema ?? DEFAULT_SCHEMA;
  quoteIdentifier(schema, "schema");
  const scope = compileScope(options.filter);
  const efSearch = checkInteger("hnsw.efSearch", options.hnsw?.efSearch ?? DEFAULT_EF_SEARCH, 1, MAX_K);
  const splitter = checkSplitter(options.splitter);
  const header = checkFunction("header", options.header);
  const notify = notifier(checkFunction("onNotice", options.onNotice));

  const open = await openIndex(embeddings, pool, schema, options.profile, notify);
  const { profileId, embedder, profile } = open;
  const knownSchema = new KnownSchema({
    database: pool,
    schema,
    profileId,
    own: profile,
    check: (state, database) => refuseOtherModel(database, state, profile),
    notify,
  });
  await knownSchema.current(); // now, so that the first search is a single statement like later ones
  await checkSequence(pool, knownSchema.layout, notify);
  const target: WriteTarget = {
    get layout() {
      return knownSchema.layout;
    },
    get vectorOid() {
      return knownSchema.vectorOid;
    },
    scope,
    claim: claimOf(profile),
  };
  const chunker = new Chunker(splitter, profile);
  const ticketOrder = new TicketOrder();
  const statements = new NamedStatements(pool, notify);
  const { dimensions } = profile;
  const indexer = new Indexer({
    pool,
    connection: { statements, knownSchema, notify },
    target,
    embedder,
    chunker,
    ticketOrder,
    notify,
  });
  const remover = new Remover({ pool, target, ticketOrder, notify, knownSchema });
  return {
    ...open,
    embeddings,
    pool,
    get layout() {
      return knownSchema.layout;
    },
    scope,
    header,
    indexer,
    remover,
    reconciler: new Reconciler({
      ...{ pool, target, knownSchema, indexer, remover, embedder, chunker, ticketOrder, notify, dimensions },
      hasHeader: header !== undefined,
    }),
    searcher: new Searcher({ statements, knownSchema, dimensions, embedder, scope, efSearch, notify }),
    knownSchema,
    notify,
  };
}

/** The fields that `console.log` shows of an index. */
export function shownParts({ layout: { schema, idType }, profile: { model, dimensions } }: IndexParts): object {
  return { schema, model, dimensions, idType };
}
