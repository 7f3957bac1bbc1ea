import { randomBytes } from "node:crypto";
import pg from "pg";

/** A script's own database on a server. */
export interface TemporaryDatabase {
  url: string;
  /** Drops it, and ends its remaining connections. */
  drop: () => Promise<void>;
}

/** Creates an empty database with a unique name. The role needs CREATEDB. */
export async function temporaryDatabase(serverUrl: string, prefix: string): Promise<TemporaryDatabase> {
  const name = `${prefix}_${randomBytes(6).toString("hex")}`;
  await runOn(serverUrl, `CREATE DATABASE ${pg.escapeIdentifier(name)}`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return {
    url: url.href,
    drop: () => runOn(serverUrl, `DROP DATABASE IF EXISTS ${pg.escapeIdentifier(name)} WITH (FORCE)`),
  };
}

async function runOn(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
