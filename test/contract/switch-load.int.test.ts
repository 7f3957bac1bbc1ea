import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { once } from "node:events";
import { setTimeout as pause } from "node:timers/promises";
import { TrainingIndex, type SwitchResult } from "langchain-training-index";
import { expect, it } from "vitest";
import { bundleProgram } from "../support/bundle.js";
import { describeOnServer, requireConnectionSetup } from "../support/databases.js";
import { newcomersEnvironment } from "../support/environment.js";
import { migratedSchema } from "../support/index.js";
import { contentOf, LOAD_DIMENSIONS, newModel, oldModel, vectorOf } from "./switch-load-model.js";

/** The large run has `SWITCH_TRAININGS=5000 SWITCH_KILLS=5`. */
const TRAININGS = Number(process.env["SWITCH_TRAININGS"] ?? 100);
const KILLS = Number(process.env["SWITCH_KILLS"] ?? 2);

interface Reader {
  searches: number;
  old: number;
  new: number;
  mixed: number;
  failures: Record<string, number>;
}

interface Writer {
  last: Record<string, number | null>;
  writes: number;
  failures: Record<string, number>;
  longestMs: number;
}

class Child<Result> {
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #exit: Promise<unknown[]>;
  #output = "";

  constructor(program: string, args: readonly string[], url: string) {
    this.#process = spawn(process.execPath, [program, ...args], { env: newcomersEnvironment({ DATABASE_URL: url }) });
    this.#process.stdout.on("data", (data: Buffer) => (this.#output += data.toString()));
    this.#process.stderr.on("data", (data: Buffer) => (this.#output += data.toString()));
    this.#exit = once(this.#process, "exit");
  }

  kill(): void {
    this.#process.kill("SIGKILL");
  }

  async ended(): Promise<void> {
    await this.#exit;
  }

  /** Ends its input, and waits for its result. */
  async result(): Promise<Result> {
    this.#process.stdin.end();
    await this.#exit;
    try {
      return JSON.parse(this.#output) as Result;
    } catch {
      throw new Error(this.#output);
    }
  }
}

// Guards: the triggers that record writes, the lock at the flip, the check of the active profile in every statement.
describeOnServer("A switch of the model under load", (database) => {
  const timeout = 120_000 + TRAININGS * 100;
  it(
    `loses no write, fails no search, and compares no vectors of two models (${TRAININGS} trainings, ${KILLS} kills)`,
    { timeout },
    async () => {
      const { pool } = database;
      const schema = await migratedSchema(database, { dimensions: LOAD_DIMENSIONS, textSearch: "portuguese" });
      const { url, ownerUrl } = requireConnectionSetup();
      const program = await bundleProgram(new URL("switch-child.ts", import.meta.url), { withPackages: true });
      const index = await TrainingIndex.initialize(oldModel(), { pool, schema });
      const places = Array.from({ length: TRAININGS }, (_, place) => place);
      const first = places.map((place) => ({
        id: `t${place}`,
        content: contentOf(place, 0),
        metadata: { version: 0 },
      }));
      await index.upsertTrainings(first);
      const readers = (["old", "both", "new"] as const).map(
        (kind) => new Child<Reader>(program, ["read", kind, schema], url),
      );
      const writer = new Child<Writer>(program, ["write", schema, `${TRAININGS}`], url);
      for (let kill = 0; kill < KILLS; kill++) {
        const child = new Child(program, ["switch", schema], ownerUrl);
        await Promise.race([pause(400 + ((kill * 397) % 700)), child.ended()]);
        child.kill();
        await child.ended();
      }
      const switched = await new Child<SwitchResult>(program, ["switch", schema], ownerUrl).result();
      await pause(500);
      const written = await writer.result();
      const [old, both, onlyNew] = await Promise.all(readers.map((reader) => reader.result()));
      console.log(
        `switch under load: ${TRAININGS} trainings, ${written.writes} writes (longest ${written.longestMs} ms), searches ` +
          `${[old, both, onlyNew].map((reader) => reader?.searches).join(", ")}, flip ${JSON.stringify(switched.flip)}`,
      );
      expect(written.failures).toEqual({});
      expect(both).toMatchObject({ mixed: 0, failures: {} });
      expect(both?.new).toBeGreaterThan(0);
      expect(both?.old).toBeGreaterThan(0);
      expect(old).toMatchObject({ mixed: 0, new: 0 });
      expect(Object.keys(old?.failures ?? {})).toEqual(["PROFILE_RETIRED"]);
      expect(onlyNew).toMatchObject({ mixed: 0, old: 0 });
      expect(Object.keys(onlyNew?.failures ?? {})).toEqual(["PROFILE_MISMATCH"]);
      expect(onlyNew?.new).toBeGreaterThan(0);

      const expected = places.flatMap((place) => {
        const version = written.last[`t${place}`];
        return version === null ? [] : [[`t${place}`, contentOf(place, version ?? 0)] as const];
      });
      const { rows } = await pool.query<{ id: string; content: string; vector: string }>(
        `SELECT i.training_id AS id, c.content, c.embedding::text AS vector FROM ${schema}.indexed_2 i
          CROSS JOIN LATERAL unnest(i.chunk_ids) WITH ORDINALITY AS p (id, place)
          LEFT JOIN ${schema}.chunk_2 c ON c.training_id = i.training_id AND c.id = p.id ORDER BY i.training_id, p.place`,
      );
      const stored = new Map<string, string[]>();
      for (const { id, content } of rows) stored.set(id, [...(stored.get(id) ?? []), content]);
      expect([...stored.keys()].sort()).toEqual(expected.map(([id]) => id).sort());
      for (const [id, content] of expected) expect(stored.get(id)?.join("\n\n"), id).toBe(content);
      const wrong = rows.filter(({ content, vector }) => {
        const wanted = vectorOf(newModel().profile.model, content);
        return (JSON.parse(vector) as number[]).some((value, place) => Math.abs(value - (wanted[place] ?? 2)) > 1e-6);
      });
      expect(wrong).toEqual([]);
      const leftovers = await pool.query(
        `SELECT t.training_id FROM (SELECT training_id FROM ${schema}.chunk_1 UNION SELECT training_id FROM ${schema}.chunk_2
            UNION SELECT training_id FROM ${schema}.indexed_1 UNION SELECT training_id FROM ${schema}.indexed_2) t
          LEFT JOIN ${schema}.training s ON s.id = t.training_id WHERE s.id IS NULL OR s.deleted_at IS NOT NULL`,
      );
      expect(leftovers.rows).toEqual([]);
      const counted = await pool.query(`SELECT count(*)::integer AS chunks FROM ${schema}.chunk_2`);
      expect(counted.rows).toEqual([{ chunks: rows.length }]);
    },
  );
});
