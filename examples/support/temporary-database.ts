import { randomBytes } from "node:crypto";
import pg from "pg";

/** A database of a script's own, beside whatever else is on the server. */
export interface TemporaryDatabase {
  url: string;
  /** Ends what is still connected to it. */
  drop: () => Promise<void>;
}

/** Makes an empty database on a server, with a name that no other has. The role needs CREATEDB. */
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
