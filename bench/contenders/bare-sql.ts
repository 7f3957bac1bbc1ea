import type pg from "pg";
import type { Chunk } from "../data.js";
import type { BenchServer, SessionSettings } from "../server.js";
import { binaryVector, binaryVectors } from "./binary-vector.js";
import { BARE_SQL, HAND_WRITTEN, HNSW, type Contender, type SearchRequest } from "./contender.js";

/** Rows per insert: the fastest number of those tried. */
const ROWS_PER_STATEMENT = 200;

/**
 * A table with only what a search returns, in the layout that is fastest to write and to search: the vector in the row. It
 * gives none of this library's guarantees; it shows the limit of what Postgres can do.
 */
export class BareTable {
  readonly schema: string;
  readonly table: string;
  readonly #server: BenchServer;
  readonly #vectorOid: number;
  #rows = 0;

  private constructor(server: BenchServer, schema: string, vectorOid: number) {
    this.schema = schema;
    this.table = tableIn(schema);
    this.#server = server;
    this.#vectorOid = vectorOid;
  }

  static async create(server: BenchServer, dimensions: number): Promise<BareTable> {
    const schema = server.schemaName("bare");
    const table = tableIn(schema);
    await server.pool.query(`CREATE SCHEMA ${schema}`);
    await server.pool.query(
      `CREATE TABLE ${table} (id bigint PRIMARY KEY, content text NOT NULL, metadata jsonb NOT NULL,
        embedding vector(${dimensions}) NOT NULL) WITH (toast_tuple_target = 8160)`,
    );
    await server.pool.query(`ALTER TABLE ${table} ALTER COLUMN embedding SET STORAGE MAIN`);
    const { rows } = await server.pool.query<{ oid: string }>("SELECT 'vector'::regtype::oid::text AS oid");
    return new BareTable(server, schema, Number(rows[0]?.oid));
  }

  /** Filters need it; without it writes are a little faster. */
  async createMetadataIndex(): Promise<void> {
    await this.#server.pool.query(`CREATE INDEX ON ${this.table} USING gin (metadata jsonb_path_ops)`);
  }

  async createVectorIndex(): Promise<void> {
    await this.#server.pool.query(
      `CREATE INDEX ON ${this.table} USING hnsw (embedding vector_cosine_ops)
        WITH (m = ${HNSW.m}, ef_construction = ${HNSW.efConstruction})`,
    );
  }

  /** Inserts in one statement after the other, each with its vectors as one binary parameter. */
  async insert(chunks: readonly Chunk[]): Promise<void> {
    for (let first = 0; first < chunks.length; first += ROWS_PER_STATEMENT) {
      const rows = chunks.slice(first, first + ROWS_PER_STATEMENT);
      await this.#server.pool.query({
        name: `insert ${this.table}`,
        text: `INSERT INTO ${this.table} (id, content, metadata, embedding)
          SELECT * FROM unnest($1::bigint[], $2::text[], $3::jsonb[], $4::vector[])`,
        values: [
          rows.map(() => this.#rows++),
          rows.map(({ text }) => text),
          rows.map(({ metadata }) => JSON.stringify(metadata)),
          binaryVectors(
            rows.map(({ vector }) => vector),
            this.#vectorOid,
          ),
        ],
      });
    }
  }
}

function tableIn(schema: string): string {
  return `${schema}.chunk`;
}

/** A search of a {@link BareTable} with a plan chosen by hand: settings leave the planner no choice. */
export class BareSearch implements Contender {
  readonly name: string;
  readonly #table: string;
  readonly #pool: pg.Pool;

  constructor(name: string, { table }: BareTable, server: BenchServer, settings: SessionSettings) {
    this.name = name;
    this.#table = table;
    this.#pool = server.openPool(settings);
  }

  async search({ vector, k, filter }: SearchRequest): Promise<string[]> {
    const { rows } = await this.#pool.query<{ content: string }>({
      name: `${k} nearest${filter ? ", filtered" : ""}`,
      text: filter ? this.#filteredStatement(k) : this.#statement(k, ""),
      values: [binaryVector(vector), ...(filter ? [JSON.stringify(filter)] : [])],
    });
    return rows.map(({ content }) => content);
  }

  #statement(k: number, condition: string): string {
    return `SELECT id, content, metadata, embedding <=> $1::vector AS distance FROM ${this.#table} ${condition}
      ORDER BY embedding <=> $1::vector LIMIT ${k}`;
  }

  /** Sorts the rows, as an iterative scan in relaxed order can return them out of order. */
  #filteredStatement(k: number): string {
    const nearest = this.#statement(k, "WHERE metadata @> $2::jsonb");
    return `WITH nearest AS MATERIALIZED (${nearest}) SELECT * FROM nearest ORDER BY distance`;
  }
}

/** The unfiltered search. */
export function bareSearch(table: BareTable, server: BenchServer): Contender {
  return new BareSearch(BARE_SQL, table, server, { enable_seqscan: "off" });
}

/**
 * The plans that one would write by hand for a filtered search. Which one is best depends on how many rows the filter
 * matches, so all are measured; contenders are compared with the fastest that returns all rows.
 */
export function handWrittenPlans(table: BareTable, server: BenchServer): Contender[] {
  const vectorIndex = { enable_seqscan: "off", enable_bitmapscan: "off" };
  const plans: [string, SessionSettings][] = [
    ["metadata index, exact sort", { enable_seqscan: "off", enable_indexscan: "off" }],
    ["vector index, strict order", { ...vectorIndex, "hnsw.iterative_scan": "strict_order" }],
    ["vector index, relaxed order", { ...vectorIndex, "hnsw.iterative_scan": "relaxed_order" }],
  ];
  return plans.map(([plan, settings]) => new BareSearch(`${HAND_WRITTEN}${plan}`, table, server, settings));
}
