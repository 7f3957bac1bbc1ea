import { TrainingIndex, type SwitchProgress } from "langchain-training-index";
import { migrate, migrationStatus } from "langchain-training-index/migrations";
import { expect, it } from "vitest";
import { failureOf, hostTable } from "../support/contract.js";
import { describeOnServerOrEmbedded, describeOnServer } from "../support/databases.js";
import { inHostTransaction, openTestIndex, smallTraining, until } from "../support/index.js";
import { otherModel } from "../support/other-model.js";
import { hold, openSwitching, rowsIn } from "../support/switching.js";

describeOnServerOrEmbedded("A switch of the model, step by step", (database) => {
  it("follows writes and deletes that are made while it builds, and those after a switch back", async () => {
    const test = await openSwitching(database);
    const { both, switching, next, schema, embeddings } = test;
    const held = hold(next);
    const running = switching.switchModel(next);
    await held.reached;
    await both.upsertTraining({ id: "a", content: "O prazo novo." });
    await both.deleteTraining("b");
    await both.upsertTraining(smallTraining("d"));
    held.release();
    expect(await running).toMatchObject({ status: "switched" });
    expect(await both.chunks("a")).toMatchObject([{ content: "O prazo novo." }]);
    expect(await rowsIn(test, `${schema}.indexed_2`)).toBe(3);
    expect(await rowsIn(test, `${schema}.indexed_1 WHERE training_id = 'b'`)).toBe(0);

    const { otherModel: retired } = await both.status();
    expect(retired).toMatchObject({ name: "hashing-1", dimensions: 64, state: "retired", behind: 0 });
    await both.upsertTraining({ id: "a", content: "O prazo de volta." });
    await both.deleteTraining("c");
    expect(await rowsIn(test, `${schema}.chunk_1 WHERE training_id = 'c'`)).toBe(0);
    const calls = embeddings.texts.length;
    const back = await switching.switchModel(embeddings);
    expect(back.trainings).toBe(2); // the one that was written, and the record of the one that was deleted
    expect(embeddings.texts.slice(calls).filter((text) => text !== "loja")).toEqual(["O prazo de volta."]);
    expect((await both.similar("prazo", { k: 10 })).map(({ trainingId }) => trainingId).sort()).toEqual(["a", "d"]);
    expect((await test.index.similar("prazo", { k: 10 })).length).toBe(2);
  });

  it("flips ten times, and then drops the other model", async () => {
    const test = await openSwitching(database, ["a"]);
    const { both, switching, next, embeddings, schema, owner } = test;
    for (let flip = 0; flip < 10; flip++) {
      await switching.switchModel(flip % 2 === 0 ? next : embeddings, { sample: 0 });
      expect(await both.upsertTraining({ id: "a", content: `Versão ${flip}.` })).toMatchObject({ status: "indexed" });
      expect(await both.similar("versão")).toMatchObject([{ content: `Versão ${flip}.` }]);
    }
    expect(await switching.retireModel()).toEqual({ name: "other-1", dimensions: 32 });
    expect(await switching.retireModel()).toBeUndefined();
    expect(await both.status()).toMatchObject({ otherModel: undefined });
    const { rows } = await owner.query<{ name: string }>(
      `SELECT relname::text AS name FROM pg_class WHERE relnamespace = '${schema}'::regnamespace AND relkind = 'r' ORDER BY 1`,
    );
    expect(rows.map(({ name }) => name)).toEqual(["chunk_1", "indexed_1", "migration", "profile", "training", "word"]);
    expect(await both.upsertTraining(smallTraining("z"))).toMatchObject({ status: "indexed" });
    expect(await migrate(owner, { schema })).toMatchObject({ applied: [], vectorIndex: "kept" });
  });

  it("is continued after its embedder has failed, and migrate and status know both models", async () => {
    const test = await openSwitching(database);
    const { both, switching, next, schema, owner } = test;
    next.before = (texts) => {
      if (texts.length > 1 || texts[0] !== "loja") throw new Error("down");
    };
    expect(await failureOf(switching.switchModel(next, { concurrency: 1 }))).toMatchObject({
      code: "EMBEDDING_FAILED",
    });
    expect(await both.status()).toMatchObject({ otherModel: { name: "other-1", state: "building", behind: 3 } });
    expect(await both.similar("loja")).not.toEqual([]);
    expect(await migrate(owner, { schema })).toMatchObject({ applied: [], vectorIndex: "kept" });
    expect(await failureOf(switching.switchModel(otherModel(16, "third")))).toMatchObject({ code: "SWITCH_REFUSED" });
    expect(await failureOf(both.bulkLoad([smallTraining("x")], { rebuild: true }))).toMatchObject({ code: "CONFLICT" });
    next.before = () => undefined;
    const phases: SwitchProgress[] = [];
    const result = await switching.switchModel(next, { onProgress: (progress) => phases.push(progress) });
    expect(result).toMatchObject({ status: "switched", report: { problems: [], behind: 0 } });
    expect([...new Set(phases.map(({ phase }) => phase))]).toEqual(["building", "indexing", "checking", "switching"]);
    expect(await migrate(owner, { schema })).toMatchObject({ applied: [], vectorIndex: "kept" });
    expect(await migrationStatus(owner, { schema })).toMatchObject({ model: "other-1", dimensions: 32, damaged: [] });
    await owner.query(`DROP INDEX ${schema}.chunk_2_id, ${schema}.chunk_2_embedding`);
    expect(await migrationStatus(owner, { schema })).toMatchObject({ damaged: ["index chunk_2_id"] });
    expect(await migrate(owner, { schema })).toMatchObject({ vectorIndex: "built", repaired: ["index chunk_2_id"] });
  });

  it("says what there is to do, and changes nothing, with dryRun", async () => {
    const { switching, next, schema, owner } = await openSwitching(database);
    const { plan, status } = await switching.switchModel(next, { dryRun: true, maxTextsPerMinute: 60 });
    expect(status).toBe("planned");
    expect(plan).toMatchObject({ trainings: 3, remaining: 3, needsSource: false, leastMs: (plan?.chunks ?? 0) * 1000 });
    const { rows } = await owner.query(`SELECT to_regclass('${schema}.chunk_2')::text AS chunk`);
    expect(rows).toEqual([{ chunk: null }]);
  });

  it("refuses the model in use, wrong dimensions, options without a source, and an index with a filter", async () => {
    const { switching, embeddings, next, pool, schema } = await openSwitching(database, ["a"]);
    expect(await failureOf(switching.switchModel(embeddings))).toMatchObject({
      code: "INVALID_ARGUMENT",
      option: "embeddings",
    });
    const wrong = await failureOf(switching.switchModel(otherModel(32), { dimensions: 16 }));
    expect(wrong).toMatchObject({ code: "INVALID_ARGUMENT", option: "dimensions" });
    const announced = { profile: { model: "announced", dimensions: 16 } };
    expect(await failureOf(switching.switchModel(next, announced))).toMatchObject({ code: "EMBEDDING_INVALID" });
    expect(await failureOf(switching.switchModel(next, { header: () => "x" }))).toMatchObject({ option: "header" });
    expect(await failureOf(switching.switchModel(next, { parallel: 2 } as never))).toMatchObject({
      code: "INVALID_ARGUMENT",
    });
    const narrowed = switching.withFilter({ grupo: "loja" });
    expect(await failureOf(narrowed.switchModel(next))).toMatchObject({ option: "filter" });
    const several = await TrainingIndex.initialize([embeddings, next], { pool, schema });
    expect(await failureOf(several.similar(new Array<number>(64).fill(1)))).toMatchObject({ option: "query" });
  });

  it("changes splitter and header with a source, and refuses without one where a header was embedded", async () => {
    const { pool, owner, schema, embeddings } = await openTestIndex(database);
    const headed = await TrainingIndex.initialize(embeddings, {
      pool,
      schema,
      header: ({ id }) => `Loja ${String(id)}`,
    });
    const trainings = ["a", "b"].map((id) => ({ id, content: `Prazo de ${id}.\n\nFrete de ${id}.` }));
    await headed.upsertTrainings(trainings);
    const next = otherModel(32);
    const switching = await TrainingIndex.initialize(embeddings, { pool: owner, schema });
    expect((await switching.switchModel(next, { dryRun: true })).plan).toMatchObject({ needsSource: true });
    expect(await failureOf(switching.switchModel(next))).toMatchObject({ code: "SWITCH_REFUSED" });
    const splitter = { splitText: (text: string) => Promise.resolve(text.split("\n\n")) };
    const header = (): string => "Nova";
    const source = (ids: unknown[]): typeof trainings => trainings.filter(({ id }) => ids.includes(id));
    await switching.switchModel(next, { source, splitter, header });
    const opened = await TrainingIndex.initialize(next, { pool, schema, splitter, header });
    expect((await opened.chunks("a")).map(({ content }) => content.trim())).toEqual(["Prazo de a.", "Frete de a."]);
    expect(await opened.upsertTrainings(trainings)).toMatchObject({ unchanged: 2, indexed: 0 });
  });

  it("cuts chunks that the new model cannot hold, and keeps documents of a vector store and given vectors", async () => {
    const { index, pool, owner, schema, embeddings } = await openTestIndex(database);
    await index.upsertTraining({
      id: "a",
      content: `Uma frase longa. ${"Prazo de entrega. ".repeat(20)}`,
      metadata: { grupo: "x" },
    });
    await index.vectorStore.addVectors(
      [new Array<number>(64).fill(0.5)],
      [{ pageContent: "Pix.", metadata: {} } as never],
      { ids: ["v"] },
    );
    const next = otherModel(32);
    const switching = await TrainingIndex.initialize(embeddings, { pool: owner, schema });
    await switching.switchModel(next);
    const opened = await TrainingIndex.initialize(next, { pool, schema });
    expect(await opened.similar("Pix.", { k: 1 })).toMatchObject([{ trainingId: "v", content: "Pix." }]);
    expect((await opened.similar("Pix.", { k: 1 }))[0]?.score).toBeCloseTo(1, 5);
    expect(await opened.verify()).toMatchObject({ damaged: { count: 0 } });
  });
});

describeOnServer("A switch of the model, and other sessions", (database) => {
  it("is refused to processes that check nothing: tables and recorded model of the one before are closed", async () => {
    const test = await openSwitching(database);
    const { switching, next, owner, schema } = test;
    await switching.switchModel(next);
    const { rows } = await owner.query<{ model: string }>(`SELECT model FROM ${schema}.profile WHERE id = 1`);
    expect(rows).toEqual([{ model: "hashing-1 (retired)" }]); // versions without switches compare it with every search
    for (const table of ["chunk_1", "indexed_1"]) {
      const failure = await owner
        .query(`DELETE FROM ${schema}.${table} WHERE training_id = 'a'`)
        .catch((error: unknown) => error);
      expect(failure).toMatchObject({ code: "TIX01" });
    }
    await owner.query(`DELETE FROM ${schema}.training WHERE id = 'a'`); // cascades
    expect(await rowsIn(test, `${schema}.chunk_1 WHERE training_id = 'a'`)).toBe(0);
    expect(await rowsIn(test, `${schema}.chunk_2 WHERE training_id = 'a'`)).toBe(0);
  });

  it("ends a training that was prepared before it in a host's transaction, and a transaction with an old snapshot", async () => {
    const { both, switching, next, pool } = await openSwitching(database);
    const prepared = await both.prepareTraining({ id: "p", content: "O preparo." });
    const again = await both.prepareTraining({ id: "q", content: "Outro preparo." });
    const client = await pool.connect();
    const check = async (): Promise<boolean> => {
      await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ");
      await client.query("SELECT 1"); // takes the snapshot
      return true;
    };
    await switching.switchModel(next, { check });
    const outdated = await failureOf(both.deleteTraining("a", { client }));
    expect(["CONFLICT", "PROFILE_RETIRED"]).toContain(outdated.code);
    expect(outdated.retryable).toBe(true);
    await client.query("ROLLBACK");
    client.release();
    await inHostTransaction(pool, "ROLLBACK", async (host) => {
      expect(await failureOf(prepared.commit(host))).toMatchObject({ code: "PROFILE_RETIRED", retryable: true });
    });
    expect(await again.commit()).toMatchObject({ status: "indexed" }); // is prepared again, with the new model
    expect(await both.similar("Outro preparo.", { k: 1 })).toMatchObject([{ trainingId: "q" }]);
  });

  it("waits for an open transaction in short attempts, in which other writes wait less than a second", async () => {
    const { both, switching, next, pool } = await openSwitching(database);
    const client = await pool.connect();
    const held = hold(next);
    const running = switching.switchModel(next);
    await held.reached;
    await client.query("BEGIN");
    await both.upsertTraining({ id: "host", content: "Do host." }, { client });
    held.release();
    let longestMs = 0;
    let reads = 0;
    for (const until_ = performance.now() + 3000; performance.now() < until_;) {
      const began = performance.now();
      await both.upsertTraining({ id: "w", content: `Escrita ${began}.` });
      longestMs = Math.max(longestMs, performance.now() - began);
      reads += (await both.similar("escrita")).length > 0 ? 1 : 0;
    }
    expect(reads).toBeGreaterThan(0);
    expect(longestMs).toBeLessThan(5000); // about 400 ms on a free machine, which `npm run bench` measures
    await client.query("COMMIT");
    client.release();
    expect(await running).toMatchObject({ status: "switched" });
    await until(async () => (await both.similar("Do host.", { k: 1 }))[0]?.trainingId === "host");
  });

  it("leaves to another builder what its own claim does not hold any more", async () => {
    const test = await openSwitching(database);
    const { both, switching, next, pool, owner, schema, embeddings } = test;
    const held = hold(next);
    const first = switching.switchModel(next, { sample: 0 });
    await held.reached;
    const client = await pool.connect();
    await client.query("BEGIN");
    await both.upsertTraining({ id: "host", content: "Do host." }, { client }); // neither call can end its switch
    await owner.query(`UPDATE ${schema}.behind SET claimed_by = 'another', claimed_at = now() - interval '1 minute'`);
    const elsewhere = await TrainingIndex.initialize(embeddings, { pool: owner, schema });
    const second = elsewhere.switchModel(otherModel(32), { sample: 0 });
    await until(async () => (await rowsIn(test, `${schema}.chunk_2`)) === 3);
    held.release();
    await until(async () => (await rowsIn(test, `${schema}.behind`)) === 0);
    await client.query("COMMIT");
    client.release();
    expect(await Promise.all([first, second])).toMatchObject([{ status: "switched" }, { status: "switched" }]);
    expect(await rowsIn(test, `${schema}.chunk_2`)).toBe(4);
  });

  it("is followed by a prepared training even if another switch ends while it is prepared again", async () => {
    const { switching, next, pool, schema, embeddings } = await openSwitching(database);
    let beforeSplit = (): Promise<unknown> => Promise.resolve();
    const splitter = {
      splitText: async (text: string) => {
        await beforeSplit();
        return [text];
      },
    };
    const index = await TrainingIndex.initialize([embeddings, next], { pool, schema, splitter });
    const prepared = await index.prepareTraining({ id: "n", content: "Um texto novo." });
    await switching.switchModel(next, { sample: 0 });
    beforeSplit = async () => {
      beforeSplit = () => Promise.resolve();
      await switching.switchModel(embeddings, { sample: 0 });
      await index.count(); // this process has noticed it
    };
    expect(await prepared.commit()).toMatchObject({ status: "indexed" });
    expect(await index.similar("texto novo", { k: 1 })).toMatchObject([{ trainingId: "n" }]);
    expect((await index.status()).model).toMatchObject({ name: "hashing-1" });
  });

  it("builds what a host's transaction commits at the moment at which the switch waits for it", async () => {
    const { both, switching, next, pool, owner, schema } = await openSwitching(database);
    const client = await pool.connect();
    const held = hold(next);
    const running = switching.switchModel(next, { sample: 0 });
    await held.reached;
    await client.query("BEGIN");
    await both.upsertTraining({ id: "host", content: "Do host." }, { client });
    held.release();
    await until(async () => {
      const { rows } = await owner.query(
        `SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%:switch-model%' AND query LIKE '%${schema}%'`,
      );
      return rows.length > 0;
    });
    await client.query("COMMIT");
    client.release();
    expect(await running).toMatchObject({ status: "switched" });
    expect(await both.similar("Do host.", { k: 1 })).toMatchObject([{ trainingId: "host" }]);
    expect(await rowsIn({ owner }, `${schema}.behind`)).toBe(0);
  });

  it("follows deletes of the host's rows by a role without rights on the index", async () => {
    const table = await hostTable(database.owner);
    await database.owner.query(`INSERT INTO public.${table} VALUES ('a'), ('b'), ('c')`);
    const test = await openSwitching(database, ["a", "b"], { trainings: { table } });
    const { both, switching, next, owner, schema } = test;
    const held = hold(next);
    const running = switching.switchModel(next);
    await held.reached;
    const client = await owner.connect();
    const role = `host_${schema}`;
    try {
      await client.query(`CREATE ROLE ${role}; GRANT SELECT, DELETE ON public.${table} TO ${role}; SET ROLE ${role}`);
      await client.query(`DELETE FROM public.${table} WHERE id = 'a'`);
      await client.query("RESET ROLE");
      await both.upsertTraining(smallTraining("c"));
    } finally {
      await client.query(`RESET ROLE; REVOKE ALL ON public.${table} FROM ${role}; DROP ROLE ${role}`);
      client.release();
    }
    held.release();
    await running;
    expect((await both.similar("loja", { k: 10 })).map(({ trainingId }) => trainingId).sort()).toEqual(["b", "c"]);
    await owner.query(`DELETE FROM public.${table} WHERE id = 'b'`);
    for (const table of ["chunk_1", "chunk_2"]) {
      expect(await rowsIn(test, `${schema}.${table} WHERE training_id = 'b'`)).toBe(0);
    }
    expect(await both.count()).toMatchObject({ trainings: 1 });
  });
});
