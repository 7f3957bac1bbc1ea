import type { Dataset } from "./data.js";
import { BARE_SQL } from "./contenders/contender.js";
import type { Loaded } from "./loads.js";
import type { SizeFigure } from "./results.js";
import type { BenchServer } from "./server.js";

const MEGABYTE = 1_000_000;

/** Disk space of each contender's vector index and rows. */
export async function measureSizes(
  server: BenchServer,
  { name: data, chunks }: Dataset,
  { library, halfvec, bit, bareTable, pgVectorStore }: Loaded,
): Promise<SizeFigure[]> {
  const others = [library, halfvec, bit, pgVectorStore].filter((contender) => contender !== undefined);
  const figures: SizeFigure[] = [];
  for (const { name: contender, schema } of [{ name: BARE_SQL, schema: bareTable.schema }, ...others]) {
    const { rows } = await server.pool.query<{ index_bytes: string; table_bytes: string }>(
      `SELECT sum(pg_relation_size(c.oid)) FILTER (WHERE a.amname = 'hnsw') AS index_bytes,
          sum(pg_table_size(c.oid)) FILTER (WHERE c.relkind = 'r') AS table_bytes
        FROM pg_class c LEFT JOIN pg_am a ON a.oid = c.relam WHERE c.relnamespace = $1::regnamespace`,
      [schema],
    );
    figures.push({
      data,
      chunks: chunks.length,
      contender,
      vectorIndexMegabytes: Number(rows[0]?.index_bytes) / MEGABYTE,
      tableMegabytes: Number(rows[0]?.table_bytes) / MEGABYTE,
    });
  }
  return figures;
}
