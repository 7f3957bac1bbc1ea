import type { Notice } from "langchain-training-index";
import { expect, it } from "vitest";
import { collect, openAgain } from "../support/contract.js";
import { describeOnServer } from "../support/databases.js";
import { openTestIndex, smallTraining, type TestIndex } from "../support/index.js";

/** Leaves the sequence behind the rows, as a restore of data alone or a promoted logical replica does. */
async function resetSequence({ owner, schema }: TestIndex): Promise<void> {
  await owner.query(`ALTER SEQUENCE ${schema}.ticket RESTART`);
}

/** Grants what the repair needs: the limited role may not update the sequence. */
async function grantRepair({ owner, pool, schema }: TestIndex): Promise<void> {
  const { rows } = await pool.query<{ role: string }>("SELECT current_user AS role");
  await owner.query(`GRANT UPDATE ON SEQUENCE ${schema}.ticket TO ${rows[0]?.role ?? ""}`);
}

// Guards: `takeInOrder` and `checkSequence`: a new ticket is higher than every stored one.
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
      "several upserts",
      ({ index }) => collect(index.upsertTrainings(["z", "a", "b"].map((id) => ({ id, content: `novo ${id}` })))),
      [{ status: "indexed" }, { status: "indexed" }, { status: "indexed" }],
    ],
    [
      "a bulk load",
      ({ index }) => collect(index.bulkLoad([{ id: "a", content: "novo" }], { rebuild: true })),
      [{ status: "indexed" }],
    ],
  ];
  it.each(WRITES)("an open index repairs a sequence that is behind, at %s", async (name, write, expected) => {
    if (name === "a bulk load" && database.owner !== database.pool) return; // only the owner may load with rebuild
    const notices: Notice[] = [];
    const test = await openTestIndex(database, { onNotice: (notice) => notices.push(notice) });
    await grantRepair(test);
    for (let round = 0; round < 5; round++) await test.index.upsertTraining({ id: "b", content: `${round}` });
    await test.index.upsertTraining(smallTraining("a"));
    await test.index.upsertTraining({ id: "m", content: "m", metadata: { grupo: "g" } });
    await resetSequence(test);
    expect(await write(test)).toMatchObject(expected as object);
    expect(notices.filter(({ code }) => code === "REPAIRED")).toHaveLength(1);
    expect(await test.index.upsertTraining({ id: "b", content: "depois" })).toMatchObject({
      status: "indexed",
    });
  });

  it("opening an index repairs it", async () => {
    const test = await openTestIndex(database);
    await grantRepair(test);
    for (let round = 0; round < 5; round++) await test.index.upsertTraining({ id: "b", content: `${round}` });
    await resetSequence(test);
    await openAgain(test, test.pool);
    const { rows } = await test.owner.query<{ last: string }>(
      `SELECT last_value::text AS last FROM ${test.schema}.ticket`,
    );
    expect(Number(rows[0]?.last)).toBeGreaterThan(5);
  });

  it("concurrent writers repair it once, and no write is lost", async () => {
    const notices: Notice[] = [];
    const test = await openTestIndex(database, { onNotice: (notice) => notices.push(notice) });
    await grantRepair(test);
    const ids = Array.from({ length: 8 }, (_, place) => `t${place}`);
    for (const round of [1, 2, 3]) {
      for (const id of ids) await test.index.upsertTraining({ id, content: `${id} ${round}` });
    }
    await resetSequence(test);
    const results = await Promise.all(ids.map((id) => test.index.upsertTraining({ id, content: `novo ${id}` })));
    expect(results.map(({ status }) => status)).toEqual(ids.map(() => "indexed"));
    expect(notices.filter(({ code }) => code === "REPAIRED")).toHaveLength(1);
    const { rows } = await test.owner.query<{ tickets: string }>(
      `SELECT count(DISTINCT ticket)::text AS tickets FROM ${test.schema}.training`,
    );
    expect(rows[0]?.tickets).toBe("8");
  });
});
