import type { Notice } from "langchain-training-index";
import { expect, it } from "vitest";
import { collect, openAgain } from "../support/contract.js";
import { describeOnServer } from "../support/databases.js";
import { openTestIndex, smallTraining, type TestIndex } from "../support/index.js";

/** The sequence as it is after a restore of data alone, or on a logical replica. */
async function setBack({ owner, schema }: TestIndex): Promise<void> {
  await owner.query(`ALTER SEQUENCE ${schema}.ticket RESTART`);
}

/** On a way on which the role of the library owns nothing, it may not repair. */
async function letRepair({ owner, pool, schema }: TestIndex): Promise<void> {
  const { rows } = await pool.query<{ role: string }>("SELECT current_user AS role");
  await owner.query(`GRANT UPDATE ON SEQUENCE ${schema}.ticket TO ${rows[0]?.role ?? ""}`);
}

// Guards: `takeInOrder`, `checkSequence`: tickets are higher than all that are stored.
describeOnServer("C2 Ordered", (database) => {
  const WRITES: [string, (test: TestIndex) => Promise<unknown>, unknown][] = [
    ["an edit", ({ index }) => index.upsertTraining({ id: "a", content: "novo" }), { status: "indexed" }],
    ["a repeat", ({ index }) => index.upsertTraining(smallTraining("a")), { status: "unchanged" }],
    ["a delete", ({ index }) => index.deleteTraining("a"), { status: "deleted" }],
    [
      "a delete by filter",
      ({ index }) => index.deleteTrainings({ filter: { grupo: "g" } }),
      [{ id: "m", status: "deleted" }],
    ],
    [
      "many",
      ({ index }) =>
        collect(index.upsertTrainings(["z", "a", "b"].map((id) => ({ id, content: `novo ${id}` })))),
      [{ status: "indexed" }, { status: "indexed" }, { status: "indexed" }],
    ],
    [
      "a bulk load",
      ({ index }) => collect(index.bulkLoad([{ id: "a", content: "novo" }], { rebuild: true })),
      [{ status: "indexed" }],
    ],
  ];
  it.each(WRITES)(
    "repairs a sequence that is behind at %s, with an index that stays open",
    async (name, write, expected) => {
      if (name === "a bulk load" && database.owner !== database.pool) return; // for owners only
      const notices: Notice[] = [];
      const test = await openTestIndex(database, { onNotice: (notice) => notices.push(notice) });
      await letRepair(test);
      for (let round = 0; round < 5; round++)
        await test.index.upsertTraining({ id: "b", content: `${round}` });
      await test.index.upsertTraining(smallTraining("a"));
      await test.index.upsertTraining({ id: "m", content: "m", metadata: { grupo: "g" } });
      await setBack(test);
      expect(await write(test)).toMatchObject(expected as object);
      expect(notices.filter(({ code }) => code === "REPAIRED")).toHaveLength(1);
      expect(await test.index.upsertTraining({ id: "b", content: "depois" })).toMatchObject({
        status: "indexed",
      });
    },
  );

  it("repairs it when an index is opened", async () => {
    const test = await openTestIndex(database);
    await letRepair(test);
    for (let round = 0; round < 5; round++) await test.index.upsertTraining({ id: "b", content: `${round}` });
    await setBack(test);
    await openAgain(test, test.pool);
    const { rows } = await test.owner.query<{ last: string }>(
      `SELECT last_value::text AS last FROM ${test.schema}.ticket`,
    );
    expect(Number(rows[0]?.last)).toBeGreaterThan(5);
  });

  it("many writers at once repair it once, and none is lost", async () => {
    const notices: Notice[] = [];
    const test = await openTestIndex(database, { onNotice: (notice) => notices.push(notice) });
    await letRepair(test);
    const ids = Array.from({ length: 8 }, (_, place) => `t${place}`);
    for (const round of [1, 2, 3]) {
      for (const id of ids) await test.index.upsertTraining({ id, content: `${id} ${round}` });
    }
    await setBack(test);
    const results = await Promise.all(
      ids.map((id) => test.index.upsertTraining({ id, content: `novo ${id}` })),
    );
    expect(results.map(({ status }) => status)).toEqual(ids.map(() => "indexed"));
    expect(notices.filter(({ code }) => code === "REPAIRED")).toHaveLength(1);
    const { rows } = await test.owner.query<{ tickets: string }>(
      `SELECT count(DISTINCT ticket)::text AS tickets FROM ${test.schema}.training`,
    );
    expect(rows[0]?.tickets).toBe("8");
  });
});
