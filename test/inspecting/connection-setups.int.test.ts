import { expect, it } from "vitest";
import { collect } from "../support/contract.js";
import { describeOnServer } from "../support/databases.js";
import { openTestIndex, smallTraining } from "../support/index.js";

/**
 * Each statement of reads by id, `status`, `verify`, `reconcile` and `recall`, where a connection setup can affect it: with an
 * empty `search_path`, without rights on the catalogs and sequences of others, and with statements that a pooler may not keep.
 */
describeOnServer("Reads and repairs through every connection setup", (database) => {
  it("find the same, with and without a filter", async () => {
    const { index: whole, owner, schema } = await openTestIndex(database);
    const metadata = { grupo: "x" };
    await whole.upsertTrainings(["a", "b", "c"].map((id) => ({ ...smallTraining(id), metadata })));
    await whole.deleteTraining("c");
    const narrowed = [whole.withFilter(metadata), whole.withFilter({ grupo: { in: ["x"] } })];
    for (const index of [whole, ...narrowed]) {
      for (let call = 0; call < 3; call++) {
        expect(await index.get("a")).toMatchObject({ id: "a", chunks: 1 });
        expect(await index.chunks("a")).toHaveLength(1);
        expect((await collect(index.list({ after: "a" }))).map(({ id }) => id)).toEqual(["b"]);
        expect(await index.count()).toEqual({ trainings: 2, chunks: 2 });
      }
      const { counts, sizes, tables, warnings } = await index.status();
      expect(counts).toEqual({ trainings: 2, chunks: 2, tombstones: 1, exact: true });
      expect(sizes.total).toBeGreaterThan(0);
      expect(tables).toHaveLength(6);
      expect(warnings.filter(({ code }) => !code.startsWith("PGVECTOR"))).toEqual([]);
      const sound = { missing: { count: 0 }, stale: { count: 0 }, damaged: { count: 0 }, schema: [] };
      expect(await index.verify(undefined, { sample: 10 })).toMatchObject({ ...sound, checked: 2 });
      expect(await index.verify([{ id: "a" }])).toMatchObject({ ...sound, orphaned: { ids: ["b"] } });
      expect(await index.recall({ k: 1, efSearch: [40] })).toMatchObject({ questions: 2, rows: [{ recall: 1 }] });
    }
    await owner.query(`DELETE FROM ${schema}.chunk_1 WHERE training_id = 'a'`);
    await owner.query(`UPDATE ${schema}.training SET deleted_at = now() WHERE id = 'b'`); // its chunk is left over
    const source = ["a", "d"].map((id) => ({ ...smallTraining(id), metadata }));
    const [equal = whole] = narrowed;
    expect(await equal.reconcile(source)).toMatchObject({
      missing: { ids: ["d"] },
      damaged: { ids: ["b", "a"] },
      repaired: 2,
    });
    expect(await whole.reconcile(source.slice(1), { maxDeletes: 1 })).toMatchObject({ deleted: 1 });
    expect(await whole.verify(source.slice(1))).toMatchObject({ missing: { count: 0 }, orphaned: { count: 0 } });
  });
});
