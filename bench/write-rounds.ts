import type { Chunk } from "./data.js";
import type { WriteFigure, WriteSituation } from "./results.js";
import type { BenchServer } from "./server.js";
import { median, rotate, timed } from "./statistics.js";

/** Where one contender writes to in one round. */
export interface WriteTarget {
  write(chunks: readonly Chunk[]): Promise<unknown>;
  /** Takes it away after the round. Left out for what later measurements go on with. */
  drop?: (() => Promise<unknown>) | undefined;
}

/** A contender that writes. */
export interface Writer {
  name: string;
  /** Makes ready what is not timed. */
  open(isLastRound: boolean): Promise<WriteTarget>;
  /** What is written in a round. */
  chunksOf(round: number): readonly Chunk[];
  /** For the slow: one round of them says enough. */
  onlyOnce?: boolean;
  /** What it writes stays from the first round on, so that nothing can be written to try. */
  keepsAll?: boolean;
}

/** How it is measured. */
export interface WriteOptions {
  rounds: number;
  /** What is there before. */
  rowsBefore: number;
  /** What is written before anything is timed: code that has not run yet is slow. Left out where the times do not matter. */
  warmUp?:
    | {
        rows: number;
        /** Those rows are written into something new until so much time has passed; at least once. */
        milliseconds: number;
      }
    | undefined;
}

/** Lets all write in turns, each round in another order; of each the median round counts. */
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

/** Leaves out those that keep what is written; they are slow enough for it not to matter. */
async function warmUp(
  writer: Writer,
  { rows, milliseconds }: NonNullable<WriteOptions["warmUp"]>,
): Promise<void> {
  if (writer.keepsAll === true) return;
  const began = performance.now();
  do {
    const target = await writer.open(false);
    await target.write(writer.chunksOf(0).slice(0, rows));
    await target.drop?.();
  } while (performance.now() - began < milliseconds);
}
