import { expect, it } from "vitest";
import { boundedPool } from "../../src/postgres/bounded-database.js";
import { NamedStatements } from "../../src/postgres/named-statements.js";

const noop = (): void => undefined;
/** The error of Postgres for a prepared statement whose tables have changed. */
const SCHEMA_CHANGE = Object.assign(new Error("cached plan must not change result type"), {
  severity: "ERROR",
  code: "0A000",
  routine: "RevalidateCachedQuery",
});

it("prepares at most 50 statements, and runs the others unprepared", async () => {
  const names: (string | undefined)[] = [];
  const pool = {
    totalCount: 1, // a property of pg.Pool
    connect: () => Promise.resolve({ query: pool.query, release: noop, on: noop, removeListener: noop }),
    query: (statement: string | { name: string }) => {
      names.push(typeof statement === "string" ? undefined : statement.name);
      return Promise.resolve({ rows: [] });
    },
  };
  const notices: { code: string }[] = [];
  const statements = new NamedStatements(boundedPool(pool as never), (notice) => notices.push(notice));
  const run = (place: number): Promise<unknown> => statements.query("swap", `SELECT ${place}`, [], { keepsPlan: true });
  for (let place = 0; place < 60; place++) await run(place);
  expect(new Set(names.slice(0, 50)).size).toBe(50);
  expect(names.slice(0, 50)).not.toContain(undefined);
  expect(names.slice(50)).toEqual(new Array(10).fill(undefined));
  await run(7);
  await run(507);
  expect(names.slice(60)).toEqual([names[7], undefined]);
  expect(notices).toMatchObject([{ code: "UNNAMED_STATEMENT" }]); // once
});

it("repeats a statement if the schema has changed since it was prepared, and uses new names afterwards", async () => {
  const names: (string | undefined)[] = [];
  let isStale = true;
  const query = (statement: string | { name: string }): Promise<unknown> => {
    names.push(typeof statement === "string" ? undefined : statement.name);
    if (!isStale || typeof statement === "string") return Promise.resolve({ rows: ["found"] });
    isStale = false;
    return Promise.reject(SCHEMA_CHANGE);
  };
  const client = { query, release: noop, on: noop, removeListener: noop };
  const notices: unknown[] = [];
  const pool = boundedPool({ totalCount: 1, query, connect: () => Promise.resolve(client) } as never);
  const statements = new NamedStatements(pool, (notice) => notices.push(notice));
  for (let round = 0; round < 2; round++) {
    expect(await statements.query("swap", "SELECT 1", [], { keepsPlan: true })).toEqual(["found"]);
  }
  expect(names).toEqual([names[0], undefined, expect.any(String)]);
  expect(names[2]).not.toBe(names[0]);
  expect(notices).toEqual([
    {
      code: "RETRY",
      message: expect.any(String) as string,
      cause: expect.objectContaining({ cause: SCHEMA_CHANGE }) as unknown,
    },
  ]);
});

it("starts to count its names again after a schema change, which makes the earlier ones useless", async () => {
  const names: (string | undefined)[] = [];
  let failure: Error | undefined;
  const query = (statement: string | { name: string }): Promise<unknown> => {
    names.push(typeof statement === "string" ? undefined : statement.name);
    return failure && typeof statement !== "string" ? Promise.reject(failure) : Promise.resolve({ rows: [] });
  };
  const client = { query, release: noop, on: noop, removeListener: noop };
  const pool = boundedPool({ totalCount: 1, query, connect: () => Promise.resolve(client) } as never);
  const statements = new NamedStatements(pool);
  const run = (place: number): Promise<unknown> => statements.query("swap", `SELECT ${place}`, [], { keepsPlan: true });
  for (let place = 0; place <= 50; place++) await run(place);
  expect(names.at(-1)).toBeUndefined(); // the limit is reached
  failure = SCHEMA_CHANGE;
  await run(0);
  failure = undefined;
  await run(50);
  expect(names.at(-1)).toEqual(expect.any(String));
});
