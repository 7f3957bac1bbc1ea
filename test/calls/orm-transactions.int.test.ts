import { InvalidArgumentError, TrainingIndex, type TransactionClient } from "langchain-training-index";
import pg from "pg";
import { registerTypes } from "pgvector/pg";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { describeOnServer, requireConnectionSetup, uniqueName } from "../support/databases.js";
import { DIMENSIONS, openTestIndex, sharedIndex } from "../support/index.js";
import { ORMS, startMysqlServer, type OpenOrm } from "../support/orms.js";

const DELIVERY = { id: "delivery", content: "We deliver in three days." };
const ORMS_ON_MYSQL = ORMS.flatMap(({ name, openOnMysql }) => (openOnMysql ? [{ name, openOnMysql }] : []));
/** What a host throws to roll its transaction back. */
const ROLLBACK = new Error("the host rolls back");

describeOnServer("the transactions of ORMs", (database) => {
  const test = sharedIndex(database);
  const table = uniqueName("note");

  beforeAll(() => database.owner.query(`CREATE TABLE ${table} (text text)`));
  afterAll(() => database.owner.query(`DROP TABLE ${table}`));
  beforeEach(() => database.owner.query(`DELETE FROM ${table}`));

  const insertNote = `INSERT INTO ${table} VALUES ('written by the ORM')`;
  /** What is committed, seen from another connection: rows of the ORM's own, trainings, chunks. */
  const committed = async (): Promise<{ notes: number; trainings: number; chunks: number }> => {
    const { rowCount } = await database.pool.query(`SELECT FROM ${table}`);
    return { notes: rowCount ?? 0, ...(await test().index.count()) };
  };
  const EMPTY = { notes: 0, trainings: 0, chunks: 0 };

  describe.each(ORMS)("of $name", ({ open }) => {
    let orm: OpenOrm;
    beforeAll(async () => {
      orm = await open(requireConnectionSetup().url);
    });
    afterAll(() => orm.close());

    it("commit an upsert together with the ORM's own rows", async () => {
      const prepared = await test().index.prepareTraining(DELIVERY);
      await orm.transaction(async ({ client, run }) => {
        await run(insertNote);
        expect(await prepared.commit(client)).toMatchObject({ status: "indexed" });
        expect(await committed(), "the transaction is still open").toEqual(EMPTY);
        await run(insertNote);
      });
      expect(await committed()).toEqual({ notes: 2, trainings: 1, chunks: 1 });
      expect(await test().index.similar("deliver")).toMatchObject([{ trainingId: "delivery" }]);
    });

    it("roll an upsert back together with the ORM's own rows", async () => {
      const rolledBack = orm.transaction(async ({ client, run }) => {
        await run(insertNote);
        expect(await test().index.upsertTraining(DELIVERY, { client })).toMatchObject({ status: "indexed" });
        throw ROLLBACK;
      });
      await expect(rolledBack).rejects.toThrow(ROLLBACK);
      expect(await committed()).toEqual(EMPTY);
    });

    it("commit a delete", async () => {
      const { index } = test();
      await index.upsertTraining(DELIVERY);
      await orm.transaction(async ({ client, run }) => {
        await run(insertNote);
        expect(await index.deleteTraining("delivery", { client })).toMatchObject({ status: "deleted", removed: 1 });
        expect(await committed(), "the transaction is still open").toEqual({ notes: 0, trainings: 1, chunks: 1 });
      });
      expect(await committed()).toEqual({ notes: 1, trainings: 0, chunks: 0 });
    });

    it("roll a delete back", async () => {
      const { index } = test();
      await index.upsertTraining(DELIVERY);
      const rolledBack = orm.transaction(async ({ client, run }) => {
        await run(insertNote);
        expect(await index.deleteTrainings({ ids: ["delivery"] }, { client })).toMatchObject([{ status: "deleted" }]);
        throw ROLLBACK;
      });
      await expect(rolledBack).rejects.toThrow(ROLLBACK);
      expect(await committed()).toEqual({ notes: 0, trainings: 1, chunks: 1 });
      expect(await index.similar("deliver")).toHaveLength(1);
    });

    it("are read from: searches and lists see what the transaction has written", async () => {
      const { index } = test();
      await orm.transaction(async ({ client }) => {
        await Promise.all([
          index.upsertTraining(DELIVERY, { client }),
          index.upsertTraining({ id: "returns", content: "Returns are free." }, { client }),
        ]);
        expect(await index.similar("deliver", { client })).toHaveLength(2);
        expect(await index.get("delivery", { client })).toMatchObject({ chunks: 1 });
        expect(await index.chunks("returns", { client })).toHaveLength(1);
        expect(await index.count({ client })).toEqual({ trainings: 2, chunks: 2 });
      });
    });

    it("go on after a call that failed", async () => {
      const { index, schema } = test();
      await orm.transaction(async ({ client, run }) => {
        await run(`SET LOCAL statement_timeout = 0`);
        await run(`ALTER TABLE ${schema}.chunk_1 RENAME TO gone`).catch(() => undefined);
        await expect(index.upsertTraining(DELIVERY, { client })).rejects.toHaveProperty("code");
        await run(`ALTER TABLE ${schema}.gone RENAME TO chunk_1`);
        await run(insertNote);
      });
      expect(await committed()).toEqual({ notes: 1, trainings: 0, chunks: 0 });
    });

    it("go on after a call that ran out of time, without its changes and with the ORM's own", async () => {
      const { index, pool, schema } = test();
      const prepared = await index.prepareTraining(DELIVERY);
      const locking = await pool.connect();
      onTestFinished(() => {
        locking.release();
      });
      await locking.query(`BEGIN; LOCK TABLE ${schema}.training IN EXCLUSIVE MODE`);
      await orm.transaction(async ({ client, run }) => {
        await expect(prepared.commit(client, { timeoutMs: 300 })).rejects.toHaveProperty("code", "TIMEOUT");
        const inserting = run(insertNote);
        await locking.query("COMMIT");
        await inserting;
      });
      expect(await committed()).toEqual({ notes: 1, trainings: 0, chunks: 0 });
    });

    it("are given again by an ORM that retries: the training is stored once", async () => {
      const prepared = await test().index.prepareTraining(DELIVERY);
      const statuses: string[] = [];
      const attempt = (): Promise<void> =>
        orm.transaction(async ({ client }) => {
          statuses.push((await prepared.commit(client)).status);
          if (statuses.length === 1) throw ROLLBACK;
        });
      await attempt().catch(() => attempt());
      expect(statuses).toEqual(["indexed", "indexed"]);
      expect(await committed()).toEqual({ notes: 0, trainings: 1, chunks: 1 });
    });

    it("are refused after their end, as by a retry that keeps the first one, and nothing is stored", async () => {
      const prepared = await test().index.prepareTraining(DELIVERY);
      const ended: TransactionClient[] = [];
      await orm.transaction(({ client }) => Promise.resolve(ended.push(client)));
      await orm
        .transaction(({ client }) => {
          ended.push(client);
          throw ROLLBACK;
        })
        .catch(() => undefined);
      for (const client of ended) {
        const refused = prepared.commit(client);
        await expect(refused).rejects.toThrow(InvalidArgumentError);
        await expect(refused).rejects.toThrow(/^client must be (?:a client of pg )?in a transaction/);
      }
      expect(await committed()).toEqual(EMPTY);
    });

    it("are named if the ORM's object outside of them is given, and nothing is stored", async () => {
      const { index } = test();
      const client = orm.outside as TransactionClient;
      const calls = [
        () => index.upsertTraining(DELIVERY, { client }),
        () => index.deleteTraining("delivery", { client }),
        () => index.similar("deliver", { client }),
      ];
      for (const call of calls) {
        await expect(call()).rejects.toThrow(InvalidArgumentError);
        await expect(call()).rejects.toThrow(
          /^client must be a client of pg in a transaction, .*; got .*(?:Drizzle|Knex|Kysely|TypeORM|Sequelize|Prisma).*: pass .*/,
        );
      }
      expect(await committed()).toEqual(EMPTY);
    });
  });

  describe.each(ORMS_ON_MYSQL)("of $name on another driver", ({ openOnMysql }) => {
    it("are refused, and no statement is sent", async () => {
      const mysql = await startMysqlServer();
      onTestFinished(() => mysql.close());
      const orm = await openOnMysql(mysql.port);
      onTestFinished(async () => {
        await orm.close();
      });
      const prepared = await test().index.prepareTraining(DELIVERY);
      await orm.transaction(async ({ client }) => {
        const before = mysql.statements.length;
        await expect(prepared.commit(client)).rejects.toThrow(InvalidArgumentError);
        await expect(prepared.commit(client)).rejects.toThrow(
          /of another driver: the library needs one that runs on pg/,
        );
        expect(mysql.statements.slice(before)).toEqual([]);
      });
      expect(mysql.statements.join()).toMatch(/start transaction|begin/i);
      expect(await committed()).toEqual(EMPTY);
    });
  });

  it("are not a client that was released to its pool: it is refused, and nothing is stored", async () => {
    const { index, pool } = test();
    const prepared = await index.prepareTraining(DELIVERY);
    const client = await pool.connect();
    await client.query("BEGIN");
    await client.query("COMMIT");
    client.release();
    for (const call of [() => prepared.commit(client), () => index.deleteTraining("delivery", { client })]) {
      await expect(call()).rejects.toThrow(InvalidArgumentError);
      await expect(call()).rejects.toThrow(/^client must be in a transaction, .*: run BEGIN first, or omit client/);
    }
    expect(await committed()).toEqual(EMPTY);
  });
});

describeOnServer("pgvector's types, registered on the host's pool", (database) => {
  it("change nothing, and their vectors are accepted as queries", async () => {
    const plain = await openTestIndex(database);
    const { schema, embeddings } = plain;
    const pool = new pg.Pool({ connectionString: requireConnectionSetup().url });
    onTestFinished(() => pool.end());
    pool.on("connect", (client) => void registerTypes(client));
    const index = await TrainingIndex.initialize(embeddings, { pool, schema });

    await index.upsertTraining(DELIVERY);
    expect(await index.upsertTraining(DELIVERY)).toMatchObject({ status: "unchanged" });
    await index.upsertTraining({ id: "returns", content: "Returns are free." });
    const hits = await index.similar("deliver", { mmr: { lambda: 0.5 } });
    expect(hits).toEqual(await plain.index.similar("deliver", { mmr: { lambda: 0.5 } }));
    expect(await index.verify([{ id: "delivery" }, { id: "returns" }])).toMatchObject({ damaged: { count: 0 } });

    const { rows } = await pool.query<{ embedding: number[] }>(
      `SELECT embedding FROM ${schema}.chunk_1 WHERE training_id = 'delivery'`,
    );
    const [{ embedding } = { embedding: [] }] = rows;
    expect(embedding, "the type is registered").toHaveLength(DIMENSIONS);
    expect(embedding.every((value) => typeof value === "number")).toBe(true);
    expect(await index.similar(embedding, { k: 1 })).toMatchObject([{ trainingId: "delivery", distance: 0 }]);
  });
});
