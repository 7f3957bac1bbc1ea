import { expect, it } from "vitest";
import { boundedPool } from "../../src/store/bounded-database.js";
import { NamedStatements } from "../../src/store/named-statements.js";

const noop = (): void => undefined;

it("names no more statements than a connection should keep, and runs the others without a name", async () => {
  const names: (string | undefined)[] = [];
  const pool = {
    totalCount: 1, // as pg.Pool has it
    connect: () => Promise.resolve({ query: pool.query, release: noop, on: noop, removeListener: noop }),
    query: (statement: string | { name: string }) => {
      names.push(typeof statement === "string" ? undefined : statement.name);
      return Promise.resolve({ rows: [] });
    },
  };
  const statements = new NamedStatements(boundedPool(pool as never));
  const run = (place: number): Promise<unknown> =>
    statements.query(`SELECT ${place}`, [], { keepsPlan: true });
  for (let place = 0; place < 510; place++) await run(place);
  expect(new Set(names.slice(0, 500)).size).toBe(500);
  expect(names.slice(0, 500)).not.toContain(undefined);
  expect(names.slice(500)).toEqual(new Array(10).fill(undefined));
  await run(7);
  await run(507);
  expect(names.slice(510)).toEqual([names[7], undefined]);
});
