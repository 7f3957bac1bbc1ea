import type pg from "pg";

/** A pool that counts the statements sent through it. Each is a round trip. */
export interface CountedPool {
  pool: pg.Pool;
  count: { made: number };
}

/** Counts the statements of a pool, and those of its clients once they are checked out. */
export function countRoundTrips(counted: pg.Pool): CountedPool {
  const count = { made: 0 };
  const pool = new Proxy(counted, {
    get(target, property) {
      if (property === "connect") return async () => countQueries(await target.connect(), count);
      if (property === "query") return countedQuery(target, count);
      return valueOf(target, property);
    },
  });
  return { pool, count };
}

function countQueries(client: pg.PoolClient, count: { made: number }): pg.PoolClient {
  return new Proxy(client, {
    get: (target, property) => (property === "query" ? countedQuery(target, count) : valueOf(target, property)),
  });
}

/** Nothing is counted twice: `pg.Pool.query` calls its own `connect`, not the counted one. */
function countedQuery(target: pg.Pool | pg.PoolClient, count: { made: number }): pg.Pool["query"] {
  const query = target.query.bind(target) as (...parameters: unknown[]) => unknown;
  return ((...parameters: unknown[]): unknown => {
    count.made += 1;
    return query(...parameters);
  }) as pg.Pool["query"];
}

function valueOf(target: object, property: string | symbol): unknown {
  const value: unknown = Reflect.get(target, property, target);
  return typeof value === "function" ? (value.bind(target) as unknown) : value;
}
