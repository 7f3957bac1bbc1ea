import { isObject } from "./checks.js";
import type { Queryable, QueryResult } from "./host-database.js";
import { InvalidArgumentError } from "../errors.js";

/** A `tx` of Drizzle's `db.transaction(...)`, on `drizzle-orm/node-postgres`. */
export interface DrizzleTransaction {
  readonly _: { readonly session: object };
  rollback(): never;
}

/** A `trx` of Knex's `knex.transaction(...)`, with the client `pg`. */
export interface KnexTransaction {
  isCompleted(): boolean;
  executionPromise: Promise<unknown>;
}

/** A `trx` of Kysely's `db.transaction().execute(...)` or `db.startTransaction().execute()`, with `PostgresDialect`. */
export interface KyselyTransaction {
  readonly isTransaction: true;
  getExecutor(): object;
}

/** A `transaction` of Sequelize's `sequelize.transaction(...)`, with the dialect `postgres`. */
export interface SequelizeTransaction {
  commit(): Promise<void>;
  rollback(): Promise<void>;
  afterCommit(listener: never): void;
}

/** A `QueryRunner` of TypeORM after `startTransaction()`, with the driver `postgres`. */
export interface TypeOrmQueryRunner {
  readonly isTransactionActive: boolean;
  readonly isReleased: boolean;
  connect(): Promise<unknown>;
}

/** A `manager` of TypeORM's `dataSource.transaction(...)`. */
export interface TypeOrmManager {
  readonly queryRunner?: TypeOrmQueryRunner;
  getRepository(target: never): unknown;
}

/** A transaction of Prisma's driver adapter `@prisma/adapter-pg`. A `tx` of `prisma.$transaction(...)` does not lead to it. */
export interface PrismaAdapterTransaction {
  readonly provider: string;
  readonly adapterName: string;
  queryRaw(query: never): Promise<unknown>;
  commit(): Promise<void>;
}

/**
 * What the option `client` takes: a `pg` client on which `BEGIN` has been run, or the transaction object of an ORM that talks
 * to Postgres through `pg`. ORMs are recognised by the shape of the object; none of them has to be installed.
 */
export type TransactionClient =
  | Queryable
  | DrizzleTransaction
  | KnexTransaction
  | KyselyTransaction
  | SequelizeTransaction
  | TypeOrmManager
  | TypeOrmQueryRunner
  | PrismaAdapterTransaction;

/** A transaction object of an ORM, recognised. */
export interface OrmTransaction {
  /** For messages: `a Knex transaction`. */
  name: string;
  /** Why it cannot be used, as the end of "got ...", or `undefined`. */
  problem: string | undefined;
  /** Whether {@link client} is the connection of the driver, which may be another one than `pg`. Kysely does not show it. */
  showsConnection: boolean;
  /** What runs the transaction's statements, or a promise of it. */
  client(): unknown;
}

/** The properties by which transactions are recognised, and what leads to their clients. */
type Fields = Partial<Record<FieldName, unknown>>;
type FieldName =
  | "_"
  | "adapterName"
  | "afterCommit"
  | "client"
  | "commit"
  | "connection"
  | "createQueryRunner"
  | "executionPromise"
  | "finished"
  | "getExecutor"
  | "getRepository"
  | "isCompleted"
  | "isReleased"
  | "isTransaction"
  | "isTransactionActive"
  | "provider"
  | "queryRaw"
  | "queryRunner"
  | "rollback"
  | "session";

/** Each returns `undefined` for an object of another kind. The order does not matter: no object is of two kinds. */
const RECOGNITIONS: readonly ((given: Fields) => OrmTransaction | undefined)[] = [
  recogniseDrizzle,
  recogniseKnex,
  recogniseKysely,
  recogniseSequelize,
  recogniseTypeOrm,
  recognisePrismaAdapter,
];

/** Recognises an ORM's transaction by its shape. @returns `undefined` for anything else, such as a `pg` client */
export function recogniseTransaction(given: unknown): OrmTransaction | undefined {
  if (!isObject(given) && typeof given !== "function") return undefined;
  for (const recognise of RECOGNITIONS) {
    const found = recognise(given);
    if (found) return found;
  }
  return undefined;
}

function recogniseDrizzle({ _: parts, rollback, session }: Fields): OrmTransaction | undefined {
  if (!isObject(parts) || typeof rollback !== "function" || !isObject(session)) return undefined;
  return {
    name: "a Drizzle transaction",
    problem: undefined,
    showsConnection: true,
    client: () => fieldsOf(session).client,
  };
}

function recogniseKnex(given: Fields): OrmTransaction | undefined {
  const { isCompleted, executionPromise, client } = given;
  if (typeof isCompleted !== "function" || executionPromise === undefined) return undefined;
  const connections = fieldsOf(client) as { acquireConnection?: () => unknown };
  const isFinished = isCompleted.call(given) === true;
  return {
    name: "a Knex transaction",
    problem: isFinished ? finished("a Knex transaction") : undefined,
    showsConnection: true,
    // Inside a transaction this is the transaction's own connection, which need not be given back.
    client: () => connections.acquireConnection?.(),
  };
}

function recogniseKysely(given: Fields): OrmTransaction | undefined {
  if (given.isTransaction !== true || typeof given.getExecutor !== "function") return undefined;
  const executor = given.getExecutor.call(given) as KyselyExecutor;
  const { supportsReturning, supportsTransactionalDdl } = executor.adapter ?? {};
  const isPostgres = supportsReturning === true && supportsTransactionalDdl === true;
  return {
    name: "a Kysely transaction",
    problem: isPostgres ? undefined : ofAnotherDriver("a Kysely transaction"),
    showsConnection: false,
    client: () => clientOfKysely(executor),
  };
}

function recogniseSequelize({ afterCommit, commit, connection, finished: end }: Fields): OrmTransaction | undefined {
  if (typeof afterCommit !== "function" || typeof commit !== "function") return undefined;
  const isFinished = end !== undefined || connection === undefined;
  return {
    name: "a Sequelize transaction",
    problem: isFinished ? finished("a Sequelize transaction") : undefined,
    showsConnection: true,
    client: () => connection,
  };
}

/** A manager, or a query runner. A data source has the methods of a manager too. */
function recogniseTypeOrm(given: Fields): OrmTransaction | undefined {
  const isDataSource = typeof given.createQueryRunner === "function";
  const isManager = typeof given.getRepository === "function" && !isDataSource;
  const runner = isManager ? given.queryRunner : given;
  const { isTransactionActive, isReleased, connect } = fieldsOf(runner) as Partial<TypeOrmQueryRunner>;
  if (!isManager && (typeof isTransactionActive !== "boolean" || typeof connect !== "function")) return undefined;
  const name = isManager ? "a TypeORM manager" : "a TypeORM query runner";
  const outside = `${name} outside a transaction: pass the manager of dataSource.transaction(async (manager) => ...)`;
  return {
    name,
    problem: isReleased === true || isTransactionActive !== true ? outside : undefined,
    showsConnection: true,
    client: () => connect?.call(runner as TypeOrmQueryRunner),
  };
}

function recognisePrismaAdapter({
  adapterName,
  provider,
  queryRaw,
  commit,
  client,
}: Fields): OrmTransaction | undefined {
  if (typeof adapterName !== "string" || typeof queryRaw !== "function") return undefined;
  const name = "a transaction of a Prisma driver adapter";
  const isTransaction = typeof commit === "function";
  const outside = "a Prisma driver adapter outside a transaction: pass what its startTransaction() returns";
  const problem = isTransaction ? undefined : outside;
  return {
    name,
    problem: provider === "postgres" ? problem : ofAnotherDriver(name),
    showsConnection: true,
    client: () => client,
  };
}

/** The part of Kysely's executor that is used here. */
interface KyselyExecutor {
  adapter?: { supportsReturning?: boolean; supportsTransactionalDdl?: boolean };
  provideConnection(use: (connection: KyselyConnection) => Promise<KyselyConnection>): Promise<KyselyConnection>;
}

/** A connection of Kysely's driver. It runs statements as they are: plugins do not change names or results. */
interface KyselyConnection {
  executeQuery(query: { sql: string; parameters: unknown[]; query: object; queryId: object }): Promise<{
    rows: unknown[];
    numAffectedRows?: bigint;
  }>;
}

/** A Kysely transaction does not expose its `pg` client, so its statements go through Kysely's connection. */
const kyselyClients = new WeakMap<KyselyConnection, Queryable>();

async function clientOfKysely(executor: KyselyExecutor): Promise<Queryable> {
  const connection = await connectionOf(executor);
  const known = kyselyClients.get(connection);
  if (known) return known;
  const client: Queryable = {
    async query(sql, parameters = []): Promise<QueryResult> {
      const query = { kind: "RawNode", sqlFragments: [sql], parameters: [] };
      const { rows, numAffectedRows } = await connection.executeQuery({ sql, parameters, query, queryId: {} });
      return { rows, rowCount: Number(numAffectedRows ?? rows.length) };
    },
  };
  kyselyClients.set(connection, client);
  return client;
}

/** @throws {@link InvalidArgumentError} if the transaction has ended */
async function connectionOf(executor: KyselyExecutor): Promise<KyselyConnection> {
  try {
    return await executor.provideConnection((connection) => Promise.resolve(connection));
  } catch (error) {
    throw new InvalidArgumentError(
      "client",
      `must be in a transaction; got ${finished("a Kysely transaction")}`,
      error,
    );
  }
}

function finished(name: string): string {
  return `${name} that has ended: start a new one, and await the call before it ends`;
}

/** The end of "got ..." for a transaction whose connection is not one of `pg`. */
export function ofAnotherDriver(name: string): string {
  return `${name} of another driver: the library needs one that runs on pg (node-postgres)`;
}

function fieldsOf(given: unknown): Fields {
  return isObject(given) || typeof given === "function" ? given : {};
}
