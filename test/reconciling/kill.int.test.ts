import { execFile } from "node:child_process";
import { expect, it } from "vitest";
import { bundleProgram } from "../support/bundle.js";
import { describeOnServer, requireConnectionSetup } from "../support/databases.js";
import { newcomersEnvironment } from "../support/environment.js";
import { openTestIndex } from "../support/index.js";
import { DIMENSIONS, HOST_COUNT, hostTrainings, ORPHANS, trainingOf } from "./reconcile-content.js";

async function killChild(schema: string, killAt: number): Promise<void> {
  const child = await bundleProgram(new URL("reconcile-child.ts", import.meta.url), { withPackages: true });
  const env = newcomersEnvironment({ DATABASE_URL: requireConnectionSetup().url });
  const signal = await new Promise((resolve) => {
    execFile(process.execPath, [child, schema, `${killAt}`], { env }, (error, _, stderr) => {
      resolve(error?.signal ?? stderr);
    });
  });
  expect(signal).toBe("SIGKILL");
}

describeOnServer("reconcile, killed", (database) => {
  it("is resumed by a repeat, which embeds no text again that was stored", async () => {
    const { index, schema, embeddings, owner } = await openTestIndex(database, {}, { dimensions: DIMENSIONS });
    // 100 of the host's trainings are current, 100 stale, 300 missing; one of the current ones is damaged.
    const stored = Array.from({ length: 200 }, (_, number) => trainingOf(number, number < 100 ? 2 : 1));
    const orphans = Array.from({ length: ORPHANS }, (_, number) => trainingOf(HOST_COUNT + number));
    await index.upsertTrainings([...stored, ...orphans]);
    await owner.query(`DELETE FROM ${schema}.chunk_1 WHERE training_id = '7'`);

    await killChild(schema, 6);
    const afterFirst = await index.verify(hostTrainings());
    expect(afterFirst).toMatchObject({ orphaned: { count: ORPHANS }, damaged: { count: 0 }, stale: { count: 0 } });
    expect(afterFirst.missing.count).toBeLessThan(300);
    expect(afterFirst.missing.count).toBeGreaterThan(0);

    await killChild(schema, 0);
    expect(await index.verify(hostTrainings())).toMatchObject({
      ...{ missing: { count: 0 }, stale: { count: 0 }, damaged: { count: 0 } },
      orphaned: { count: ORPHANS },
    });

    embeddings.texts = [];
    const last = await index.reconcile(hostTrainings());
    expect(last).toMatchObject({ orphaned: { count: ORPHANS }, repaired: 0, deleted: ORPHANS });
    expect(embeddings.texts).toEqual([]);
    expect((await index.verify(hostTrainings())).orphaned.count).toBe(0);
  });
});
