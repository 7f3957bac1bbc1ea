import { isObject } from "./checks.js";
import { InvalidArgumentError } from "../errors.js";

/** What runs one statement: a `pg.Pool`, `pg.PoolClient` or `pg.Client`. */
export interface Queryable {
  query(text: string, values?: unknown[]): Promise<QueryResult>;
}

/** The part of the result of `pg` that the library uses. */
export interface QueryResult {
  rows: unknown[];
  rowCount: number | null;
}

/** The part of `pg.PoolClient` that the library uses. */
export interface DatabaseClient extends Queryable {
  release(error?: Error | boolean): void;
  on(event: "error", listener: (error: Error) => void): unknown;
  removeListener(event: "error", listener: (error: Error) => void): unknown;
}

/** The part of `pg.Pool` that the library uses. It is never ended here. */
export interface DatabasePool extends Queryable {
  connect(): Promise<DatabaseClient>;
}

/** What is looked at to tell one thing from another. Some of it `pg` does not document; where it is missing, nothing is said. */
interface Given {
  query?: unknown;
  connect?: unknown;
  release?: unknown;
  totalCount?: unknown;
  connectionParameters?: unknown;
  native?: unknown;
  Client?: { prototype?: object };
  _connected?: unknown;
  _connecting?: unknown;
  _ending?: unknown;
}

const EXPECTED = {
  pool: "must be a pg.Pool, as new pg.Pool({ connectionString })",
  client: "must be a client of pg in a transaction, as await pool.connect() gives it",
};

/** What of other libraries is given by mistake, by what only that has. */
const OTHERS: readonly (readonly [property: string, what: string])[] = [
  ["unsafe", "a postgres.js instance"],
  ["createQueryRunner", "a TypeORM DataSource"],
  ["startTransaction", "a TypeORM QueryRunner"],
  ["getQueryInterface", "a Sequelize instance"],
  ["$queryRawUnsafe", "a Prisma client"],
  ["selectFrom", "a Kysely instance"],
  ["getKnexQuery", "a MikroORM instance"],
  ["execProtocol", "a PGlite instance, for which there is embeddedPool(dataDir)"],
  ["raw", "a Knex instance"],
  ["$client", "a Drizzle database, whose $client is the pool"],
];

/** @throws {@link InvalidArgumentError} saying what was given instead */
export function checkPool(pool: unknown): DatabasePool {
  const given = fieldsOf(pool);
  if (given.connectionParameters !== undefined) {
    throw refusal("pool", `${describeClient(given)}: one connection, and calls need one each`);
  }
  const isPool = typeof given.connect === "function" && typeof given.query === "function";
  if (!isPool || isOther(pool)) throw refusal("pool", describe(pool, ["connect", "query"]));
  if (given.Client?.prototype && isNativePrototype(given.Client.prototype)) throw refusal("pool", NATIVE);
  return pool as DatabasePool;
}

/** @throws {@link InvalidArgumentError} saying what was given instead; `undefined` is no client, which is fine */
export function checkClient(client: unknown): void {
  if (client === undefined) return;
  const given = fieldsOf(client);
  if (typeof given.query !== "function" || isOther(client))
    throw refusal("client", describe(client, ["query"]));
  if (typeof given.totalCount === "number") {
    throw refusal(
      "client",
      "a pool, any of whose connections may run a statement: pass the client that ran BEGIN",
    );
  }
  if (isNative(given)) throw refusal("client", NATIVE);
  if (given._ending === true) throw refusal("client", "a client that has been ended");
  if (given._connected === false && given._connecting !== true) {
    throw refusal("client", "a client that is not connected: await client.connect() first");
  }
}

/** A pool or a client, for what only reads. @throws {@link InvalidArgumentError} */
export function checkDatabase(database: unknown): DatabasePool | Queryable {
  const { connectionParameters, connect, query } = fieldsOf(database);
  // As `boundedDatabase` tells them apart.
  if (connectionParameters !== undefined || (typeof connect !== "function" && typeof query === "function")) {
    checkClient(database);
    return database as Queryable;
  }
  return checkPool(database);
}

const NATIVE = "of pg.native, which cannot send vectors in binary: use pg itself, without native";

function fieldsOf(given: unknown): Given {
  return isObject(given) || typeof given === "function" ? given : {};
}

function isNative({ native }: Given): boolean {
  return isObject(native) && typeof (native as { connect?: unknown }).connect === "function";
}

/** A pool shows its class of clients, before it has any: that of `pg.native` has methods that the other lacks. */
function isNativePrototype(prototype: object): boolean {
  return "_hasActiveQuery" in prototype && !("_attachListeners" in prototype);
}

function describeClient(given: Given): string {
  if (isNative(given)) return `a client ${NATIVE}`;
  return typeof given.release === "function" ? "a client of a pool" : "a pg.Client";
}

function nameOfOther(given: unknown): string | undefined {
  if (!isObject(given) && typeof given !== "function") return undefined;
  return OTHERS.find(([property]) => property in given)?.[1];
}

function isOther(given: unknown): boolean {
  return nameOfOther(given) !== undefined;
}

/** Never with the value itself: a connection string holds a password. */
function describe(given: unknown, methods: readonly string[]): string {
  const other = nameOfOther(given);
  if (other !== undefined) return other;
  if (given === null) return "null";
  if (typeof given === "string") return "a string";
  if (Array.isArray(given)) return "a list";
  if (typeof given === "function") return "a function";
  if (!isObject(given)) return typeof given;
  if (given instanceof Promise) return "a promise: await it";
  const missing = methods.filter((name) => typeof (given as Record<string, unknown>)[name] !== "function");
  return `an object without ${missing.map((name) => `${name}()`).join(" and ")}`;
}

function refusal(option: "pool" | "client", given: string): InvalidArgumentError {
  return new InvalidArgumentError(option, `${EXPECTED[option]}; given was ${given}`);
}
