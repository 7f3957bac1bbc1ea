import { TrainingIndex } from "langchain-training-index";
import { expect, it } from "vitest";
import { observedPool, openServerPool } from "../support/contract.js";
import { describeOnServer, requireServerUrl } from "../support/databases.js";
import { openTestIndex, smallTraining } from "../support/index.js";
import { otherModel } from "../support/other-model.js";

/** More than a flip has statements. */
const MAX_STATEMENTS = 60;

describeOnServer("A process that is killed during the flip", (database) => {
  it("leaves one model in use, whole, and the next call completes the switch", { timeout: 120_000 }, async () => {
    const { pool, owner, schema, index: old, embeddings } = await openTestIndex(database);
    for (const id of ["a", "b", "c"]) await old.upsertTraining(smallTraining(id));
    const next = otherModel(32);
    const models = [embeddings, next];
    const both = await TrainingIndex.initialize(models, { pool, schema });
    const survivor = await TrainingIndex.initialize(models, { pool: owner, schema });
    await survivor.switchModel(next, { sample: 0 });

    const outcomes: ("flipped" | "not flipped")[] = [];
    for (let last = 1; ; last++) {
      expect(last).toBeLessThan(MAX_STATEMENTS);
      const before = await activeModel();
      const target = before === "other-1" ? embeddings : next;
      const { wasKilled } = await switchUntil(last, target);
      const after = await activeModel(); // exactly one is in use
      if (!wasKilled) {
        expect(after).not.toBe(before);
        break;
      }
      outcomes.push(after === before ? "not flipped" : "flipped");
      expect((await both.similar("prazo", { k: 10 })).map(({ trainingId }) => trainingId).sort()).toEqual([
        "a",
        "b",
        "c",
      ]);
      expect(await both.upsertTraining({ id: "a", content: `Depois da parada ${last}.` })).toMatchObject({
        status: "indexed",
      });
      if (after === before) await survivor.switchModel(target, { sample: 0 });
      expect(await activeModel()).not.toBe(before);
      expect(await both.chunks("a")).toMatchObject([{ content: `Depois da parada ${last}.` }]);
      expect(await both.status()).toMatchObject({ otherModel: { behind: 0 } });
    }
    // The commit is somewhere in between: statements before it change nothing, those after it undo nothing.
    expect([...outcomes].sort().reverse()).toEqual(outcomes);
    expect(outcomes).toContain("not flipped");

    async function activeModel(): Promise<string> {
      const { rows } = await owner.query<{ model: string }>(
        `SELECT model FROM ${schema}.profile WHERE status = 'active'`,
      );
      expect(rows).toHaveLength(1);
      return rows[0]?.model ?? "";
    }

    /** Ends the process, as far as the database can tell, before its statement of this number in the flip. */
    async function switchUntil(last: number, target: typeof embeddings | typeof next): Promise<{ wasKilled: boolean }> {
      let isFlipping = false;
      let isKilled = false;
      let statements = 0;
      const observed = observedPool(openServerPool({ connectionString: requireServerUrl() }), {
        before: async (_text, { client }) => {
          if (isKilled) throw new Error("killed");
          if (!isFlipping || ++statements < last) return;
          isKilled = true;
          const { processID } = client as unknown as { processID: number };
          await owner.query("SELECT pg_catalog.pg_terminate_backend($1, 5000)", [processID]);
          throw new Error("killed");
        },
      });
      const doomed = await TrainingIndex.initialize(models, { pool: observed, schema });
      const onProgress = ({ phase }: { phase: string }): void => {
        isFlipping ||= phase === "switching";
      };
      await doomed.switchModel(target, { sample: 0, onProgress }).catch((error: unknown) => {
        if (!isKilled) throw error;
      });
      return { wasKilled: isKilled };
    }
  });
});
