import { execFile, type ExecFileException } from "node:child_process";
import { HashingEmbeddings } from "langchain-training-index/testing";
import { TrainingIndex } from "langchain-training-index";
import type pg from "pg";
import { expect, it } from "vitest";
import { bundleProgram } from "../support/bundle.js";
import { describeOnServer, requireConnectionSetup, type TestDatabase } from "../support/databases.js";
import { newcomersEnvironment } from "../support/environment.js";
import { migratedSchema } from "../support/index.js";
import { DIMENSIONS, EDITED, ID, ORIGINAL } from "./kill-content.js";

/** More points than any call has. */
const MAX_POINTS = 60;
/** Concurrent processes. */
const LANES = 4;

/** An overtaken upsert is stored in a transaction of several statements. */
type KilledCall = "upsert" | "overtaken" | "delete";

interface Killed {
  /** The point at which the process died; `undefined` if it finished. */
  point: string | undefined;
  points: number;
}

async function runChild(call: KilledCall, schema: string, killAt: number): Promise<Killed> {
  const child = await bundleProgram(new URL("kill-child.ts", import.meta.url), { withPackages: true });
  const env = newcomersEnvironment({ DATABASE_URL: requireConnectionSetup().url });
  return new Promise((resolve, reject) => {
    const arguments_ = [child, call, schema, `${killAt}`];
    execFile(process.execPath, arguments_, { env }, (error: ExecFileException | null, stdout, stderr) => {
      if (!error) resolve({ point: undefined, points: Number(stdout) });
      else if (error.signal === "SIGKILL") resolve({ point: stdout, points: NaN });
      else reject(new Error(stderr, { cause: error }));
    });
  });
}

/** Kills the call at each of its points, each time in a new schema, and runs `check` after each. @returns the points */
async function killEverywhere(
  database: TestDatabase,
  call: KilledCall,
  check: (index: TrainingIndex, schema: string, point: string | undefined) => Promise<void>,
): Promise<string[]> {
  const { pool } = database;
  const points: string[] = [];
  let next = 1;
  let last = MAX_POINTS;
  const lane = async (): Promise<void> => {
    while (next <= last) {
      const killAt = next++;
      const schema = await migratedSchema(database, { dimensions: DIMENSIONS });
      const index = await TrainingIndex.initialize(new HashingEmbeddings({ dimensions: DIMENSIONS }), {
        pool,
        schema,
      });
      await index.upsertTraining({ id: ID, content: ORIGINAL, metadata: { version: 1 } });
      const { point, points: count } = await runChild(call, schema, killAt);
      if (point === undefined) last = Math.min(last, count);
      else points[killAt - 1] = point;
      await check(index, schema, point);
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return points;
}

/** All chunks of the schema as a reader sees them, after a check that they are of one version. */
async function readAll(pool: pg.Pool, schema: string): Promise<{ version: number; texts: string[] } | undefined> {
  const { rows } = await pool.query<{ content: string; version: number }>(
    `SELECT c.content, (c.metadata->>'version')::int AS version
      FROM ${schema}.chunk_1 c LEFT JOIN ${schema}.indexed_1 i USING (training_id)
      ORDER BY array_position(i.chunk_ids, c.id)`,
  );
  const [first] = rows;
  if (!first) return undefined;
  expect(new Set(rows.map(({ version }) => version)).size).toBe(1);
  return { version: first.version, texts: rows.map(({ content }) => content) };
}

// Guards: the swap is one statement or one transaction, so Postgres rolls it back when the connection ends.
describeOnServer("C4 All or nothing", (database) => {
  it.each([
    ["upsert", ["before take-tickets", "after embedding", "before swap"], "after swap", 8],
    ["overtaken", ["before BEGIN ISOLATION LEVEL", "after swap", "before COMMIT"], "after COMMIT", 10],
  ] as const)(
    "SIGKILL at every await of an upsert (%s) leaves the whole old version, or the new one if it was committed",
    { timeout: 240_000 },
    async (call, before, stored, fewest) => {
      const { pool } = database;
      const points = await killEverywhere(database, call, async (index, schema, point) => {
        const isStored = point === undefined || point === stored;
        const expected = isStored
          ? { version: 2, texts: EDITED.split("\n\n") }
          : { version: 1, texts: ORIGINAL.split("\n\n") };
        expect(await readAll(pool, schema), point).toEqual(expected);
        // Nothing is locked, and a repeat of the call succeeds.
        const again = await index.upsertTraining({ id: ID, content: EDITED, metadata: { version: 2 } });
        expect(again.status, point).toBe(isStored ? "unchanged" : "indexed");
        expect(await readAll(pool, schema), point).toEqual({ version: 2, texts: EDITED.split("\n\n") });
      });
      for (const point of before)
        expect(
          points.some((name) => name.startsWith(point)),
          point,
        ).toBe(true);
      expect(points).toContain(stored);
      expect(points.length).toBeGreaterThanOrEqual(fewest);
    },
  );

  it("SIGKILL at every await of a delete leaves all chunks or none", { timeout: 120_000 }, async () => {
    const { pool } = database;
    const points = await killEverywhere(database, "delete", async (index, schema, point) => {
      const isGone = point === undefined || point === "after delete-trainings";
      const expected = isGone ? undefined : { version: 1, texts: ORIGINAL.split("\n\n") };
      expect(await readAll(pool, schema), point).toEqual(expected);
      expect((await index.deleteTraining(ID)).status, point).toBe(isGone ? "absent" : "deleted");
      expect(await readAll(pool, schema), point).toBeUndefined();
    });
    expect(points).toContain("before delete-trainings");
    expect(points).toContain("after delete-trainings");
    expect(points.length).toBeGreaterThanOrEqual(4);
  });
});
