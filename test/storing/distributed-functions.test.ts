import { describe, expect, it } from "vitest";
import { namesOf } from "../../src/schema/layout.js";
import { quoteIdentifier, quoteLiteral } from "../../src/postgres/identifiers.js";
import {
  createFunctions,
  dropFunctions,
  functionBodies,
  type FunctionsPlan,
} from "../../src/storing/distributed-functions.js";

/** A name that ends a literal, a quoted name and a text in dollar quotes, if they are not written with care. */
const HOSTILE = `it's "$body$ $1" \\`;

function planOf(plan: Partial<FunctionsPlan> = {}): FunctionsPlan {
  const names = namesOf({ schema: HOSTILE, profileId: 1, extensionSchema: "public" });
  return { names, idType: "text", citus: "tables", ...plan };
}

/** The statements that make each function known to the cluster. */
function distributed(plan: FunctionsPlan): string[] {
  return createFunctions(plan).filter((text) => text.includes("create_distributed_function"));
}

/** The verb in the name of each created function. */
function verbs(plan: FunctionsPlan): string[] {
  return createFunctions(plan).flatMap(
    (text) => /^CREATE OR REPLACE FUNCTION .*\\"\.(\w+?)(?:_training)?(?:_1)?\(/.exec(text)?.[1] ?? [],
  );
}

describe("createFunctions", () => {
  it("creates the functions that each way to hold a schema calls", () => {
    expect(verbs(planOf({ citus: "schema" }))).toEqual(["store", "touch", "remove", "storage"]);
    expect(verbs(planOf({ citus: "schema", textSearch: "portuguese" }))).toEqual([
      "store",
      "touch",
      "remove",
      "storage",
      "common_lexemes",
    ]);
    expect(verbs(planOf())).toEqual([
      "store",
      "touch",
      "remove",
      "clean",
      "require_version",
      "search_settings",
      "shared_entries",
    ]);
  });

  it("creates each one before it makes it known, with the types of its parameters", () => {
    const statements = createFunctions(planOf({ idType: "bigint" }));
    for (const [place, text] of statements.entries()) {
      if (place % 2 === 0) {
        expect(text).toMatch(/^CREATE OR REPLACE FUNCTION /);
        continue;
      }
      const [, parameters = ""] = /\((.*?)\)\n/.exec(statements[place - 1] ?? "") ?? [];
      const types = parameters.split(", ").map((parameter) => parameter.replace(/^\w+ /, ""));
      expect(text).toContain(`(${types.join(", ").replaceAll("'", "''")})'`);
    }
    expect(statements[1]).toContain("(bigint, bigint, numeric,");
  });

  it("sends a call on a training to the node that has it, and leaves what statements on shards call where they run", () => {
    const [store, touch, remove, clean, ...onShards] = distributed(planOf());
    for (const text of [store, touch, remove, clean]) {
      expect(text).toMatch(/, 'p_id', colocate_with => E'"it''s ""\$body\$ \$1"" \\\\"\.training'\)$/);
    }
    expect(onShards).toHaveLength(3);
    for (const text of onShards) expect(text).not.toMatch(/p_id|colocate_with/);
  });

  it("sends all calls to the node that has a whole schema", () => {
    const statements = distributed(planOf({ citus: "schema", textSearch: "simple" }));
    expect(statements).toHaveLength(5);
    for (const text of statements) {
      expect(text).not.toContain("'p_id'");
      expect(text).toMatch(/, colocate_with => E'"it''s ""\$body\$ \$1"" \\\\"\.training'\)$/);
    }
  });

  it("quotes bodies so that a name in them cannot end them", () => {
    for (const citus of ["schema", "tables"] as const) {
      const plan = planOf({ citus });
      const created = createFunctions(plan).filter((text) => text.startsWith("CREATE"));
      const bodies = functionBodies(plan);
      expect(created).toHaveLength(bodies.length);
      for (const [place, text] of created.entries()) {
        const [, tag = "", body = ""] = / LANGUAGE plpgsql AS (\$\w+\$)([\s\S]*)\1$/.exec(text) ?? [];
        expect(body).toBe(bodies[place]);
        expect(body).not.toContain(tag);
      }
    }
  });
});

describe("functionBodies", () => {
  it("differ from each other and with all that a statement depends on, so that functions of another version are noticed", () => {
    const bodies = functionBodies(planOf());
    expect(new Set(bodies).size).toBe(bodies.length);
    const [store] = bodies;
    expect(functionBodies(planOf({ citus: "schema" }))[0]).not.toBe(store); // locks the profile
    expect(functionBodies(planOf({ citus: "schema", textSearch: "simple" }))[0]).not.toBe(
      functionBodies(planOf({ citus: "schema", textSearch: "portuguese" }))[0],
    );
    const names = namesOf({ schema: HOSTILE, profileId: 2, extensionSchema: "public" });
    expect(functionBodies(planOf({ names }))[0]).not.toBe(store);
  });

  it("lock the profile where its claim can change, and not where it is on all nodes", () => {
    const locks = (plan: FunctionsPlan): number =>
      functionBodies(plan).filter((body) => body.includes("FOR SHARE")).length;
    expect(locks(planOf({ citus: "schema" }))).toBe(3);
    expect(locks(planOf())).toBe(0);
  });
});

describe("dropFunctions", () => {
  it("drops the created ones, and no other of the same name", () => {
    for (const idType of ["text", "bigint"] as const) {
      const plan = planOf({ idType });
      const signatures = dropFunctions(plan).map((text) => /^DROP FUNCTION IF EXISTS ([\s\S]*)$/.exec(text)?.[1] ?? "");
      const created = distributed(plan);
      expect(signatures).toHaveLength(created.length);
      for (const [place, signature] of signatures.entries()) {
        expect(signature).toContain(quoteIdentifier(HOSTILE, "schema"));
        expect(created[place]).toContain(`(${quoteLiteral(signature)}`);
      }
      expect(signatures[0]).toContain(`(${idType}, `);
    }
  });
});
