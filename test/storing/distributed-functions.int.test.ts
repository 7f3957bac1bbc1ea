import type pg from "pg";
import { expect, it, onTestFinished } from "vitest";
import type { PlannedChunk } from "../../src/chunking/chunk-plan.js";
import { namesOf, type CitusMode } from "../../src/schema/layout.js";
import { statisticsFunction } from "../../src/schema/lexemes.js";
import { shardFunctions } from "../../src/schema/citus.js";
import type { PlannedTraining } from "../../src/storing/chunk-difference.js";
import { MissingClaim, type Claim } from "../../src/storing/profile-claim.js";
import { remove, removeLeftovers, tryRemove } from "../../src/storing/removal.js";
import { swap, touch, type SwapConnection } from "../../src/storing/swap.js";
import { swapStatement, compareVersions } from "../../src/storing/swap-statement.js";
import type { ClaimedTarget } from "../../src/storing/write-target.js";
import { describeOnServerOrEmbedded, type TestDatabase } from "../support/databases.js";
import { DIMENSIONS } from "../support/index.js";
import { spreadSchema } from "../support/spread-schema.js";

const MODEL: Claim = ["modelo", "consulta: ", "texto: ", DIMENSIONS.toString()];
const SCOPE = ['{"bot": 1}'];
const STORED_TICKET = "10";
const STORED_REVISION = "2";

/** A vector in a direction of its own. */
function direction(place: number): Float32Array {
  return Float32Array.from({ length: DIMENSIONS }, (_, component) => (component === place ? 1 : 0));
}

const TEXTS = ["alfa", "beta", "gama", "delta"];
const IN_OURS = { isOwnTransaction: true };
const VECTORS = new Map(TEXTS.map((text, place) => [hashOf(text), direction(place)]));

function hashOf(text: string): string {
  return Buffer.from(text).toString("hex");
}

function chunk(id: string, content: string, metadata = '{"bot":1}'): PlannedChunk {
  return { id, content, metadata, hash: hashOf(content), vector: undefined, start: 0, end: content.length };
}

/** What a call asks for, and what it finds stored. */
interface Case {
  /** What is stored; `undefined` for nothing. */
  stored: { isDeleted: boolean; revision: string | null; barrier: string; metadata: string } | undefined;
  ticket: string;
  revision: string | null;
  scope: string[];
}

/** All combinations of what decides whether a call is admitted. */
function* allCases(): Generator<Case> {
  const calls = ["5", STORED_TICKET, "15"].flatMap((ticket) =>
    [null, "1", STORED_REVISION, "3"].map((revision) => ({ ticket, revision })),
  );
  const living = [null, STORED_REVISION].flatMap((revision) =>
    ["0", "15"].map((barrier) => ({ isDeleted: false, revision, barrier })),
  );
  const states = [...living, ...living.map((state) => ({ ...state, isDeleted: true }))];
  for (const call of calls) {
    for (const scope of [[], SCOPE]) {
      yield { ...call, scope, stored: undefined };
      const metadata = scope.length === 0 ? ['{"bot": 1}'] : ['{"bot": 1}', '{"bot": 2}'];
      for (const text of metadata)
        for (const state of states) yield { ...call, scope, stored: { ...state, metadata: text } };
    }
  }
}

interface Opened {
  schema: string;
  local: ClaimedTarget;
  spread: ClaimedTarget;
  client: pg.PoolClient;
  /** Runs work as if it had never run, and returns what it returns, with what it stored. */
  undone: <Outcome>(stored: Case["stored"], work: () => Promise<Outcome>) => Promise<unknown>;
}

/** A schema that is claimed for {@link MODEL}, and one client of the pool, on which everything runs. */
async function open(database: TestDatabase, citus: CitusMode = "tables", scope: string[] = []): Promise<Opened> {
  const textSearch = citus === "schema" ? ("portuguese" as const) : undefined;
  const made = await spreadSchema(database, { citus, ...(textSearch && { textSearch }) });
  const schema = `"${made.schema.replaceAll('"', '""')}"`;
  await database.owner.query(
    `UPDATE ${schema}.profile SET model = $1, query_prefix = $2, document_prefix = $3 WHERE dimensions::text = $4`,
    [...MODEL],
  );
  const [local, spread] = [await made.local(), await made.spread()].map(({ layout, vectorOid }): ClaimedTarget => ({
    layout,
    vectorOid,
    scope,
    claim: MODEL,
  }));
  if (!local || !spread) throw new Error("there are two targets");
  const client = await database.pool.connect();
  onTestFinished(() => {
    client.release();
  });
  const rowsOf = async (table: string): Promise<unknown[]> =>
    (
      await client.query<{ row: Record<string, unknown> }>(
        `SELECT to_jsonb(r) - 'updated_at' - 'created_at' AS row FROM ${schema}.${table} r ORDER BY 1`,
      )
    ).rows.map(({ row }) => ("deleted_at" in row ? { ...row, deleted_at: row["deleted_at"] !== null } : row));
  return {
    schema,
    local,
    spread,
    client,
    undone: async (stored, work) => {
      await client.query("BEGIN");
      try {
        if (stored) await store(client, schema, stored, textSearch !== undefined);
        const outcome = await work();
        const rows = [await rowsOf("training"), await rowsOf("indexed_1"), await rowsOf("chunk_1")];
        return { outcome, rows };
      } finally {
        await client.query("ROLLBACK");
      }
    },
  };
}

/** Stores the training `a` with five chunks, or its tombstone. */
async function store(
  client: pg.PoolClient,
  schema: string,
  { isDeleted, revision, barrier, metadata }: NonNullable<Case["stored"]>,
  hasLexemes: boolean,
): Promise<void> {
  await client.query(
    `INSERT INTO ${schema}.training (id, ticket, content_ticket, revision, barrier, metadata, deleted_at)
    VALUES ('a', ${STORED_TICKET}, ${STORED_TICKET}, $1, $2, $3, ${isDeleted ? "now()" : "NULL"})`,
    [revision, barrier, metadata],
  );
  if (isDeleted) return;
  for (const [place, text] of ["alfa", "beta", "gama", "gama", "gama"].entries()) {
    await client.query(
      `INSERT INTO ${schema}.chunk_1 (training_id, id, content, metadata, content_hash, embedding${hasLexemes ? ", lexemes" : ""})
      VALUES ('a', $1, $2, '{"bot": 1}', decode($3, 'hex'), $4::text::public.vector${hasLexemes ? ", ''" : ""})`,
      [`c${place}`, text, hashOf(text), `[${VECTORS.get(hashOf(text))?.join(",")}]`],
    );
  }
  await client.query(
    `INSERT INTO ${schema}.indexed_1 (training_id, fingerprint, splitter, chunk_ids, starts, ends)
    VALUES ('a', 'x', 's', '{c0,c1,c2,c3,c4}', '{0,0,0,0,0}', '{4,4,4,4,4}')`,
  );
}

/** A new version of `a`: it keeps, copies, changes, replaces, removes and adds chunks. */
function newVersion({ ticket, revision }: Pick<Case, "ticket" | "revision">): PlannedTraining {
  return {
    key: "a",
    ticket,
    revision,
    metadata: '{"bot":1}',
    fingerprint: "abcd",
    splitter: "outro",
    stored: undefined,
    chunks: [
      chunk("c0", "alfa"),
      chunk("n1", "alfa"),
      chunk("c3", "alfa"), // with the id of another text, whose vector goes
      chunk("c1", "delta"),
      chunk("c2", "gama", '{"bot":1,"nova":true}'),
      chunk("n2", "delta"),
    ],
  };
}

describeOnServerOrEmbedded("the functions that write to a schema on a cluster, run on one server", (database) => {
  it.each(["tables", "schema"] as const)(
    'store what the statement for one server stores, for every order of calls: citus "%s"',
    async (citus) => {
      const { local, spread, client, undone } = await open(database, citus);
      // For a stored version the text "alfa" and "gama" has a vector there already.
      const vectorsFor = (stored: Case["stored"]): Map<string, Float32Array> =>
        stored && !stored.isDeleted ? new Map([[hashOf("delta"), direction(3)]]) : VECTORS;
      let admitted = 0;
      for (const each of allCases()) {
        const swapIn = (target: ClaimedTarget) => () =>
          swap(client, { ...target, scope: each.scope }, [newVersion(each)], vectorsFor(each.stored), IN_OURS);
        const found = await undone(each.stored, swapIn(spread));
        expect(found, JSON.stringify(each)).toEqual(await undone(each.stored, swapIn(local)));
        if (JSON.stringify(found).includes('"indexed"')) admitted += 1;
      }
      expect(admitted).toBeGreaterThan(100);
    },
    240_000,
  );

  it("store nothing if another version is stored than the call compared its own with", async () => {
    const { local, spread, client, undone } = await open(database);
    const stored = { isDeleted: false, revision: null, barrier: "0", metadata: "{}" };
    for (const [state, replaced] of [
      [stored, "9"],
      [stored, null],
      [{ ...stored, isDeleted: true }, STORED_TICKET],
      [undefined, STORED_TICKET],
    ] as const) {
      const write = (target: ClaimedTarget) => async () => {
        const training = newVersion({ ticket: "15", revision: null });
        const version = compareVersions([training], [], VECTORS);
        const { text, values } = swapStatement(target, [training], new Map([["a", replaced]]), version, VECTORS);
        return (await client.query(text, values)).rows as unknown[];
      };
      const found = await undone(state, write(spread));
      expect(found).toMatchObject({ outcome: [] });
      expect(found).toEqual(await undone(state, write(local)));
    }
  });

  it("record a repeat as the statement for one server does, for every order of calls", async () => {
    const { local, spread, client, undone } = await open(database);
    let touched = 0;
    const touchIn =
      ({ ticket, revision, scope }: Case, unchangedSince: string, target: ClaimedTarget) =>
      async (): Promise<string[]> => [
        ...(await touch(connectionTo(client), client, { ...target, scope }, [
          { key: "a", ticket, revision, unchangedSince },
        ])),
      ];
    for (const each of allCases()) {
      const found = await undone(each.stored, touchIn(each, STORED_TICKET, spread));
      expect(found, JSON.stringify(each)).toEqual(await undone(each.stored, touchIn(each, STORED_TICKET, local)));
      if ((found as { outcome: string[] }).outcome.length > 0) touched += 1;
    }
    expect(touched).toBeGreaterThan(20);
    // Another version is stored than the one that the call has compared its own with.
    const [stored, scope]: [Case["stored"], string[]] = [
      { isDeleted: false, revision: null, barrier: "0", metadata: "{}" },
      [],
    ];
    const newest = { ticket: "15", revision: null, stored, scope };
    expect(await undone(stored, touchIn(newest, STORED_TICKET, spread))).toMatchObject({ outcome: ["a"] });
    expect(await undone(stored, touchIn(newest, "9", spread))).toMatchObject({ outcome: [] });
  }, 120_000);

  it("delete what the statements for one server delete, for every order of calls", async () => {
    const { local, spread, client, undone } = await open(database);
    const outcomes = new Set<string>();
    for (const each of allCases()) {
      const { ticket, revision } = each;
      const removal = { trainings: [{ key: "a", revision }], ticket, condition: undefined };
      const removeFrom = (target: ClaimedTarget) => () => remove(client, { ...target, scope: each.scope }, removal);
      const found = await undone(each.stored, removeFrom(spread));
      expect(found, JSON.stringify(each)).toEqual(await undone(each.stored, removeFrom(local)));
      for (const { status } of (found as { outcome: { status: string }[] }).outcome) outcomes.add(status);
    }
    expect([...outcomes].sort()).toEqual(["absent", "deleted", "superseded"]);
  }, 120_000);

  it("delete as a transaction of their own, and leave a training that a newer call has to the other way", async () => {
    const { spread, client, undone } = await open(database);
    const stored = { isDeleted: false, revision: null, barrier: "0", metadata: "{}" };
    const removeAt = (ticket: string) => () =>
      tryRemove(connectionTo(client), client, spread, {
        trainings: [
          { key: "a", revision: null },
          { key: "nada", revision: null },
        ],
        ticket,
        condition: undefined,
      }).then((outcomes) => Object.fromEntries(outcomes));
    const absent = { status: "absent", removed: 0 };
    expect(await undone(stored, removeAt("15"))).toMatchObject({
      outcome: { a: { status: "deleted", removed: 5 }, nada: absent },
    });
    expect(await undone(stored, removeAt("5"))).toMatchObject({ outcome: { nada: absent } });
  });

  it("write nothing for another model than the one that the schema is claimed for", async () => {
    const { spread, client, undone } = await open(database);
    const other = { ...spread, claim: ["outro", ...MODEL.slice(1)] as unknown as Claim };
    const stored = { isDeleted: false, revision: null, barrier: "0", metadata: "{}" };
    const call = { ticket: "15", revision: null };
    const refused = async (work: Promise<unknown>): Promise<string> => {
      await expect(work).rejects.toThrow(MissingClaim);
      return "refused";
    };
    const before = await undone(stored, () => Promise.resolve("refused"));
    const touchOther = (): Promise<string> =>
      refused(touch(connectionTo(client), client, other, [{ key: "a", ...call, unchangedSince: STORED_TICKET }]));
    expect(await undone(stored, () => refused(swap(client, other, [newVersion(call)], VECTORS, IN_OURS)))).toEqual(
      before,
    );
    expect(await undone(stored, touchOther)).toEqual(before);
  });

  it("delete nothing once another profile is active", async () => {
    const { spread, client, undone, schema } = await open(database);
    const stored = { isDeleted: false, revision: null, barrier: "0", metadata: "{}" };
    const removal = { trainings: [{ key: "a", revision: null }], ticket: "15", condition: undefined };
    const found = undone(stored, async () => {
      await client.query(`UPDATE ${schema}.profile SET status = 'retired'`);
      return remove(client, spread, removal);
    });
    await expect(found).rejects.toMatchObject({ code: "PROFILE_RETIRED" });
  });

  it("delete the chunks of deleted trainings in the scope, and of ids without a training, and no others", async () => {
    const { local, spread, client, undone, schema } = await open(database);
    const states: Case["stored"][] = ['{"bot": 1}', '{"bot": 2}'].map((metadata) => ({
      isDeleted: false,
      revision: null,
      barrier: "0",
      metadata,
    }));
    const left: number[] = [];
    for (const state of states) {
      for (const change of ["deleted_at = now()", "metadata = metadata", undefined]) {
        const clean = (target: ClaimedTarget) => async () => {
          await client.query("SET LOCAL session_replication_role = replica"); // no cascade to the chunks
          await client.query(
            change === undefined ? `DELETE FROM ${schema}.training` : `UPDATE ${schema}.training SET ${change}`,
          );
          await removeLeftovers(client, { ...target, scope: SCOPE }, ["a", "nada"]);
          return (await client.query(`SELECT FROM ${schema}.chunk_1`)).rowCount;
        };
        const found = await undone(state, clean(spread));
        expect(found, change).toEqual(await undone(state, clean(local)));
        left.push((found as { outcome: number }).outcome);
      }
    }
    expect(left).toEqual([0, 5, 0, 5, 5, 0]);
  });
});

describeOnServerOrEmbedded("the functions that statements call on shards, run on one server", (database) => {
  it("accept the known versions of the schema, and fail with any other", async () => {
    const { spread, client } = await open(database);
    const { require } = shardFunctions(namesOf(spread.layout));
    const check = (version: string, accepted: string[]): Promise<pg.QueryResult<{ ok: boolean }>> =>
      client.query(`SELECT ${require}($1, $2) AS ok`, [version, accepted]);
    expect((await check("1,a", ["1,a", "1"])).rows).toEqual([{ ok: true }]);
    await expect(check("2", ["1,a", "1"])).rejects.toThrow(/^another schema than .*: 2$/);
    await expect(check("2", [])).rejects.toMatchObject({ code: "22P02" });
  });

  it("fail without a version, as when no profile is active", async () => {
    const { spread, client } = await open(database);
    const { require } = shardFunctions(namesOf(spread.layout));
    await expect(client.query(`SELECT ${require}(NULL, '{1}')`)).rejects.toMatchObject({ code: "22P02" });
  });

  it("set the settings of a search until the end of its transaction", async () => {
    const { spread, client } = await open(database);
    const { settings } = shardFunctions(namesOf(spread.layout));
    const read = async (): Promise<unknown> =>
      (
        await client.query<{ value: string }>(
          "SELECT concat_ws(' ', current_setting('a.b', true), current_setting('a.c', true)) AS value",
        )
      ).rows[0]?.value;
    await client.query("BEGIN");
    const { rows } = await client.query(`SELECT ${settings}(ARRAY['a.b', 'a.c'], ARRAY['it''s', '40']) AS ok`);
    expect(rows).toEqual([{ ok: true }]);
    expect(await read()).toBe("it's 40");
    await client.query("COMMIT");
    expect(await read()).toBe(" ");
  });

  it("find the entries that a training shares with a chunk", async () => {
    const { spread, client } = await open(database);
    const { shared } = shardFunctions(namesOf(spread.layout));
    for (const [training, chunkMetadata, expected] of [
      [
        { a: 1, b: [1], c: null, d: "x" },
        { a: 1, b: [1], c: null, d: "y", e: 2 },
        { a: 1, b: [1], c: null },
      ],
      [{ a: 1 }, { a: "1" }, {}],
      [{}, { a: 1 }, {}],
    ]) {
      const { rows } = await client.query<{ found: unknown }>(`SELECT ${shared}($1, $2) AS found`, [
        JSON.stringify(training),
        JSON.stringify(chunkMetadata),
      ]);
      expect(rows[0]?.found).toEqual(expected);
    }
  });

  it("read the statistics of the lexemes of their own schema", async () => {
    const { owner, pool } = database;
    const made = await spreadSchema(database, { citus: "schema", textSearch: "simple" });
    const names = namesOf((await made.spread()).layout);
    await owner.query(`INSERT INTO ${names.training} (id, ticket, content_ticket, barrier, metadata)
      SELECT 't' || n, 1, 1, 0, '{}' FROM generate_series(1, 50) AS n`);
    await owner.query(`INSERT INTO ${names.chunk} (training_id, id, content, metadata, content_hash, embedding, lexemes)
      SELECT 't' || n, 'c' || n, 'x', '{}', 'x', '[1${",0".repeat(DIMENSIONS - 1)}]'::public.vector,
        to_tsvector('simple', CASE WHEN n % 2 = 0 THEN 'loja frete' ELSE 'loja' END)
      FROM generate_series(1, 50) AS n`);
    await owner.query(`ANALYZE ${names.chunk}`);
    // Without a lexeme come the lowest and the highest frequency, with which Postgres ends its list.
    const { rows } = await pool.query<{ lexeme: string; frequency: number }>(
      `SELECT lexeme, frequency::float8 AS frequency FROM ${statisticsFunction(names)}() WHERE lexeme IS NOT NULL ORDER BY lexeme`,
    );
    expect(rows).toEqual([
      { lexeme: "frete", frequency: 0.5 },
      { lexeme: "loja", frequency: 1 },
    ]);
  });
});

/** Touches and deletes that are transactions of their own run on the same client here, so that they can be undone. */
function connectionTo(client: pg.PoolClient): SwapConnection {
  const statements = {
    areKept: false,
    on: () => statements,
    query: async (_name: string, text: string, values: unknown[]): Promise<unknown[]> =>
      (await client.query<object>(text, values)).rows,
  };
  return {
    statements: statements as unknown as SwapConnection["statements"],
    knownSchema: {
      recent: () => Promise.reject(new Error("no plan is kept")),
    } as unknown as SwapConnection["knownSchema"],
    notify: () => undefined,
  };
}
