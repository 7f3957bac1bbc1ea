import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { MemoryFigure, StreamFigure } from "./results.js";
import type { BenchServer } from "./server.js";

const MEGABYTE = 1_000_000;

/** Records the resident memory of this process, its data included, at the end of each stage. */
export class MemoryLog {
  readonly figures: MemoryFigure[] = [];

  note(stage: string): void {
    this.figures.push({ stage, residentMegabytes: Math.round(process.memoryUsage.rss() / MEGABYTE) });
  }
}

/** Streams text through `upsertTrainings` in a separate process, and measures its memory. */
export async function measureStream(server: BenchServer, megabytes: number): Promise<StreamFigure> {
  const schema = server.schemaName("stream");
  const child = fileURLToPath(new URL("stream-child.ts", import.meta.url));
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ["--import", "tsx", child, "--schema", schema, "--megabytes", megabytes.toString()],
    { env: { ...process.env, DATABASE_URL: server.connectionString } },
  );
  await server.dropSchema(schema);
  return JSON.parse(stdout) as StreamFigure;
}
