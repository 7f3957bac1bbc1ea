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
