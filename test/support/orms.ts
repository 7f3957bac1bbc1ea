/** The ORMs that users bring, each with what a test of a shared transaction needs. */
import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { PrismaPg } from "@prisma/adapter-pg";
import { sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/node-postgres";
import { drizzle as drizzleOnMysql } from "drizzle-orm/mysql2";
import knex from "knex";
import { CompiledQuery, Kysely, MysqlDialect, PostgresDialect, type Dialect } from "kysely";
import type { TransactionClient } from "langchain-training-index";
import mysql from "mysql2";
import pg from "pg";
import { Sequelize } from "sequelize";
import { DataSource } from "typeorm";

/** A transaction of an ORM, as a test uses it. */
export interface OrmTransaction {
  /** The object that the ORM hands out. */
  client: TransactionClient;
  /** Runs a statement through the ORM. */
  run: (statement: string) => Promise<unknown>;
}

/** An ORM with open connections. */
export interface OpenOrm {
  /** Commits what `work` did, or rolls it back if `work` throws. */
  transaction<T>(work: (transaction: OrmTransaction) => Promise<T>): Promise<T>;
  /** What a host may pass by mistake: the ORM's object outside a transaction. */
  outside: unknown;
  close(): Promise<unknown>;
}

/** An ORM, and how to open it on Postgres and on MySQL. */
export interface Orm {
  name: string;
  open: (url: string) => Promise<OpenOrm>;
  /** `undefined` for Prisma's adapter, which is one of `pg` alone, and for Sequelize, which does not get along with this server. */
  openOnMysql?: (port: number) => Promise<OpenOrm>;
}

/** All of them. */
export const ORMS: readonly Orm[] = [
  {
    name: "Drizzle",
    open: (connectionString) => {
      const pool = new pg.Pool({ connectionString });
      const db = drizzle({ client: pool });
      return Promise.resolve({
        transaction: (work) =>
          db.transaction((tx) => work({ client: tx, run: (statement) => tx.execute(sql.raw(statement)) })),
        outside: db,
        close: () => pool.end(),
      });
    },
    openOnMysql: (port) => {
      const pool = mysql.createPool({ port });
      const db = drizzleOnMysql({ client: pool });
      return Promise.resolve({
        transaction: (work) =>
          db.transaction((tx) => work({ client: tx as never, run: (statement) => tx.execute(sql.raw(statement)) })),
        outside: db,
        close: () => pool.promise().end(),
      });
    },
  },
  {
    name: "Knex",
    open: (connection) => openKnex({ client: "pg", connection }),
    openOnMysql: (port) => openKnex({ client: "mysql2", connection: { port } }),
  },
  {
    name: "Kysely",
    open: (connectionString) => openKysely(new PostgresDialect({ pool: new pg.Pool({ connectionString }) })),
    openOnMysql: (port) => openKysely(new MysqlDialect({ pool: mysql.createPool({ port }) })),
  },
  {
    name: "TypeORM",
    open: (url) => openTypeOrm(new DataSource({ type: "postgres", url })),
    openOnMysql: (port) => openTypeOrm(new DataSource({ type: "mysql", port })),
  },
  {
    name: "Sequelize",
    open: (url) => openSequelize(new Sequelize(url, { logging: false })),
  },
  {
    name: "Prisma's driver adapter",
    open: async (connectionString) => {
      const adapter = await new PrismaPg({ connectionString }).connect();
      return {
        // As Prisma's engine does it.
        transaction: async (work) => {
          const transaction = await adapter.startTransaction();
          const run = (statement: string): Promise<number> =>
            transaction.executeRaw({ sql: statement, args: [], argTypes: [] });
          try {
            const result = await work({ client: transaction, run });
            await run("COMMIT");
            await transaction.commit();
            return result;
          } catch (error) {
            await run("ROLLBACK");
            await transaction.rollback();
            throw error;
          }
        },
        outside: adapter,
        close: () => adapter.dispose(),
      };
    },
  },
];

function openKnex(config: knex.Knex.Config): Promise<OpenOrm> {
  const db = knex(config);
  return Promise.resolve({
    transaction: (work) =>
      db.transaction((trx) => work({ client: trx, run: (statement) => Promise.resolve(trx.raw(statement)) })),
    outside: db,
    close: () => db.destroy(),
  });
}

function openKysely(dialect: Dialect): Promise<OpenOrm> {
  const db = new Kysely<unknown>({ dialect });
  return Promise.resolve({
    transaction: (work) =>
      db
        .transaction()
        .execute((trx) => work({ client: trx, run: (statement) => trx.executeQuery(CompiledQuery.raw(statement)) })),
    outside: db,
    close: () => db.destroy(),
  });
}

async function openTypeOrm(dataSource: DataSource): Promise<OpenOrm> {
  await dataSource.initialize();
  return {
    transaction: (work) =>
      dataSource.transaction((manager) =>
        work({ client: manager, run: (statement) => manager.query<unknown>(statement) }),
      ),
    outside: dataSource.manager,
    close: () => dataSource.destroy(),
  };
}

function openSequelize(sequelize: Sequelize): Promise<OpenOrm> {
  return Promise.resolve({
    transaction: (work) =>
      sequelize.transaction((transaction) =>
        work({ client: transaction, run: (statement) => sequelize.query(statement, { transaction }) }),
      ),
    outside: sequelize,
    close: () => sequelize.close(),
  });
}

/** Answers what ORMs ask when they connect: for the version, the database, the time zone. */
function answerTo(statement: string): [rows: Record<string, string>[], columns: object[]] {
  const [, name = /SELECT (.*)/i.exec(statement)?.[1] ?? ""] = / as `?(\w+)/i.exec(statement) ?? [];
  const column = {
    ...{ catalog: "def", schema: "", table: "", orgTable: "", name, orgName: name },
    ...{ characterSet: 45, columnLength: 255, columnType: mysql.Types.VAR_STRING, flags: 0, decimals: 0 },
  };
  return [[{ [name]: "8.0.0" }], [column]];
}

/** A server that speaks MySQL's protocol and accepts every statement, for ORMs on a driver of another kind. */
export async function startMysqlServer(): Promise<{ port: number; statements: string[]; close(): Promise<void> }> {
  const statements: string[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createServer((socket) => {
    sockets.add(socket);
    connections += 1;
    const options: object = { isServer: true, stream: socket };
    const connection = mysql.createConnection(options);
    /** Each command counts its packets from 0. */
    const awaitCommand = (): void => {
      Object.assign(connection, { sequenceId: 0 });
    };
    connection.on("query", (statement: string) => {
      statements.push(statement);
      if (/^select/i.test(statement)) connection.writeTextResult(...answerTo(statement));
      else connection.writeOk({ affectedRows: 0 });
      awaitCommand();
    });
    connection.on("error", () => undefined); // the client has left
    connection.serverHandshake({
      protocolVersion: 10,
      serverVersion: "8.0.0",
      connectionId: connections,
      statusFlags: 2,
      characterSet: 45,
      capabilityFlags: 0xff_ff_ff ^ 2048, // without TLS
      authCallback: (_client: unknown, accept: (error: null) => void) => {
        accept(null);
        awaitCommand();
      },
    });
  });
  server.listen(0);
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    statements,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
