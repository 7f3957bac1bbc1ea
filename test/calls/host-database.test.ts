import pg from "pg";
import { describe, expect, it } from "vitest";
import { InvalidArgumentError } from "../../src/errors.js";
import { boundedPool } from "../../src/postgres/bounded-database.js";
import { checkClient, checkDatabase, checkPool } from "../../src/calls/host-database.js";
import { hostClient } from "../../src/postgres/host-client.js";

const method = (): never => {
  throw new Error("is not called");
};
const SECRET = "postgres://bot:segredo@localhost/treinos";
const postgresJs = Object.assign(() => method(), { unsafe: method });
const knex = Object.assign(() => method(), { raw: method });
/** The shape of a client of `pg.native`, whose package is not installed here. */
class NativeClient {
  connectionParameters = {};
  native = { connect: method };
  query = method;
  connect = method;
  _hasActiveQuery(): boolean {
    return false;
  }
}

const NEITHER: [unknown, RegExp][] = [
  [null, /null/],
  [SECRET, /a string/],
  [{}, /without/],
  [7, /number/],
  [[], /a list/],
  [Promise.resolve(), /promise: await it/],
  [postgresJs, /postgres\.js/],
  [knex, /Knex/],
  [{ query: method, connect: method, createQueryRunner: method }, /TypeORM DataSource/],
  [{ query: method, connect: method, startTransaction: method, manager: {} }, /TypeORM QueryRunner/],
  [{ query: method, getQueryInterface: method }, /Sequelize/],
  [{ $queryRawUnsafe: method }, /Prisma/],
  [{ execute: method, $client: {} }, /Drizzle/],
  [new NativeClient(), /pg\.native/],
];

function expectRefusal(option: string, check: () => unknown, reason: RegExp): void {
  const error = ((): unknown => {
    try {
      return check();
    } catch (thrown) {
      return thrown;
    }
  })();
  expect(error).toBeInstanceOf(InvalidArgumentError);
  expect(error).toMatchObject({ option });
  expect((error as Error).message).toMatch(reason);
  expect((error as Error).message).toMatch(/^(pool must be a pg\.Pool|client must be a client of pg)/);
  expect((error as Error).message).not.toContain("segredo");
}

describe("checkPool", () => {
  it.each([...NEITHER, [undefined, /undefined/], [new pg.Client(), /pg\.Client/]] as [unknown, RegExp][])(
    "refuses a value that is not a pool (%#)",
    (given, reason) => {
      expectRefusal("pool", () => checkPool(given), reason);
    },
  );

  it("refuses a pool of pg.native", () => {
    expectRefusal(
      "pool",
      () => checkPool({ query: method, connect: method, totalCount: 0, Client: NativeClient }),
      /pg\.native/,
    );
  });

  it("accepts a pool, and any object with its methods", () => {
    const pool = new pg.Pool();
    expect(checkPool(pool)).toBe(pool);
    const wrapped = { query: method, connect: method };
    expect(checkPool(wrapped)).toBe(wrapped);
  });
});

describe("checkClient", () => {
  it.each([...NEITHER, [new pg.Pool(), /a pool/], [new pg.Client(), /not connected/]] as [unknown, RegExp][])(
    "refuses a value that is not a client (%#)",
    (given, reason) => {
      expectRefusal(
        "client",
        () => {
          checkClient(given);
        },
        reason,
      );
    },
  );

  it("accepts undefined, and any object with a client's methods", () => {
    checkClient(undefined);
    checkClient({ query: method });
  });

  it("accepts either a pool or a client for reads", () => {
    const client = { query: method };
    expect(checkDatabase(client)).toBe(client);
    expectRefusal("client", () => checkDatabase(new pg.Client()), /not connected/);
    expectRefusal("pool", () => checkDatabase("x"), /a string/);
  });
});

describe("a pool or client that misbehaves", () => {
  const rowsOnly = {
    query: () => Promise.resolve([{ one: 1 }]),
    release: method,
    on: method,
    removeListener: method,
  };

  it("is refused by the argument's name if query() returns something else than pg does", async () => {
    const client = {
      ...rowsOnly,
      release: () => undefined,
      on: () => undefined,
      removeListener: () => undefined,
    };
    const pool = { query: method, connect: () => Promise.resolve(client) };
    await expect(boundedPool(pool as never).query("SELECT 1")).rejects.toMatchObject({ option: "pool" });
    await expect(hostClient(rowsOnly as never).write(() => Promise.resolve())).rejects.toMatchObject({
      option: "client",
    });
  });

  it.each([undefined, {}, { query: method }])(
    "is refused if connect() returns something else than a client (%o)",
    async (client) => {
      const pool = { query: method, connect: () => Promise.resolve(client) };
      await expect(boundedPool(pool as never).query("SELECT 1")).rejects.toMatchObject({ option: "pool" });
    },
  );
});
