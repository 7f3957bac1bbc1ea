import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { once } from "node:events";
import { migrationStatus, type MigrateResult } from "langchain-training-index/migrations";
import { beforeAll, expect, it, onTestFinished } from "vitest";
import { bundleProgram } from "../support/bundle.js";
import { describeOnServer, requireConnectionSetup, uniqueName } from "../support/databases.js";
import { newcomersEnvironment } from "../support/environment.js";
import { dropAtEnd, migratedSchema, until } from "../support/index.js";

const PROCESSES = 20;
let program = "";

describeOnServer("migrate, in many processes", (database) => {
  beforeAll(async () => {
    program = await bundleProgram(new URL("migrate-child.ts", import.meta.url), { withPackages: true });
  });

  it("creates one schema if twenty start at the same time", { timeout: 180_000 }, async () => {
    const schema = uniqueName();
    dropAtEnd(database.owner, schema);
    const children = Array.from({ length: PROCESSES }, () => new MigratingProcess(schema));
    await Promise.all(children.map((child) => child.next()));
    for (const child of children) child.start();
    const results = await Promise.all(children.map(async (child) => JSON.parse(await child.next()) as MigrateResult));
    expect(results.map(({ version }) => version)).toEqual(Array.from(results, () => 6));
    expect(results.filter(({ applied }) => applied.length > 0)).toHaveLength(1);
    expect(results.filter(({ vectorIndex }) => vectorIndex === "built")).toHaveLength(1);
    expect(await migrationStatus(database.owner, { schema })).toMatchObject({
      version: 6,
      pending: [],
      vectorIndex: "valid",
    });
    const { rows } = await database.owner.query(`SELECT version FROM ${schema}.migration ORDER BY version`);
    expect(rows).toEqual([
      { version: 1 },
      { version: 2 },
      { version: 3 },
      { version: 4 },
      { version: 5 },
      { version: 6 },
    ]);
  });

  it("builds one index of another type if twenty start at the same time", { timeout: 180_000 }, async () => {
    const schema = await migratedSchema(database);
    // The build waits for this open write transaction, so the test decides how long it takes.
    const writer = await database.owner.connect();
    onTestFinished(() => {
      writer.release();
    });
    await writer.query(`BEGIN; LOCK TABLE ${schema}.chunk_1 IN ROW EXCLUSIVE MODE`);
    const children = Array.from({ length: PROCESSES }, () => new MigratingProcess(schema, "bit"));
    await Promise.all(children.map((child) => child.next()));
    for (const child of children) child.start();
    const results: MigrateResult[] = [];
    const ends = children.map(async (child) => {
      results.push(JSON.parse(await child.next()) as MigrateResult);
    });
    await until(() => results.length === PROCESSES - 1);
    expect(new Set(results.map(({ vectorIndex }) => vectorIndex))).toEqual(new Set(["building"]));
    await writer.query("COMMIT");
    await Promise.all(ends);
    expect(results.at(-1)).toMatchObject({ applied: [], vectorIndex: "built" });
    expect(await migrationStatus(database.owner, { schema })).toMatchObject({
      vectorIndex: "valid",
      vectorIndexType: "bit",
    });
  });
});

/** A process that runs `migrate-child.ts`. */
class MigratingProcess {
  readonly #child: ChildProcessWithoutNullStreams;
  #printed = "";
  #log = "";

  constructor(schema: string, vectorIndex?: string) {
    this.#child = spawn(process.execPath, [program, schema, vectorIndex ?? ""], {
      env: newcomersEnvironment({ DATABASE_URL: requireConnectionSetup().ownerUrl }),
    });
    onTestFinished(() => {
      this.#child.kill();
    });
    this.#child.stdout.on("data", (data: Buffer) => {
      this.#printed += data.toString();
    });
    this.#child.stderr.on("data", (data: Buffer) => {
      this.#log += data.toString();
    });
  }

  /** The next line that it prints. */
  async next(): Promise<string> {
    while (!this.#printed.includes("\n")) {
      if (this.#child.exitCode !== null) throw new Error(`the process ended: ${this.#log}`);
      await Promise.race([once(this.#child.stdout, "data"), once(this.#child, "exit")]);
    }
    const [line = "", ...rest] = this.#printed.split("\n");
    this.#printed = rest.join("\n");
    return line;
  }

  start(): void {
    this.#child.stdin.write("\n");
  }
}
