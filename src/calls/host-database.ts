import { isObject } from "./checks.js";
import { InvalidArgumentError } from "../errors.js";

/** Anything that runs a statement: a `pg.Pool`, `pg.PoolClient` or `pg.Client`. */
export interface Queryable {
  query(text: string, values?: unknown[]): Promise<QueryResult>;
}

/** The part of a `pg.QueryResult` that the library uses. */
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

/** The part of `pg.Pool` that the library uses. The library never ends the pool. */
export interface DatabasePool extends Queryable {
  connect(): Promise<DatabaseClient>;
}

/**
 * Properties by which the checks tell pools, clients and other objects apart. `pg` does not document all of them; a check
 * whose property is missing is skipped.
 */
interface PoolOrClientFields {
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
  pool: "must be a pg.Pool, such as new pg.Pool({ connectionString })",
  client: "must be a client of pg in a transaction, such as await pool.connect() returns",
};

/** Objects of other libraries that hosts pass by mistake, each recognised by a property that only it has. */
const FOREIGN_OBJECTS: readonly (readonly [property: string, name: string])[] = [
  ["unsafe", "a postgres.js instance"],
  ["createQueryRunner", "a TypeORM DataSource"],
  ["getQueryInterface", "a Sequelize instance"],
  ["$queryRawUnsafe", "a Prisma client"],
  ["selectFrom", "a Kysely instance"], // before the next one, whose method newer versions have too
  ["startTransaction", "a TypeORM QueryRunner"],
  ["getKnexQuery", "a MikroORM instance"],
  ["execProtocol", "a PGlite instance: use embeddedPool(dataDir) instead"],
  ["raw", "a Knex instance"],
  ["$client", "a Drizzle database, whose $client is the pool"],
];

/** @throws {@link InvalidArgumentError} that says what was given instead */
export function checkPool(pool: unknown, option: "pool" | "readPool" = "pool"): DatabasePool {
  const given = fieldsOf(pool);
  if (given.connectionParameters !== undefined) {
    throw refusal(option, `${describeClient(given)}, a single connection, but each call needs its own`);
  }
  const isPool = typeof given.connect === "function" && typeof given.query === "function";
  if (!isPool || isForeign(pool)) throw refusal(option, describe(pool, ["connect", "query"]));
  if (given.Client?.prototype && isNativePrototype(given.Client.prototype)) throw refusal(option, NATIVE);
  return pool as DatabasePool;
}

/** Accepts `undefined`. @throws {@link InvalidArgumentError} that says what was given instead */
export function checkClient(client: unknown): void {
  if (client === undefined) return;
  const given = fieldsOf(client);
  if (typeof given.query !== "function" || isForeign(client)) throw refusal("client", describe(client, ["query"]));
  if (typeof given.totalCount === "number") {
    throw refusal(
      "client",
      "a pool, which may run each statement on another connection: pass the client that ran BEGIN",
    );
  }
  if (isNative(given)) throw refusal("client", NATIVE);
  if (given._ending === true) throw refusal("client", "a client that has been ended");
  if (given._connected === false && given._connecting !== true) {
    throw refusal("client", "a client that is not connected: await client.connect() first");
  }
}

/** Checks a pool or a client for a function that only reads. @throws {@link InvalidArgumentError} */
export function checkDatabase(database: unknown): DatabasePool | Queryable {
  const { connectionParameters, connect, query } = fieldsOf(database);
  // The same distinction as in `boundedDatabase`.
  if (connectionParameters !== undefined || (typeof connect !== "function" && typeof query === "function")) {
    checkClient(database);
    return database as Queryable;
  }
  return checkPool(database);
}

const NATIVE = "pg.native, which cannot send vectors in binary: use pg itself, without native";

function fieldsOf(given: unknown): PoolOrClientFields {
  return isObject(given) || typeof given === "function" ? given : {};
}

function isNative({ native }: PoolOrClientFields): boolean {
  return isObject(native) && typeof (native as { connect?: unknown }).connect === "function";
}

/** Recognises the client class of `pg.native` by its methods: a pool has `Client` before its first connection. */
function isNativePrototype(prototype: object): boolean {
  return "_hasActiveQuery" in prototype && !("_attachListeners" in prototype);
}

function describeClient(given: PoolOrClientFields): string {
  if (isNative(given)) return "a client of pg.native";
  return typeof given.release === "function" ? "a client of a pool" : "a pg.Client";
}

function nameOfForeign(given: unknown): string | undefined {
  if (!isObject(given) && typeof given !== "function") return undefined;
  return FOREIGN_OBJECTS.find(([property]) => property in given)?.[1];
}

function isForeign(given: unknown): boolean {
  return nameOfForeign(given) !== undefined;
}

/** Describes a rejected value without repeating it: a connection string holds a password. */
function describe(given: unknown, methods: readonly string[]): string {
  const foreign = nameOfForeign(given);
  if (foreign !== undefined) return foreign;
  if (given === null) return "null";
  if (typeof given === "string") return "a string";
  if (Array.isArray(given)) return "a list";
  if (typeof given === "function") return "a function";
  if (!isObject(given)) return typeof given;
  if (given instanceof Promise) return "a promise: await it";
  const missing = methods.filter((name) => typeof (given as Record<string, unknown>)[name] !== "function");
  return `an object without ${missing.map((name) => `${name}()`).join(" and ")}`;
}

function refusal(option: "pool" | "readPool" | "client", given: string): InvalidArgumentError {
  return new InvalidArgumentError(option, `${EXPECTED[option === "client" ? "client" : "pool"]}; got ${given}`);
}
