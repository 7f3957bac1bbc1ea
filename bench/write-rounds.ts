import type { Chunk } from "./data.js";
import type { WriteFigure, WriteSituation } from "./results.js";
import type { BenchServer } from "./server.js";
import { median, rotate, timed } from "./statistics.js";

/** The target of one contender's writes in one round. */
export interface WriteTarget {
  write(chunks: readonly Chunk[]): Promise<unknown>;
  /** Drops the target after the round. Absent if later measurements use it. */
  drop?: (() => Promise<unknown>) | undefined;
}

/** A contender that writes. */
export interface Writer {
  name: string;
  /** Prepares the target; not timed. */
  open(isLastRound: boolean): Promise<WriteTarget>;
  /** The chunks to write in a round. */
  chunksOf(round: number): readonly Chunk[];
  /** For slow contenders, of which one round is enough. */
  onlyOnce?: boolean;
  /** Its writes are kept from the first round on, so it cannot have a warm-up. */
  keepsAll?: boolean;
}

/** How to measure writes. */
export interface WriteOptions {
  rounds: number;
  /** Rows in the table before. */
  rowsBefore: number;
  /** Untimed writes, because code that has not run before is slow. Absent if the times do not matter. */
  warmUp?:
    | {
        rows: number;
        /** The rows are written into a new target again and again until this time has passed, at least once. */
        milliseconds: number;
      }
    | undefined;
}

/** All contenders write in turns, each round in another order; each one's median round is reported. */
export async function measureWrites(
  server: BenchServer,
  situation: WriteSituation,
  writers: readonly Writer[],
  options: WriteOptions,
): Promise<WriteFigure[]> {
  if (options.warmUp) for (const writer of writers) await warmUp(writer, options.warmUp);
  const milliseconds = new Map<Writer, number[]>(writers.map((writer) => [writer, []]));
  for (let round = 0; round < options.rounds; round++) {
    for (const writer of rotate(writers, round)) {
      const rounds = writer.onlyOnce === true ? 1 : options.rounds;
      if (round >= rounds) continue;
      const target = await writer.open(round === rounds - 1);
      await server.settle();
      const chunks = writer.chunksOf(round);
      milliseconds.get(writer)?.push(await timed(() => target.write(chunks)));
      await target.drop?.();
    }
  }
  return writers.map((writer) => {
    const times = milliseconds.get(writer) ?? [];
    const rows = writer.chunksOf(0).length;
    return {
      situation,
      contender: writer.name,
      rowsBefore: options.rowsBefore,
      rows,
      rounds: times.length,
      rowsPerSecond: (rows / median(times)) * 1000,
    };
  });
}

/** Skips contenders that keep their writes; they are so slow that a warm-up makes no difference. */
async function warmUp(writer: Writer, { rows, milliseconds }: NonNullable<WriteOptions["warmUp"]>): Promise<void> {
  if (writer.keepsAll === true) return;
  const began = performance.now();
  do {
    const target = await writer.open(false);
    await target.write(writer.chunksOf(0).slice(0, rows));
    await target.drop?.();
  } while (performance.now() - began < milliseconds);
}
