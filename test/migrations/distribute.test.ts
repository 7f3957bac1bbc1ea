import { describe, expect, it } from "vitest";
import { InvalidArgumentError, SchemaError } from "../../src/errors.js";
import {
  checkCitus,
  checkCluster,
  distribute,
  ensureFunctions,
  refuseTextSearch,
  requireReferenceTable,
  undistribute,
} from "../../src/migrations/distribute.js";
import { planMigration, type MigrateOptions, type MigrationPlan } from "../../src/migrations/options.js";
import type { Queryable } from "../../src/postgres/database.js";
import { nameOfStatement } from "../../src/postgres/statement-names.js";
import { createFunctions, functionBodies } from "../../src/storing/distributed-functions.js";

const SCHEMA = `bot's "1"`;
const HOST = { schema: "app", table: `trei'no"s`, column: "id" };

/** What the database says when it is asked. */
interface Answers {
  /** The row of a schema in the catalogs of Citus. */
  cluster?: { is_worker?: string; mode?: string | null; distributes?: string };
  /** The foreign keys of the trainings each time that they are read; the last answer is repeated. */
  foreignKeys?: (typeof HOST | undefined)[];
  isReferenceTable?: boolean;
  hasTrainings?: boolean;
  /** How many of the functions exist as they should be. */
  functions?: number;
}

/** A client that answers what is read, and the statements that change something, in order, without their names. */
function recordingClient(answers: Answers = {}): { client: Queryable; changes: string[]; reads: unknown[][] } {
  const [changes, reads]: [string[], unknown[][]] = [[], []];
  let keysRead = 0;
  const { cluster, foreignKeys = [], isReferenceTable = true, hasTrainings = false, functions = 0 } = answers;
  const answer = (text: string): object[] | undefined => {
    if (text.includes("pg_dist_local_group"))
      return [{ is_worker: "false", mode: null, distributes: "off", ...cluster }];
    if (text.includes("k.contype = 'f'")) {
      const key = foreignKeys[Math.min(keysRead++, foreignKeys.length - 1)];
      return key ? [{ ...key, type: "text", name: `training's "fkey"` }] : [];
    }
    if (text.includes("pg_dist_partition")) return isReferenceTable ? [{}] : [];
    if (text.includes("pg_proc")) return Array.from({ length: functions }, () => ({}));
    if (text.includes("training LIMIT 1")) return hasTrainings ? [{}] : [];
    return undefined;
  };
  const client: Queryable = {
    query: (text, values = []) => {
      expect(nameOfStatement(text)).toMatch(/^(migrate|read-catalog)$/);
      const plain = text.replace(/ \/\*.*?\*\//, "");
      const rows = answer(plain);
      if (rows) reads.push(values);
      else changes.push(plain);
      return Promise.resolve({ rows: rows ?? [], rowCount: rows?.length ?? 0 });
    },
  };
  return { client, changes, reads };
}

function planOf(options: MigrateOptions = {}): MigrationPlan {
  return planMigration({ schema: SCHEMA, ...options });
}

/** What a call is refused with. */
async function refusal(work: Promise<unknown>): Promise<{ code: SchemaError["code"]; message: string }> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!SchemaError.is(error)) throw new Error("it was not refused", { cause: error });
  return { code: error.code, message: error.message };
}

describe("checkCitus", () => {
  it.each([
    [{}],
    [{ citus: "schema" }],
    [{ citus: "tables" }],
    [{ citus: "schema", textSearch: "portuguese" }],
    [{ citus: "tables", textSearch: false }],
  ] satisfies [MigrateOptions][])("accepts %j", (options) => {
    expect(() => {
      checkCitus(options);
    }).not.toThrow();
  });

  it.each(["rows", "", true, null, "TABLES"])("refuses the mode %j", (citus) => {
    expect(() => {
      checkCitus({ citus: citus as never });
    }).toThrow(new InvalidArgumentError("citus", 'must be "schema" or "tables"'));
  });

  it("refuses text search of spread trainings, and names the mode that has it", () => {
    const check = (): void => {
      checkCitus({ citus: "tables", textSearch: "portuguese" });
    };
    expect(check).toThrow(expect.objectContaining({ option: "textSearch" }));
    expect(check).toThrow('use citus: "schema"');
  });
});

describe("checkCluster", () => {
  const check = (
    {
      citus,
      hasCitus = true,
      migrated = false,
    }: Pick<MigrateOptions, "citus"> & { hasCitus?: boolean; migrated?: boolean },
    cluster: Answers["cluster"] = {},
  ): ReturnType<typeof checkCluster> =>
    checkCluster(recordingClient({ cluster }).client, { hasCitus, migrated }, { schema: SCHEMA, citus });

  it("does not ask a database without Citus", async () => {
    const { client, reads } = recordingClient();
    const found = await checkCluster(
      client,
      { hasCitus: false, migrated: false },
      { schema: SCHEMA, citus: undefined },
    );
    expect([found, reads]).toEqual([undefined, []]);
  });

  it("refuses the option without Citus, and says what to run", async () => {
    const { code, message } = await refusal(check({ citus: "tables", hasCitus: false }));
    expect(code).toBe("EXTENSION_MISSING");
    expect(message).toMatch(/^citus is "tables", .*CREATE EXTENSION citus on all nodes.* or leave citus out$/);
  });

  it("refuses a worker, also without the option", async () => {
    for (const citus of [undefined, "schema"] as const) {
      expect(await refusal(check({ citus }, { is_worker: "true" }))).toMatchObject({ code: "UNSUPPORTED_SETTING" });
    }
  });

  it.each([
    [{ citus: "tables", migrated: true }, "schema"],
    [{ citus: "schema", migrated: true }, "tables"],
  ] as const)("refuses %j for a schema that was migrated in the other way", async (options, mode) => {
    const { code, message } = await refusal(check(options, { mode }));
    expect(code).toBe("SCHEMA_CONFLICT");
    expect(message).toContain(`migrated with "${mode}"`);
    expect(message).toContain("exportTrainings");
  });

  it.each([
    [{ migrated: true }, "tables", "tables"],
    [{ citus: "tables", migrated: true }, "tables", "tables"],
    [{ citus: "tables", migrated: true }, null, undefined], // it is spread now
    [{ citus: "schema" }, null, undefined],
    [{}, null, undefined],
  ] as const)("accepts %j for a schema that is held as %j", async (options, mode, expected) => {
    expect(await check(options, { mode })).toMatchObject({ mode: expected });
  });

  it("refuses an empty schema that is distributed already, with the call to make", async () => {
    const { code, message } = await refusal(check({}, { mode: "schema" }));
    expect(code).toBe("UNSUPPORTED_SETTING");
    expect(message).toMatch(/drop it, and run migrate\(pool, \{ citus: "schema" \}\)/);
  });

  it("refuses a session that distributes new schemas, with the setting and the call that was meant", async () => {
    const { code, message } = await refusal(check({ citus: "tables" }, { distributes: "on" }));
    expect(code).toBe("UNSUPPORTED_SETTING");
    expect(message).toContain("SET citus.enable_schema_based_sharding = off");
    expect(message).toContain('migrate(pool, { citus: "tables" })');
    // Its tables exist, and would not be created again.
    expect(await check({ citus: "tables", migrated: true }, { distributes: "on" })).toBeDefined();
  });
});

describe("requireReferenceTable", () => {
  it("accepts a host's table that is on all nodes, and no host's table", async () => {
    const { client, reads } = recordingClient();
    await requireReferenceTable(client, planOf({ trainings: HOST }).trainings);
    expect(reads).toEqual([[HOST.schema, HOST.table]]);
    await requireReferenceTable(client, undefined);
    expect(reads).toHaveLength(1);
  });

  it("refuses any other, with a statement that can be run as it is", async () => {
    const { client } = recordingClient({ isReferenceTable: false });
    const { code, message } = await refusal(requireReferenceTable(client, planOf({ trainings: HOST }).trainings));
    expect(code).toBe("SCHEMA_CONFLICT");
    expect(message).toContain(`run SELECT create_reference_table('"app"."trei''no""s"')`);
  });
});

describe("undistribute", () => {
  it("drops the foreign key first, takes the schema back, and returns the host's table", async () => {
    const { client, changes } = recordingClient({ foreignKeys: [HOST] });
    const host = await undistribute(client, { schema: SCHEMA, mode: "schema" });
    expect(host).toMatchObject(HOST);
    expect(changes).toEqual([
      `ALTER TABLE "bot's ""1""".training DROP CONSTRAINT "training's ""fkey"""`,
      `SELECT pg_catalog.citus_schema_undistribute('"bot''s ""1"""')`,
    ]);
  });

  it("takes spread tables back if there are no trainings, those of the trainings together, after other migrations", async () => {
    const { client, changes } = recordingClient();
    expect(await undistribute(client, { schema: SCHEMA, mode: "tables" })).toBeUndefined();
    expect(changes).toEqual([
      expect.stringMatching(/pg_advisory_xact_lock/),
      `SELECT pg_catalog.undistribute_table('"bot''s ""1""".training', cascade_via_foreign_keys => true)`,
      `SELECT pg_catalog.undistribute_table('"bot''s ""1""".profile')`,
    ]);
  });

  it("changes nothing of spread trainings: the coordinator may be too small for them", async () => {
    const { client, changes } = recordingClient({ hasTrainings: true, foreignKeys: [HOST] });
    const { code, message } = await refusal(undistribute(client, { schema: SCHEMA, mode: "tables" }));
    expect(code).toBe("SCHEMA_CONFLICT");
    expect(message).toContain("exportTrainings");
    expect(message).toContain(`SELECT undistribute_table('"bot''s ""1""".training', cascade_via_foreign_keys => true)`);
    expect(changes).toEqual([]);
  });
});

/** A statement without what follows the name of the object that it changes. */
function headOf(statement: string): string {
  return (
    /^(CREATE OR REPLACE FUNCTION|SELECT pg_catalog\.create_distributed_function)/.exec(statement)?.[0] ?? statement
  );
}

describe("distribute", () => {
  const TRAINING = `"bot's ""1""".training`;
  const literal = (table: string): string => `'"bot''s ""1""".${table}'`;

  it("spreads the profile first, then the trainings, and the chunks with them", async () => {
    const { client, changes } = recordingClient();
    await distribute(client, planOf(), "tables");
    const functions = createFunctions({ ...planOf(), citus: "tables" });
    expect(changes.slice(0, -functions.length)).toEqual([
      `DROP TRIGGER IF EXISTS store_lexemes ON "bot's ""1""".chunk_1`,
      "SELECT pg_catalog.pg_advisory_xact_lock(7814987219179500659)",
      `SELECT pg_catalog.create_reference_table(${literal("profile")})`,
      `SELECT pg_catalog.create_distributed_table(${literal("training")}, 'id', colocate_with => 'none')`,
      `SELECT pg_catalog.create_distributed_table(${literal("indexed_1")}, 'training_id', colocate_with => ${literal("training")})`,
      `SELECT pg_catalog.create_distributed_table(${literal("chunk_1")}, 'training_id', colocate_with => ${literal("training")})`,
      `SELECT pg_catalog.truncate_local_data_after_distributing_table(${literal("profile")})`,
      `SELECT pg_catalog.truncate_local_data_after_distributing_table(${literal("training")})`,
    ]);
    expect(changes.slice(-functions.length)).toEqual(functions);
  });

  it("gives a schema to one node, and drops the trigger of older versions before", async () => {
    const { client, changes } = recordingClient();
    await distribute(client, planOf(), "schema");
    expect(changes.slice(0, 2)).toEqual([
      `DROP TRIGGER IF EXISTS store_lexemes ON "bot's ""1""".chunk_1`,
      `SELECT pg_catalog.citus_schema_distribute('"bot''s ""1"""')`,
    ]);
    expect(new Set(changes.slice(2).map(headOf))).toEqual(
      new Set(["CREATE OR REPLACE FUNCTION", "SELECT pg_catalog.create_distributed_function"]),
    );
  });

  it.each(["schema", "tables"] as const)(
    'keeps the foreign key of the schema, which Citus allows only between distributed tables: citus "%s"',
    async (citus) => {
      const { client, changes } = recordingClient({ foreignKeys: [HOST, undefined] });
      await distribute(client, planOf(), citus);
      const added = `ALTER TABLE ${TRAINING} ADD FOREIGN KEY (id) REFERENCES "app"."trei'no""s" ("id") ON DELETE CASCADE`;
      const isDistribution = (text: string): boolean => /citus_schema_distribute|create_distributed_table/.test(text);
      expect(changes[0]).toBe(`ALTER TABLE ${TRAINING} DROP CONSTRAINT "training's ""fkey"""`);
      expect(changes.indexOf(added)).toBeGreaterThan(changes.findLastIndex(isDistribution));
      expect(changes.indexOf(added)).toBeLessThan(changes.findIndex((text) => text.startsWith("CREATE")));
    },
  );

  it("distributes nothing if the host's table is not on all nodes", async () => {
    const { client, changes } = recordingClient({ isReferenceTable: false });
    const work = distribute(client, planOf({ trainings: HOST }), "tables");
    expect(await refusal(work)).toMatchObject({ code: "SCHEMA_CONFLICT" });
    expect(changes).toEqual([]);
  });

  it("changes nothing of a schema with text search that was to be spread", async () => {
    const { client, changes } = recordingClient();
    const work = distribute(client, planOf({ textSearch: "portuguese" }), "tables");
    const { code, message } = await refusal(work);
    expect(code).toBe("SCHEMA_CONFLICT");
    expect(message).toContain('migrate(pool, { textSearch: false, citus: "tables" })');
    expect(changes).toEqual([]);
    expect(() => {
      refuseTextSearch(planOf());
    }).not.toThrow();
  });
});

describe("ensureFunctions", () => {
  const bodies = (plan: MigrationPlan, citus: "schema" | "tables"): string[] => functionBodies({ ...plan, citus });

  it("leaves the functions of this version alone", async () => {
    const plan = planOf();
    const { client, changes, reads } = recordingClient({ functions: bodies(plan, "tables").length });
    await ensureFunctions(client, plan, "tables");
    expect(changes).toEqual([]);
    expect(reads).toEqual([[SCHEMA, bodies(plan, "tables")]]);
  });

  it("creates all of them again if one is missing, or is that of another version", async () => {
    const plan = planOf();
    const { client, changes } = recordingClient({ functions: bodies(plan, "schema").length - 1 });
    await ensureFunctions(client, plan, "schema");
    expect(changes).toEqual(createFunctions({ ...plan, citus: "schema" }));
  });

  it("adds the foreign key of spread trainings to a host's table on all nodes only", async () => {
    const plan = planOf({ trainings: HOST });
    const functions = bodies(plan, "tables").length;
    const added = recordingClient({ functions });
    await ensureFunctions(added.client, plan, "tables");
    expect(added.changes).toEqual([expect.stringMatching(/^ALTER TABLE .* ADD FOREIGN KEY/)]);
    const stored = recordingClient({ functions, foreignKeys: [HOST] });
    await ensureFunctions(stored.client, plan, "tables");
    expect(stored.changes).toEqual([]);
    const refused = recordingClient({ functions, isReferenceTable: false });
    expect(await refusal(ensureFunctions(refused.client, plan, "tables"))).toMatchObject({ code: "SCHEMA_CONFLICT" });
    expect(refused.changes).toEqual([]);
  });
});
