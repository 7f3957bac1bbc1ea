import { Document } from "@langchain/core/documents";
import type { TrainingIndex } from "langchain-training-index";
import type pg from "pg";
import { expect, it } from "vitest";
import { collect, failureOf, holdEmbedding, hookedPool, openAgain, openServerPool } from "../support/contract.js";
import { describeOnServer, requireServerUrl } from "../support/databases.js";
import {
  CountingEmbeddings,
  FIVE_PARAGRAPHS,
  migratedSchema,
  openTestIndex,
  paragraph,
  smallTraining,
} from "../support/index.js";
import { recordingPool } from "../support/recording-pool.js";

const EDITED = FIVE_PARAGRAPHS.replace("Trocas", "Devoluções").replace("Garantia", "Pix");
const EDITED_AGAIN = EDITED.replace("Entregas", "Retiradas").replace("Horários", "Feriados");

/** The calls of an index, each with its number of embedder requests. */
const CALLS: [string, number, (index: TrainingIndex) => Promise<unknown>][] = [
  ["a new training", 1, (index) => index.upsertTraining(smallTraining("novo"))],
  ["an edit", 1, (index) => index.upsertTraining({ id: "a", content: EDITED })],
  ["a repeat", 0, (index) => index.upsertTraining({ id: "a", content: FIVE_PARAGRAPHS })],
  ["many trainings", 1, (index) => collect(index.upsertTrainings(["x", "y", "z"].map(smallTraining)))],
  ["a preparation", 1, async (index) => (await index.prepareTraining({ id: "a", content: EDITED })).commit()],
  ["a search", 1, (index) => index.similar("loja", { efSearch: 200 })],
  ["a filtered search", 1, (index) => index.similar("loja", { filter: { grupo: "x" } })],
  ["a retriever", 1, (index) => index.asRetriever().invoke("loja")],
  ["an MMR search", 1, (index) => index.vectorStore.maxMarginalRelevanceSearch("loja", { k: 2 })],
  ["documents", 1, (index) => index.vectorStore.addDocuments([new Document({ pageContent: "loja" })])],
  ["a read by id", 0, (index) => index.vectorStore.getByIds(["a"])],
  ["a delete", 0, (index) => index.deleteTraining("a")],
  ["a delete by filter", 0, (index) => index.deleteTrainings({ filter: { grupo: "x" } })],
  ["a delete in the vector store", 0, (index) => index.vectorStore.delete({ ids: ["b"] })],
  ["a prune", 0, (index) => index.prune({ olderThanMs: 1 })],
];

function expectNoClientTaken(pool: pg.Pool): void {
  expect(pool.ended).toBe(false);
  expect(pool.idleCount).toBe(pool.totalCount);
  expect(pool.waitingCount).toBe(0);
}

async function errorListenersOf(pool: pg.Pool): Promise<number> {
  const client = await pool.connect();
  const count = client.listenerCount("error");
  client.release();
  return count;
}

/** A pool of one client. */
function singleClientPool(): pg.Pool {
  return openServerPool({ max: 1 });
}

// Guards: texts are embedded before a client is taken, clients are released, no call needs a second client.
describeOnServer("C8 Short locks", (database) => {
  it.each(CALLS)("no client is taken while %s embeds (requests: %i), nor afterwards", async (_name, requests, call) => {
    const test = await openTestIndex(database);
    await test.index.upsertTraining({ id: "a", content: FIVE_PARAGRAPHS, metadata: { grupo: "x" } });
    const taken: unknown[] = [];
    const look = (): void => {
      taken.push(test.pool.totalCount - test.pool.idleCount);
    };
    const embedQuery = test.embeddings.embedQuery.bind(test.embeddings);
    test.embeddings.before = look;
    test.embeddings.embedQuery = (text) => {
      look();
      return embedQuery(text);
    };
    await call(test.index);
    expect(taken).toEqual(Array.from({ length: requests }, () => 0));
    expectNoClientTaken(test.pool);
  });

  it.each(CALLS)("a pool with one client is enough for %s", async (_name, _requests, call) => {
    const test = await openTestIndex(database);
    const pool = singleClientPool();
    const index = await openAgain(test, pool);
    await index.upsertTraining({ id: "a", content: FIVE_PARAGRAPHS, metadata: { grupo: "x" } });
    await call(index);
    expect(pool.totalCount).toBe(1);
    expectNoClientTaken(pool);
  });

  it("a pool with one client is enough for twenty concurrent calls", async () => {
    const test = await openTestIndex(database);
    const pool = singleClientPool();
    const index = await openAgain(test, pool);
    await Promise.all(
      Array.from({ length: 20 }, async (_, place) => {
        await index.upsertTraining(smallTraining(`t${place}`));
        if (place % 4 === 0) await index.deleteTraining(`t${place}`);
        await index.similar("loja");
      }),
    );
    expect(await index.similar("loja", { k: 100 })).toHaveLength(15);
    expectNoClientTaken(pool);
  });

  it.each<[string, (test: { index: TrainingIndex; embeddings: CountingEmbeddings }) => Promise<unknown>]>([
    [
      "the embedder",
      ({ index, embeddings }) => {
        embeddings.before = () => Promise.reject(new Error("sem memória"));
        return index.upsertTraining({ id: "a", content: EDITED });
      },
    ],
    [
      "the signal",
      ({ index, embeddings }) => {
        const controller = new AbortController();
        embeddings.before = () => {
          controller.abort();
        };
        return index.upsertTraining({ id: "a", content: EDITED }, { signal: controller.signal });
      },
    ],
    ["an argument", ({ index }) => index.similar("loja", { k: 0 })],
    ["a statement of the swap", ({ index }) => index.upsertTraining({ id: "proibido", content: EDITED })],
    ["a statement of a delete", ({ index }) => index.deleteTraining("proibido")],
  ])("releases the client and removes its listeners after a failure of %s", async (_name, call) => {
    const test = await openTestIndex(database);
    const pool = singleClientPool();
    const index = await openAgain(test, pool, test.embeddings);
    await index.upsertTraining({ id: "a", content: FIVE_PARAGRAPHS });
    await test.owner.query(`ALTER TABLE ${test.schema}.training ADD CHECK (id <> 'proibido')`);
    for (let round = 0; round < 3; round++) await failureOf(call({ index, embeddings: test.embeddings }));
    expectNoClientTaken(pool);
    test.embeddings.before = () => undefined;
    const listeners = await errorListenersOf(pool);
    expect(await index.upsertTraining({ id: "a", content: EDITED })).toMatchObject({ status: "indexed" });
    await index.deleteTraining("a");
    expect(await errorListenersOf(pool)).toBe(listeners);
  });

  it("never ends the host's pool, not even through the vector store", async () => {
    const { index, pool } = await openTestIndex(database);
    await index.vectorStore.end();
    await index.upsertTraining(smallTraining("a"));
    expectNoClientTaken(pool);
  });

  it("a search is one statement outside any transaction and leaves no setting behind", async () => {
    const { pool } = database;
    const recorded = recordingPool(pool);
    const index = await openAgain({ schema: await migratedSchema(database) }, recorded.pool);
    await index.upsertTraining({ id: "a", content: "loja" });
    recorded.statements.length = 0;
    await index.similar("loja", { efSearch: 200 });
    expect(recorded.statements).toHaveLength(1);
    const { rows } = await pool.query(
      "SELECT current_setting('hnsw.ef_search', true) AS ef, current_setting('hnsw.iterative_scan', true) AS scan",
    );
    expect(rows).toEqual([{ ef: "40", scan: "off" }]);
  });

  // Guards: arrays of values instead of one statement for each chunk.
  it("an edit of 200 chunks takes at most 4 statements, as many as one of 20", async () => {
    const lengths = [20, 200].map(async (count) => {
      const schema = await migratedSchema(database);
      const recorded = recordingPool(database.pool);
      const index = await openAgain({ schema }, recorded.pool);
      const content = Array.from({ length: count }, (_, place) => paragraph(`Parte ${place}`)).join("\n\n");
      await index.upsertTraining({ id: "a", content, metadata: { ano: 2025 } });
      await index.upsertTraining(smallTraining("b")); // reads once that the table has become large
      recorded.statements.length = 0;
      const edited = content.replace(/Parte \d*[05]:/g, (part) => `Nova ${part}`).replace("Parte 7:", "");
      await index.upsertTraining({ id: "a", content: edited, metadata: { ano: 2026 } });
      const texts = recorded.statements.map(({ text }) => text);
      expect(texts.at(-1)).toContain("INSERT INTO");
      expect(texts.filter((text) => /^\s*(BEGIN|COMMIT)/.test(text))).toEqual([]);
      return texts.length;
    });
    const [short, long] = await Promise.all(lengths);
    expect(long).toBe(short);
    expect(long).toBeLessThanOrEqual(4); // tickets, stored chunks, stored texts, the swap
  });

  // Guards: the statement of a delete, which says without another one what became of each training.
  it("a delete takes 2 statements, also one that comes too late or finds nothing", async () => {
    const schema = await migratedSchema(database);
    const recorded = recordingPool(database.pool);
    const index = await openAgain({ schema }, recorded.pool);
    await index.upsertTraining({ ...smallTraining("a"), revision: 2 });
    for (const [id, revision, status] of [
      ["a", 1, "superseded"],
      ["a", 2, "deleted"],
      ["a", 1, "absent"],
      ["b", undefined, "absent"],
    ] as const) {
      recorded.statements.length = 0;
      expect(await index.deleteTraining(id, { revision })).toMatchObject({ status });
      expect(recorded.statements).toHaveLength(2); // the ticket, the delete
    }
  });
});

// Guards: nothing is locked and no transaction is open until all texts are embedded.
describeOnServer("C8 Short locks", (database) => {
  it("no call of the library opens a transaction, and none holds a lock while texts are embedded", async () => {
    const test = await openTestIndex(database);
    await test.index.upsertTraining({ id: "a", content: FIVE_PARAGRAPHS });
    const lockHolders = async (): Promise<number> => {
      const { rowCount } = await test.owner.query(
        `SELECT DISTINCT l.pid FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
          JOIN pg_stat_activity a ON a.pid = l.pid AND a.backend_type = 'client backend'
          WHERE c.relnamespace = $1::regnamespace AND l.pid <> pg_backend_pid()`,
        [test.schema],
      );
      return rowCount ?? 0;
    };
    const inTransactions: string[] = [];
    const pool = hookedPool(openServerPool(), (text) => {
      if (typeof text === "string" && /^(BEGIN|COMMIT)/.test(text)) inTransactions.push(text);
    });
    const embeddings = new CountingEmbeddings();
    const whileEmbedding: number[] = [];
    embeddings.before = async () => {
      whileEmbedding.push(await lockHolders());
    };
    const index = await openAgain(test, pool, embeddings);
    const results = [
      await index.upsertTraining({ id: "a", content: EDITED }),
      await (await index.prepareTraining({ id: "a", content: FIVE_PARAGRAPHS })).commit(),
      ...(await collect(index.upsertTrainings(["x", "y"].map(smallTraining)))),
    ];
    expect(results.map(({ status }) => status)).toEqual(["indexed", "indexed", "indexed", "indexed"]);
    expect(whileEmbedding).toEqual([0, 0, 0]);
    expect(inTransactions).toEqual([]);
  });

  it("another session can lock the training and its tables while it is embedded", async () => {
    const test = await openTestIndex(database);
    await test.index.upsertTraining({ id: "a", content: FIVE_PARAGRAPHS });
    const held = holdEmbedding(test.embeddings, "Pix");
    const upsert = test.index.upsertTraining({ id: "a", content: EDITED });
    await held.reached;
    const { schema, owner } = test;
    const locked = await owner.query(`SELECT FROM ${schema}.training WHERE id = 'a' FOR UPDATE NOWAIT`);
    expect(locked.rowCount).toBe(1);
    const tables = ["training", "indexed_1", "chunk_1", "profile"].map((name) => `${schema}.${name}`).join();
    await owner.query(`BEGIN; LOCK TABLE ${tables} IN ACCESS EXCLUSIVE MODE NOWAIT; COMMIT`);
    held.release();
    expect(await upsert).toMatchObject({ status: "indexed" });
  });

  it("a preparation holds no lock until its commit", async () => {
    const test = await openTestIndex(database);
    await test.index.upsertTraining({ id: "a", content: FIVE_PARAGRAPHS });
    const prepared = await test.index.prepareTraining({ id: "a", content: EDITED });
    await test.owner.query(`SELECT FROM ${test.schema}.training WHERE id = 'a' FOR UPDATE NOWAIT`);
    await test.owner.query(`BEGIN; LOCK TABLE ${test.schema}.chunk_1 IN ACCESS EXCLUSIVE MODE NOWAIT; COMMIT`);
    expect(await prepared.commit()).toMatchObject({ status: "indexed" });
  });

  it("an exhausted pool is a typed error, and calls succeed once clients are free", async () => {
    const test = await openTestIndex(database);
    const pool = openServerPool({ max: 2 });
    const index = await openAgain(test, pool);
    const prepared = await index.prepareTraining({ id: "a", content: FIVE_PARAGRAPHS });
    const clients = [await pool.connect(), await pool.connect()];
    pool.options.connectionTimeoutMillis = 100; // set only now: on a busy machine the first connections may take longer
    for (const call of [
      () => index.similar("loja"),
      () => index.upsertTraining(smallTraining("b")),
      () => index.deleteTraining("b"),
      () => prepared.commit(),
    ]) {
      const failure = await failureOf(call());
      expect(failure).toMatchObject({ name: "DatabaseError", code: "CONNECTION_FAILED", retryable: true });
    }
    for (const client of clients) client.release();
    expect(await prepared.commit()).toMatchObject({ status: "indexed", chunks: 5 });
    expect(await index.upsertTraining(smallTraining("b"))).toMatchObject({ status: "indexed" });
    expect(await index.similar("loja", { k: 10 })).toHaveLength(6);
    expectNoClientTaken(pool);
  });

  // Guards: `set_config(..., true)`; no advisory locks, temporary tables, cursors or LISTEN.
  it("leaves the session as the host configured it", async () => {
    const test = await openTestIndex(database);
    const pool = openServerPool({ connectionString: requireServerUrl(), max: 1 });
    const index = await openAgain(test, pool, test.embeddings);
    await index.similar("loja"); // loads pgvector, so that the host can change its settings
    await index.upsertTraining({ id: "a", content: FIVE_PARAGRAPHS, metadata: { grupo: "x" } }); // prepares the named statement
    await pool.query(
      "SET hnsw.ef_search = 77; SET hnsw.iterative_scan = relaxed_order; SET TIME ZONE 'America/Sao_Paulo'",
    );
    await pool.query("SET default_transaction_isolation = 'repeatable read'; PREPARE of_the_host AS SELECT 1");
    const before = await sessionOf(pool);
    expect(before.settings).toContain("hnsw.ef_search=77");
    for (const [, , call] of CALLS) for (let round = 0; round < 7; round++) await call(index);
    test.embeddings.before = () => Promise.reject(new Error("sem memória"));
    await failureOf(index.upsertTraining({ id: "a", content: EDITED_AGAIN }));
    expect(await sessionOf(pool)).toEqual(before);
  });
});

/** Everything that a call could leave behind in a session. */
async function sessionOf(pool: pg.Pool): Promise<{ settings: unknown[] } & Record<string, unknown[]>> {
  const list = async (query: string): Promise<unknown[]> =>
    (await pool.query<{ line: unknown }>(query)).rows.map(({ line }) => line);
  return {
    backend: await list("SELECT pg_backend_pid() AS line"),
    settings: await list("SELECT name || '=' || setting AS line FROM pg_settings ORDER BY 1"),
    prepared: await list("SELECT name AS line FROM pg_prepared_statements"),
    cursors: await list("SELECT name AS line FROM pg_cursors WHERE name <> ''"),
    locks: await list("SELECT locktype AS line FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory'"),
    temporary: await list("SELECT relname AS line FROM pg_class WHERE relnamespace = pg_my_temp_schema()"),
    channels: await list("SELECT pg_listening_channels() AS line"),
  };
}
