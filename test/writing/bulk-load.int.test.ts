import {
  AbortError,
  TrainingIndex,
  type DatabasePool,
  type NoticeTrace,
  type Training,
  type UpsertResult,
} from "langchain-training-index";
import {
  migrate,
  migrationStatus,
  type MigrateOptions,
  type VectorIndexType,
} from "langchain-training-index/migrations";
import type pg from "pg";
import { expect, it, onTestFinished } from "vitest";
import { bulkLoad, type BulkLoadOptions } from "../../src/writing/bulk-load.js";
import { readBuildOfNodes } from "../../src/schema/citus.js";
import type { IndexProgress } from "../../src/schema/index-progress.js";
import { subscribeNotices } from "../support/channels.js";
import { collect, countRows, failureOf, observedPool, openServerPool } from "../support/contract.js";
import {
  describeOnEach,
  citusMode,
  describeOnServer,
  requireServerUrl,
  requireConnectionSetup,
  uniqueName,
  type TestDatabase,
} from "../support/databases.js";
import {
  CountingEmbeddings,
  DIMENSIONS,
  filledIndex,
  openTestIndex,
  smallTraining,
  until,
  type TestIndex,
} from "../support/index.js";
import { explain, recordingPool, withoutName, type Statement } from "../support/recording-pool.js";

const COUNT = 250;
const TRAININGS = Array.from({ length: COUNT }, (_, place) => smallTraining(`t${place}`));

/** An index for the role that may use bulkLoad: the owner of the tables. */
function openLoadable(database: TestDatabase, migration: MigrateOptions = {}): Promise<TestIndex> {
  const { name, owner } = database;
  return openTestIndex({ name, owner, pool: owner }, {}, migration);
}

/** Does the same as `index.bulkLoad`. */
function load(
  { index, schema, owner }: Pick<TestIndex, "index" | "schema" | "owner">,
  trainings: Iterable<Training> | AsyncIterable<Training>,
  options: BulkLoadOptions = {},
  pool: DatabasePool = owner,
): AsyncGenerator<UpsertResult, void, undefined> {
  const citus = citusMode();
  const layout = { schema, idType: "text", extensionSchema: "public", profileId: 1, citus } as const;
  const upsert = (given: typeof trainings): AsyncGenerator<UpsertResult, void, undefined> =>
    index.upsertTrainings(given, { signal: options.signal });
  return bulkLoad({ pool, layout, upsert }, trainings, options);
}

async function indexStateOf({ owner, schema }: TestIndex): Promise<string> {
  return (await migrationStatus(owner, { schema })).vectorIndex;
}

/** The plan of a search with a newly opened index. */
async function planOfSearch({ owner, schema }: TestIndex, dimensions: number): Promise<string> {
  const { pool, statements } = recordingPool(owner);
  const opened = await TrainingIndex.initialize(new CountingEmbeddings(dimensions), { pool, schema });
  await opened.similar("a loja", { k: 5 });
  const statement = statements.at(-1);
  const plan = statement ? await explain(owner, statement) : "";
  return plan.replaceAll(/'\[.*?\]'/g, "'...'");
}

/** The definition of the only vector index. */
async function definitionOf({ owner, schema }: TestIndex): Promise<string> {
  const { rows } = await owner.query<{ definition: string }>(
    `SELECT pg_get_indexdef(indexrelid) AS definition FROM pg_index WHERE indrelid = $1::regclass
      AND pg_get_indexdef(indexrelid) LIKE '%hnsw%'`,
    [`${schema}.chunk_1`],
  );
  expect(rows).toHaveLength(1);
  return rows[0]?.definition ?? "";
}

async function* failing(count: number): AsyncGenerator<Training, void, undefined> {
  await Promise.resolve();
  yield* TRAININGS.slice(0, count);
  throw new Error("a fonte acabou");
}

describeOnEach("a first load", (database) => {
  it("stores all trainings, and leaves a vector index", async () => {
    const test = await openLoadable(database);
    const results = await collect(load(test, TRAININGS));
    expect(results.map(({ id, status }) => `${id} ${status}`)).toEqual(TRAININGS.map(({ id }) => `${id} indexed`));
    expect(await indexStateOf(test)).toBe("valid");
    const [hit] = await test.index.similar("a loja t7");
    expect(hit).toMatchObject({ trainingId: expect.stringMatching(/^t\d+$/) as string });
  });

  it("collects statistics of the metadata for the planner", async () => {
    const test = await openLoadable(database);
    await collect(
      load(
        test,
        TRAININGS.map((training) => ({ ...training, metadata: { grupo: "loja" } })),
      ),
    );
    const { rows } = await test.owner.query<{ attname: string }>(
      "SELECT attname FROM pg_stats WHERE schemaname = $1 AND tablename = 'chunk_1'",
      [test.schema],
    );
    expect(rows.map(({ attname }) => attname)).toContain("metadata");
  });

  it("runs without the vector index, and searches are exact meanwhile", async () => {
    const test = await openLoadable(database);
    let seen = 0;
    for await (const { id } of load(test, TRAININGS)) {
      seen += 1;
      if (seen % 100 !== 1) continue;
      expect(await indexStateOf(test)).toBe("missing");
      expect(await test.index.similar(`a loja ${id.toString()}`, { k: 1 })).toMatchObject([{ trainingId: id }]);
    }
    expect(seen).toBe(COUNT);
  });

  it.each<VectorIndexType>(["vector", "halfvec", "bit"])(
    "rebuilds an index of type %s with its recorded settings",
    async (vectorIndex) => {
      const test = await openLoadable(database, { vectorIndex, hnsw: { m: 8, efConstruction: 40 } });
      const made = await definitionOf(test);
      await collect(load(test, TRAININGS));
      expect(await definitionOf(test)).toBe(made);
      expect(await migrate(test.owner, { schema: test.schema })).toMatchObject({ vectorIndex: "kept" });
    },
  );

  it("rebuilds an index with parameters that were altered by hand", async () => {
    const test = await openLoadable(database);
    await test.owner.query(`ALTER INDEX ${test.schema}.chunk_1_embedding SET (m = 24)`);
    await collect(load(test, TRAININGS.slice(0, 10)));
    expect(await definitionOf(test)).toContain("m='24'");
  });

  it("builds the new index of an interrupted change", async () => {
    const test = await openLoadable(database);
    await test.owner.query(`UPDATE ${test.schema}.profile SET vector_index_next = 'bit'`);
    await collect(load(test, TRAININGS));
    expect(await definitionOf(test)).toContain("bit_hamming_ops");
    expect(await migrationStatus(test.owner, { schema: test.schema })).toMatchObject({
      vectorIndex: "valid",
      vectorIndexType: "bit",
    });
    expect(await migrate(test.owner, { schema: test.schema })).toMatchObject({ vectorIndex: "kept" });
  });

  it("that the caller leaves early is completed by a repeat", async () => {
    const test = await openLoadable(database);
    // More than are processed concurrently.
    const trainings = Array.from({ length: 2 * COUNT }, (_, place) => smallTraining(`t${place}`));
    const stored: UpsertResult[] = [];
    for await (const result of load(test, trainings)) {
      stored.push(result);
      if (stored.length === 50) break;
    }
    expect(await indexStateOf(test)).toBe("missing");
    const again = await collect(load(test, trainings));
    expect(again.slice(0, stored.length).map(({ status }) => status)).toEqual(stored.map(() => "unchanged"));
    expect(again.at(-1)).toMatchObject({ id: trainings.at(-1)?.id, status: "indexed" });
    expect(again).toHaveLength(trainings.length);
    expect(await indexStateOf(test)).toBe("valid");
    expect(await countRows(test, "t7")).toEqual({ training: 1, indexed: 1, chunks: 1 });
  });

  it("whose source throws is completed by migrate, or by another load", async () => {
    for (const complete of [
      (test: TestIndex) => migrate(test.owner, { schema: test.schema }),
      (test: TestIndex) => collect(load(test, [])),
    ]) {
      const test = await openLoadable(database);
      await expect(collect(load(test, failing(150)))).rejects.toThrow("a fonte acabou");
      expect(await indexStateOf(test)).toBe("missing");
      expect(await test.index.similar("a loja t99", { k: 1 })).toMatchObject([{ trainingId: "t99" }]);
      await complete(test);
      expect(await indexStateOf(test)).toBe("valid");
    }
  });

  it("continues after an interrupted drop of the index", async () => {
    const test = await openLoadable(database);
    await test.index.upsertTraining({ id: "antes", content: "A garantia é de um ano." });
    await test.owner.query("UPDATE pg_index SET indisvalid = false WHERE indexrelid = $1::regclass", [
      `${test.schema}.chunk_1_embedding`,
    ]);
    await collect(load(test, TRAININGS.slice(0, 10)));
    expect(await indexStateOf(test)).toBe("valid");
  });

  it("refuses an index with stored chunks, and changes nothing", async () => {
    const test = await openLoadable(database);
    await test.index.upsertTraining({ id: "antes", content: "A garantia é de um ano." });
    for (const options of [{}, { rebuild: false }]) {
      const failure = await failureOf(collect(load(test, TRAININGS, options)));
      expect(failure).toMatchObject({ code: "INVALID_ARGUMENT", option: "rebuild" });
    }
    expect(await indexStateOf(test)).toBe("valid");
    expect(await countRows(test, "t0")).toEqual({ training: 0, indexed: 0, chunks: 0 });
  });

  it("accepts an index with stored chunks with rebuild: true", async () => {
    const test = await openLoadable(database);
    await test.index.upsertTraining(TRAININGS[0] ?? smallTraining("t0"));
    const results = await collect(load(test, TRAININGS, { rebuild: true }));
    expect(results[0]).toMatchObject({ status: "unchanged" });
    expect(results[1]).toMatchObject({ status: "indexed" });
    expect(await indexStateOf(test)).toBe("valid");
  });

  it("applies the given settings to the build, and leaves none of them in the session", async () => {
    const test = await openLoadable(database);
    const { pool, statements } = recordingPool(test.owner);
    const options = { maintenanceWorkMem: "48MB", parallelWorkers: 0 };
    await collect(load(test, TRAININGS.slice(0, 10), options, pool));
    expect(valuesOf("maintenance_work_mem", statements)).toEqual(["48MB"]);
    expect(valuesOf("max_parallel_maintenance_workers", statements)).toEqual(["0"]);
    const { rows } = await test.owner.query(
      "SELECT name FROM pg_settings WHERE name = 'maintenance_work_mem' AND setting = (48 * 1024)::text",
    );
    expect(rows).toEqual([]);
  });

  it("reports the start of the build", async () => {
    const test = await openLoadable(database);
    const told: IndexProgress[] = [];
    await collect(
      load(test, TRAININGS, {
        onIndexProgress: (progress) => {
          told.push(progress);
        },
      }),
    );
    expect(told[0]).toEqual({
      phase: "initializing",
      blocksDone: 0,
      blocksTotal: 0,
      tuplesDone: 0,
      tuplesTotal: 0,
    });
  });

  it("fails with the error that onIndexProgress throws", async () => {
    const test = await openLoadable(database);
    const onIndexProgress = (): void => {
      throw new Error("a tela fechou");
    };
    await expect(collect(load(test, TRAININGS, { onIndexProgress }))).rejects.toMatchObject({
      option: "onIndexProgress",
      cause: { message: "a tela fechou" },
    });
    expect(await indexStateOf(test)).toBe("missing");
  });

  it("ends with AbortError before, during and after the upserts", async () => {
    const aborted = AbortSignal.abort();
    const test = await openLoadable(database);
    expect(await failureOf(collect(load(test, TRAININGS, { signal: aborted })))).toBeInstanceOf(AbortError);
    expect(await indexStateOf(test)).toBe("valid");

    for (const last of [1, COUNT]) {
      const stop = new AbortController();
      const run = async (): Promise<void> => {
        const seen: UpsertResult[] = [];
        for await (const result of load(test, TRAININGS, { signal: stop.signal, rebuild: true })) {
          seen.push(result);
          if (seen.length === last) stop.abort();
        }
      };
      expect(await failureOf(run())).toBeInstanceOf(AbortError);
      expect(await indexStateOf(test)).toBe("missing");
    }
    await collect(load(test, TRAININGS));
    expect(await indexStateOf(test)).toBe("valid");
  });
});

describeOnServer("bulkLoad", (database) => {
  const opened = filledIndex(database, () => Promise.resolve());

  it.each<[string, BulkLoadOptions]>([
    ["options", null as never],
    ["rebuild", { rebuild: "yes" as never }],
    ["maintenanceWorkMem", { maintenanceWorkMem: "512" }],
    ["maintenanceWorkMem", { maintenanceWorkMem: "512 MB" }],
    ["maintenanceWorkMem", { maintenanceWorkMem: "512mb" }],
    ["maintenanceWorkMem", { maintenanceWorkMem: "0MB" }],
    ["maintenanceWorkMem", { maintenanceWorkMem: "1023kB" }],
    ["maintenanceWorkMem", { maintenanceWorkMem: "2048GB" }],
    ["maintenanceWorkMem", { maintenanceWorkMem: "1GB'; DROP TABLE x" }],
    ["maintenanceWorkMem", { maintenanceWorkMem: 512 as never }],
    ["parallelWorkers", { parallelWorkers: -1 }],
    ["parallelWorkers", { parallelWorkers: 65 }],
    ["parallelWorkers", { parallelWorkers: 1.5 }],
    ["onIndexProgress", { onIndexProgress: "log" as never }],
    ["signal", { signal: {} as never }],
    ["trainings", {}],
  ])("refuses an invalid %s before it does anything: %j", async (option, options) => {
    const { owner, embeddings, schema } = opened();
    const trainings = option === "trainings" ? (7 as never) : TRAININGS;
    const { pool, statements } = recordingPool(owner);
    const index = await TrainingIndex.initialize(embeddings, { pool, schema });
    statements.length = 0;
    expect(() => index.bulkLoad(trainings, options)).toThrow(
      expect.objectContaining({ code: "INVALID_ARGUMENT", option }) as Error,
    );
    expect(statements).toEqual([]);
  });
});

describeOnServer("a first load", (database) => {
  it("leaves a vector index that searches use", async () => {
    const dimensions = 1024; // with fewer, Postgres would scan a table of this size
    const test = await openLoadable(database, { dimensions });
    await fillWithNoise(test, { count: 600, dimensions, m: 4, efConstruction: 16 });
    await collect(load(test, TRAININGS));
    expect(await planOfSearch(test, dimensions)).toMatch(/Index Scan using chunk_1_embedding on chunk_1/);
  });

  it("works with a pool of one client, with progress and a signal", async () => {
    const test = await openLoadable(database);
    const pool = openServerPool({ connectionString: requireConnectionSetup().ownerUrl, max: 1 });
    const index = await TrainingIndex.initialize(test.embeddings, { pool, schema: test.schema });
    const told: string[] = [];
    const options: BulkLoadOptions = {
      signal: new AbortController().signal,
      onIndexProgress: ({ phase }) => told.push(phase),
    };
    await collect(load({ ...test, index }, TRAININGS, options, pool));
    expect(told).toEqual(["initializing"]);
    expect(await indexStateOf(test)).toBe("valid");
    expect(pool.totalCount).toBeLessThanOrEqual(1);
  });

  it("is refused to a role that does not own the tables, and changes nothing", async () => {
    const { owner, schema } = await openLoadable(database);
    const role = uniqueName("role");
    await owner.query(
      `CREATE ROLE ${role} LOGIN PASSWORD 'x'; GRANT USAGE ON SCHEMA ${schema} TO ${role};
      GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${schema} TO ${role};
      GRANT USAGE ON SEQUENCE ${schema}.ticket TO ${role}`,
    );
    onTestFinished(async () => {
      await owner.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    });
    const url = new URL(requireServerUrl());
    Object.assign(url, { username: role, password: "x" });
    const pool = openServerPool({ connectionString: url.href });
    const embeddings = new CountingEmbeddings();
    const index = await TrainingIndex.initialize(embeddings, { pool, schema });
    const before = await migrationStatus(owner, { schema });
    for (const prepare of [() => Promise.resolve(), () => owner.query(`DROP INDEX ${schema}.chunk_1_embedding`)]) {
      await prepare();
      const failure = await failureOf(collect(load({ index, schema, owner }, TRAININGS, {}, pool)));
      expect(failure).toMatchObject({ code: "INSUFFICIENT_PRIVILEGE" });
      expect(failure.message).toContain(`"${schema}".chunk_1`);
      expect(embeddings.calls).toBe(0);
    }
    await migrate(owner, { schema });
    expect(await migrationStatus(owner, { schema })).toEqual(before);
  });

  it("reports a conflict with a build of another session", async () => {
    const test = await openLoadable(database);
    const writer = await holdWrite(test);
    const change = migrate(test.owner, { schema: test.schema, vectorIndex: "bit" });
    await until(async () => (await progressOf(test)).length > 0);
    expect(await failureOf(collect(load(test, TRAININGS)))).toMatchObject({
      code: "CONFLICT",
      retryable: true,
    });
    await writer.release();
    expect(await change).toMatchObject({ vectorIndex: "built" });
  });

  it("can run twice concurrently", async () => {
    const test = await openLoadable(database);
    const halves = [TRAININGS.slice(0, COUNT / 2), TRAININGS.slice(COUNT / 2)];
    const loads = await Promise.allSettled(halves.map((half) => collect(load(test, half))));
    for (const outcome of loads) {
      // The one that finds the other one building gets a conflict, and one that begins when chunks are stored is no first load.
      const codes = expect.stringMatching(/^(CONFLICT|INVALID_ARGUMENT)$/) as string;
      if (outcome.status === "rejected") expect(outcome.reason).toMatchObject({ code: codes });
    }
    await collect(load(test, TRAININGS, { rebuild: true }));
    expect(await indexStateOf(test)).toBe("valid");
    expect(await test.index.similar("a loja", { k: 1000 })).toHaveLength(COUNT);
  });

  it("builds without workers if there is not enough shared memory for them", async () => {
    const test = await openLoadable(database);
    await test.owner.query(`ALTER TABLE ${test.schema}.chunk_1 SET (parallel_workers = 2)`);
    const { pool, statements } = recordingPool(test.owner);
    // More memory than any server has, so the workers never run; with this pgvector version they might be unsafe.
    const options = { parallelWorkers: 2, maintenanceWorkMem: "2047GB" };
    const notices = subscribeNotices();
    await collect(load(test, TRAININGS, options, pool));
    expect(buildNotices(notices)).toMatchObject([
      { code: "SERIAL_BUILD", cause: { sqlState: expect.stringMatching(/^53[12]00$/) as string } },
    ]);
    const workers = valuesOf("max_parallel_maintenance_workers", statements);
    expect(workers).toEqual(["2", "0"]);
    expect(await indexStateOf(test)).toBe("valid");
  });

  it("builds without workers on a pgvector version where they are unsafe", async () => {
    const test = await openLoadable(database);
    const { pool, statements } = recordingPool(test.owner);
    const { rows } = await test.owner.query<{ version: string }>(
      "SELECT extversion AS version FROM pg_extension WHERE extname = 'vector'",
    );
    const isSafe = /^0\.8\.[01]$/.exec(rows[0]?.version ?? "") === null;
    const notices = subscribeNotices();
    await collect(load(test, TRAININGS.slice(0, 10), {}, pool));
    expect(buildNotices(notices).map(({ code }) => code)).toEqual(isSafe ? [] : ["SERIAL_BUILD"]);
    const workers = valuesOf("max_parallel_maintenance_workers", statements);
    expect(workers).toEqual(isSafe ? [] : ["0"]);
  });

  it("lets other processes search during the build, while their writes wait", async () => {
    const test = await openLoadable(database);
    const other = await TrainingIndex.initialize(new CountingEmbeddings(), {
      pool: openServerPool({ connectionString: requireConnectionSetup().ownerUrl }),
      schema: test.schema,
    });
    await fillWithNoise(test, SLOW);
    const loading = collect(load(test, TRAININGS));
    await until(async () => (await progressOf(test)).some((phase) => phase.includes("loading tuples")));
    expect(await other.similar("a loja t7", { k: 1 })).toMatchObject([{ trainingId: "t7" }]);
    const written = other.upsertTraining({ id: "depois", content: "A garantia é de um ano." });
    expect(await progressOf(test)).toEqual([expect.stringContaining("loading tuples")]);
    await loading;
    expect(await written).toMatchObject({ status: "indexed" });
    expect(await other.similar("garantia", { k: 1 })).toMatchObject([{ trainingId: "depois" }]);
  });

  it("reports the progress of the build", async () => {
    const test = await openLoadable(database);
    await fillWithNoise(test, SLOW);
    const told: IndexProgress[] = [];
    await collect(load(test, [], { onIndexProgress: (progress) => told.push(progress) }));
    expect(told.map(({ phase }) => phase)).toContain("building index: loading tuples");
    const last = told.at(-1);
    expect(last?.blocksTotal).toBeGreaterThan(0);
    expect(last?.blocksDone).toBeGreaterThan(0);
  });

  it("says once if the progress cannot be read", async () => {
    const test = await openLoadable(database);
    const pool = observedPool(test.owner, {
      before: async (text) => {
        if (text.includes("read-build-progress")) throw new Error("too many connections");
        if (text.includes("CREATE")) await new Promise((resolve) => setTimeout(resolve, 800)); // time for two reads
      },
    });
    const notices = subscribeNotices();
    await collect(load(test, TRAININGS.slice(0, 10), { parallelWorkers: 0, onIndexProgress: () => undefined }, pool));
    expect(buildNotices(notices).map(({ code }) => code)).toEqual(["NO_PROGRESS"]);
  });

  it("that is aborted during the build ends immediately, and so does the build", async () => {
    for (const max of [1, 4]) {
      const test = await openLoadable(database);
      await fillWithNoise(test, SLOWER);
      const stop = new AbortController();
      const pool = openServerPool({ connectionString: requireConnectionSetup().ownerUrl, max });
      const loading = failureOf(collect(load(test, [], { signal: stop.signal }, pool)));
      await until(async () => (await progressOf(test)).some((phase) => phase.includes("loading tuples")));
      stop.abort();
      const begin = performance.now();
      expect(await loading).toBeInstanceOf(AbortError);
      expect(performance.now() - begin).toBeLessThan(1000);
      await until(async () => (await progressOf(test)).length === 0);
      // The complete build would take longer.
      expect(performance.now() - begin).toBeLessThan(3000);
      expect(await indexStateOf(test)).toBe("missing");
      await pool.query("SELECT 1"); // the pool still works
    }
  });

  it("that is aborted while the build waits for a writer ends immediately, and so does the wait", async () => {
    const test = await openLoadable(database);
    await test.owner.query(`DROP INDEX ${test.schema}.chunk_1_embedding`);
    const writer = await holdWrite(test);
    const stop = new AbortController();
    const loading = failureOf(collect(load(test, [], { signal: stop.signal })));
    await until(() => isWaiting(test, "CREATE %INDEX%"));
    stop.abort();
    expect(await loading).toBeInstanceOf(AbortError);
    await until(async () => !(await isWaiting(test, "CREATE %INDEX%")));
    await writer.release();
    expect(await indexStateOf(test)).toBe("missing");
  });

  it("that is aborted while the drop of the index waits for a writer ends immediately", async () => {
    const test = await openLoadable(database);
    const writer = await holdWrite(test);
    const stop = new AbortController();
    const loading = failureOf(collect(load(test, TRAININGS, { signal: stop.signal })));
    await until(() => isWaiting(test, "DROP %INDEX%"));
    stop.abort();
    expect(await loading).toBeInstanceOf(AbortError);
    await writer.release();
    await collect(load(test, TRAININGS));
    expect(await indexStateOf(test)).toBe("valid");
  });
});

interface Noise {
  count: number;
  dimensions: number;
  m: number;
  efConstruction: number;
}

/** A build that takes seconds, and one that takes longer than any test waits. */
const SLOW: Noise = { count: 2000, dimensions: DIMENSIONS, m: 32, efConstruction: 200 };
const SLOWER: Noise = { count: 10_000, dimensions: DIMENSIONS, m: 64, efConstruction: 400 };

/** Drops the index and inserts random vectors, which make its graph slow to build. */
async function fillWithNoise({ owner, schema }: TestIndex, noise: Noise): Promise<void> {
  const { count, dimensions, m, efConstruction } = noise;
  const statements = [
    `DROP INDEX ${schema}.chunk_1_embedding`,
    `UPDATE ${schema}.profile SET hnsw_m = ${m}, hnsw_ef_construction = ${efConstruction}`,
    `INSERT INTO ${schema}.training (id, ticket, content_ticket, barrier, metadata) VALUES ('ruído', 1, 1, 1, '{}')`,
    `INSERT INTO ${schema}.indexed_1 (training_id, fingerprint, splitter, chunk_ids, starts, ends)
      SELECT 'ruído', '', '', array_agg(i::text), array_agg(i), array_agg(i) FROM generate_series(1, ${count}) i`,
    `INSERT INTO ${schema}.chunk_1 (training_id, id, content, metadata, content_hash, embedding)
      SELECT 'ruído', i::text, 'ruído', '{}', '', array_agg(random() - 0.5)::public.vector
      FROM generate_series(1, ${count}) i, generate_series(1, ${dimensions}) GROUP BY i`,
  ];
  for (const statement of statements) await owner.query(statement);
}

/** The phases of the running builds. */
async function progressOf({ owner, schema }: TestIndex): Promise<string[]> {
  if (citusMode()) {
    const build = await readBuildOfNodes(owner, { schema, profileId: 1 });
    return build ? [build.phase] : [];
  }
  const { rows } = await owner.query<{ phase: string }>(
    "SELECT phase FROM pg_stat_progress_create_index WHERE relid = $1::regclass",
    [`${schema}.chunk_1`],
  );
  return rows.map(({ phase }) => phase);
}

/** What a setting was set to. On a cluster the value is in the text of the statement. */
function valuesOf(setting: string, statements: readonly Statement[]): unknown[] {
  const set = new RegExp(`SET LOCAL ${setting} = '(.*)'`);
  return statements.flatMap(({ text, values }) =>
    values?.[0] === setting ? [values[1]] : [set.exec(withoutName(text))?.[1] ?? []].flat(),
  );
}

/** The notices of a load, except that PgBouncer keeps no prepared statements. */
function buildNotices(notices: readonly NoticeTrace[]): NoticeTrace[] {
  return notices.filter(({ code }) => code !== "UNNAMED_STATEMENT");
}

/** Whether a statement on the schema waits for a lock. */
async function isWaiting({ owner, schema }: TestIndex, start: string): Promise<boolean> {
  const { rowCount } = await owner.query(
    "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE $1",
    [`${start}"${schema}"%`],
  );
  return rowCount === 1;
}

/** An open write transaction, which a build waits for. */
async function holdWrite({ owner, schema }: TestIndex): Promise<{ release: () => Promise<void> }> {
  const client: pg.PoolClient = await owner.connect();
  await client.query(`BEGIN; LOCK TABLE ${schema}.chunk_1 IN ROW EXCLUSIVE MODE`);
  return {
    release: async () => {
      await client.query("COMMIT");
      client.release();
    },
  };
}
