import { isObject, isPromise } from "./checks.js";
import {
  ofAnotherDriver,
  recogniseTransaction,
  type OrmTransaction,
  type TransactionClient,
} from "./orm-transactions.js";
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
  client: "must be a client of pg in a transaction, such as await pool.connect() returns, or an ORM's transaction",
};

/** An object of another library that hosts pass by mistake, recognised by a property that only it has. */
interface ForeignObject {
  property: string;
  name: string;
  /** What to pass as `client` instead. */
  clientInstead?: string;
}

const FOREIGN_OBJECTS: readonly ForeignObject[] = [
  { property: "unsafe", name: "a postgres.js instance" },
  {
    property: "createQueryRunner",
    name: "a TypeORM DataSource",
    clientInstead: "the manager of dataSource.transaction(async (manager) => ...)",
  },
  {
    property: "getQueryInterface",
    name: "a Sequelize instance",
    clientInstead: "the transaction of sequelize.transaction(async (transaction) => ...)",
  },
  {
    property: "$queryRawUnsafe",
    name: "a Prisma client, which does not show its connection",
    clientInstead: "the client of the pool that runs the transaction, as docs/orms.md shows",
  },
  // Before the next one, whose method newer versions have too.
  {
    property: "selectFrom",
    name: "a Kysely instance",
    clientInstead: "the trx of db.transaction().execute(async (trx) => ...)",
  },
  { property: "underlyingDriver", name: "a Prisma driver adapter, whose underlyingDriver() is the pool" },
  { property: "startTransaction", name: "a TypeORM QueryRunner" },
  { property: "getKnexQuery", name: "a MikroORM instance" },
  { property: "execProtocol", name: "a PGlite instance: use embeddedPool(dataDir) instead" },
  { property: "raw", name: "a Knex instance", clientInstead: "the trx of knex.transaction(async (trx) => ...)" },
  {
    property: "$client",
    name: "a Drizzle database, whose $client is the pool",
    clientInstead: "the tx of db.transaction(async (tx) => ...)",
  },
  // The last: other objects of TypeORM have this method too.
  {
    property: "createQueryBuilder",
    name: "a TypeORM manager or repository",
    clientInstead: "the transaction's manager",
  },
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

/**
 * Accepts `undefined`, and the transactions of ORMs.
 *
 * @throws {@link InvalidArgumentError} that says what was given instead
 */
export function checkClient(client: unknown): void {
  if (client === undefined) return;
  const transaction = recogniseTransaction(client);
  if (!transaction) checkClientOfPg(client);
  else if (transaction.problem !== undefined) throw refusal("client", transaction.problem);
}

/**
 * The client that runs the statements of a transaction: the client itself, or that of an ORM's transaction.
 *
 * @throws {@link InvalidArgumentError} if the ORM's transaction has ended, or runs on another driver than `pg`
 */
export function clientOf(given: TransactionClient): Queryable | Promise<Queryable> {
  const transaction = recogniseTransaction(given);
  if (!transaction) return given as Queryable;
  if (transaction.problem !== undefined) throw refusal("client", transaction.problem);
  const client = transaction.client();
  const check = (found: unknown): Queryable => checkClientOfOrm(transaction, found);
  return isPromise(client) ? Promise.resolve(client).then(check) : check(client);
}

function checkClientOfOrm({ name, showsConnection }: OrmTransaction, client: unknown): Queryable {
  const isOfPg = isObject(client) && ("connectionParameters" in client || "processID" in client);
  if (showsConnection && !isOfPg) throw refusal("client", ofAnotherDriver(name));
  checkClientOfPg(client);
  return client as Queryable;
}

function checkClientOfPg(client: unknown): void {
  const given = fieldsOf(client);
  if (typeof given.query !== "function" || isForeign(client)) {
    throw refusal("client", describe(client, ["query"], foreignOf(client)?.clientInstead));
  }
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

function foreignOf(given: unknown): ForeignObject | undefined {
  if (!isObject(given) && typeof given !== "function") return undefined;
  return FOREIGN_OBJECTS.find(({ property }) => property in given);
}

function isForeign(given: unknown): boolean {
  return foreignOf(given) !== undefined;
}

/** Describes a rejected value without repeating it: a connection string holds a password. */
function describe(given: unknown, methods: readonly string[], instead?: string): string {
  const foreign = foreignOf(given);
  if (foreign) return instead === undefined ? foreign.name : `${foreign.name}: pass ${instead}`;
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
