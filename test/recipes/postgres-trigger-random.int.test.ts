import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type pg from "pg";
import { expect, it, onTestFinished } from "vitest";
import { describeOnServer } from "../support/databases.js";
import { bundleProgram } from "../support/bundle.js";
import { newcomersEnvironment } from "../support/environment.js";
import { inHostTransaction, paragraph, until } from "../support/index.js";
import { randomOf } from "../../tooling/random.js";
import { expectFlagsTrue, expectInStep, openHost, untilDone } from "./postgres-trigger-host.js";

const DIMENSIONS = 1024; // the worker's own embedder decides
const WRITES = 500;
const KILLS = 3;
/** Concurrent connections of the host. */
const WRITERS = 3;

type Random = () => number;

/** The host: random writes by plain SQL that does not mention the index. */
class Writer {
  readonly #pool: pg.Pool;
  readonly #random: Random;
  /** Inserted ids. The rows of some may be deleted; a write to them has no effect. */
  #ids: number[] = [];
  writes = 0;
  readonly kinds = new Map<string, number>();

  constructor(pool: pg.Pool, random: Random) {
    this.#pool = pool;
    this.#random = random;
  }

  /** Writes concurrently until the total number of writes is `until`. */
  async run(until: number): Promise<void> {
    const lane = async (): Promise<void> => {
      while (this.writes < until) await this.#next();
    };
    await Promise.all(Array.from({ length: WRITERS }, lane));
  }

  async #next(): Promise<void> {
    const dice = this.#random();
    if (dice < 0.015) await this.#truncate();
    else if (dice < 0.25) await this.#transaction();
    else await this.#write(this.#pool, this.#pick());
  }

  async #transaction(): Promise<void> {
    // In the order of the ids, so that two writers do not deadlock.
    const ids = [...new Set([this.#pick(), this.#pick(), this.#pick()])].sort((left, right) => left - right);
    const end = this.#random() < 0.4 ? "ROLLBACK" : "COMMIT";
    this.#count(end);
    await inHostTransaction(this.#pool, end, async (client) => {
      for (const id of ids) await this.#write(client as pg.PoolClient, id);
    });
  }

  async #write(database: pg.Pool | pg.PoolClient, id: number): Promise<void> {
    this.writes += 1;
    const dice = this.#random();
    if (dice < 0.3) return this.#insert(database);
    const [kind, change] = this.#change(dice);
    this.#count(kind);
    await database.query(
      `${change.startsWith("DELETE") ? "" : "UPDATE oraculo_treinamento SET "}${change} WHERE id = $1`,
      [id],
    );
  }

  #change(dice: number): [kind: string, change: string] {
    if (dice < 0.5) return ["edit", `conteudo = '${this.#text()}'`];
    if (dice < 0.58) return ["rename", `tag = 'tag_${this.#below(3)}', grupo = 'grupo_${this.#below(3)}'`];
    if (dice < 0.74) return ["finalise", "treinamento_finalizado = true"];
    if (dice < 0.82) return ["un-finalise", "treinamento_finalizado = false"];
    if (dice < 0.88) return ["touch", "data_atualizacao = now()"];
    if (dice < 0.94) return ["flag", `treinamento_vetorizado = ${this.#random() < 0.5}, conteudo = conteudo`];
    return ["delete", "DELETE FROM oraculo_treinamento"];
  }

  async #insert(database: pg.Pool | pg.PoolClient): Promise<void> {
    this.#count("insert");
    const { rows } = await database.query<{ id: number }>(
      `INSERT INTO oraculo_treinamento (tag, grupo, conteudo, treinamento_finalizado)
        VALUES ('tag_0', 'grupo_0', $1, $2) RETURNING id`,
      [this.#text(), this.#random() < 0.6],
    );
    if (rows[0]) this.#ids.push(rows[0].id);
  }

  async #truncate(): Promise<void> {
    this.writes += 1;
    this.#count("truncate");
    this.#ids = [];
    await this.#pool.query("TRUNCATE oraculo_treinamento RESTART IDENTITY"); // so that ids are reused
  }

  #pick(): number {
    return this.#ids[this.#below(this.#ids.length)] ?? 0;
  }

  /** One of few texts of one to three chunks, so that an edit often restores an earlier one. */
  #text(): string {
    return Array.from({ length: 1 + this.#below(3) }, () => paragraph(`Assunto ${this.#below(12)}`)).join("\n\n");
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  #count(kind: string): void {
    this.kinds.set(kind, (this.kinds.get(kind) ?? 0) + 1);
  }
}

/** Starts the recipe's worker as a process. Resolves once it works. */
async function startChild(url: string): Promise<ChildProcess> {
  const program = await bundleProgram(new URL("../../examples/postgres-trigger/worker.ts", import.meta.url));
  const child = spawn(process.execPath, [program], {
    env: newcomersEnvironment({ DATABASE_URL: url }),
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const lines = createInterface({ input: child.stdout });
  await new Promise<void>((resolve, reject) => {
    lines.on("line", (line) => {
      if (line === "worker started") resolve();
    });
    child.once("exit", (code, signal) => {
      reject(new Error(`the worker ended with ${String(code ?? signal)}`));
    });
  });
  return child;
}

async function countLockedJobs(pool: pg.Pool): Promise<number> {
  const { rows } = await pool.query<{ count: string }>(
    "SELECT count(*) FROM graphile_worker.jobs WHERE task_identifier = 'index_training' AND locked_by IS NOT NULL",
  );
  return Number(rows[0]?.count);
}

/** Kills the worker during a job. A table lock keeps it from finishing the job before. */
async function killBusy(pool: pg.Pool, child: ChildProcess): Promise<void> {
  await inHostTransaction(pool, "COMMIT", async (client) => {
    await client.query("LOCK TABLE training_index.training IN SHARE MODE");
    await until(async () => {
      const { rowCount } = await pool.query(
        "SELECT FROM pg_locks WHERE relation = 'training_index.training'::regclass AND NOT granted",
      );
      return rowCount !== 0;
    });
    const exit = once(child, "exit");
    child.kill("SIGKILL");
    expect(await exit).toEqual([null, "SIGKILL"]);
  });
  expect(await countLockedJobs(pool), "jobs of the killed worker").toBeGreaterThan(0);
}

describeOnServer("Recipe postgres-trigger: random writes and a killed worker", () => {
  it(
    `after ${WRITES} random writes and ${KILLS} kills the index is in step with the table`,
    { timeout: 120_000 },
    async () => {
      const seed = Number(process.env["TRIGGER_SEED"] ?? Date.now() % 1_000_000);
      console.log(`postgres-trigger: TRIGGER_SEED=${seed} repeats these writes`);
      const { url, pool } = await openHost({ idType: "integer", dimensions: DIMENSIONS });
      const writer = new Writer(pool, randomOf(seed));
      let child = await startChild(url);
      let checks = 0;
      const check = (): Promise<void> =>
        inHostTransaction(pool, "COMMIT", async (client) => {
          await client.query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ");
          await expectFlagsTrue(client as pg.PoolClient);
          checks += 1;
        });
      for (let part = 1; part <= KILLS + 1; part++) {
        const writing = { isRunning: true };
        const written = writer.run((WRITES * part) / (KILLS + 1)).finally(() => {
          writing.isRunning = false;
        });
        // A true flag must be right at any moment, not only at the end.
        while (writing.isRunning) await check();
        await written;
        if (part > KILLS) break;
        const writtenDuringKill = writer.run(writer.writes + 30);
        await Promise.all([killBusy(pool, child), writtenDuringKill]);
        child = await startChild(url);
      }
      await untilDone(pool);
      await expectInStep(pool);
      console.log(
        `postgres-trigger: ${writer.writes} writes, ${checks} checks in between`,
        Object.fromEntries(writer.kinds),
      );
      expect(writer.writes).toBeGreaterThanOrEqual(WRITES);
      const exit = once(child, "exit");
      child.kill("SIGTERM");
      await exit;
      expect(await countLockedJobs(pool)).toBe(0);
    },
  );
});
