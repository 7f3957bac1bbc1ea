import { setTimeout as sleep } from "node:timers/promises";
import type { TrainingIndex } from "langchain-training-index";
import type pg from "pg";
import { timed } from "../statistics.js";
import { training, type LargeData } from "./large-data.js";
import type { LargeOptions } from "./large-options.js";
import type { LargeWriteFigure, VacuumFigure } from "./large-results.js";
import { timesOf } from "./large-searches.js";
import { RECALL_K } from "./large-truth.js";

const ROUNDS = 30;
const WARM_UP_ROUNDS = 5;
/** Of all chunks, those that are written and deleted before VACUUM, so that it has work to do. */
const SHARE_OF_DEAD_ROWS = 0.002;
const WRITE_EVERY_MILLISECONDS = 250;
const QUESTIONS = 500;
/** A session reports its changes to the statistics at most once a second. */
const STATISTICS_MILLISECONDS = 2000;

/** One new chunk, an edit of one chunk in a training of twenty, and its delete, while the vector index is in use. All that it adds is deleted again. */
export async function measureLargeWrites(
  index: TrainingIndex,
  { chunks, chunksPerTraining: size }: LargeOptions,
): Promise<LargeWriteFigure[]> {
  const milliseconds = new Map<string, { chunks: number; times: number[] }>();
  const measure = async (
    change: string,
    count: number,
    work: () => Promise<unknown>,
    isTimed: boolean,
  ): Promise<void> => {
    const figure = milliseconds.get(change) ?? { chunks: count, times: [] };
    milliseconds.set(change, figure);
    const took = await timed(work);
    if (isTimed) figure.times.push(took);
  };
  for (let round = 0; round < WARM_UP_ROUNDS + ROUNDS; round++) {
    const isTimed = round >= WARM_UP_ROUNDS;
    const single = { ...training(chunks + 2_000_000 + round, 1), id: `single-${round}` };
    await measure("a new training of one chunk", 1, () => index.upsertTraining(single), isTimed);
    await measure("its delete", 1, () => index.deleteTraining(single.id), isTimed);
    const first = firstAfter(chunks, size, round);
    const added = training(first, size);
    await measure(`a new training of ${size} chunks`, size, () => index.upsertTraining(added), isTimed);
    await measure("an edit of one of its chunks", 1, () => index.upsertTraining(training(first, size, 2)), isTimed);
    await measure(`its delete, ${size} chunks`, size, () => index.deleteTraining(added.id), isTimed);
  }
  await index.prune({ olderThanMs: 1 });
  return [...milliseconds].map(([change, { chunks: count, times }]) => ({
    change,
    chunks: count,
    times: timesOf(times),
  }));
}

/** Searches and writes while VACUUM removes deleted chunks from the table and from its indexes. */
export async function measureVacuum(
  index: TrainingIndex,
  pool: pg.Pool,
  schema: string,
  data: LargeData,
  { chunks, chunksPerTraining: size }: LargeOptions,
): Promise<VacuumFigure> {
  const trainings = Math.max(Math.round((chunks * SHARE_OF_DEAD_ROWS) / size), 1);
  const first = firstAfter(chunks, size, 1000);
  const added = Array.from({ length: trainings }, (_, place) => training(first + place * size, size));
  await index.upsertTrainings(added, { concurrency: 2 });
  await index.deleteTrainings({ ids: added.map(({ id }) => id) });
  const deadRows = await readDeadRows(pool, schema);
  const questions = data.questions(QUESTIONS);
  const searches: number[] = [];
  const writes: number[] = [];
  let isRunning = true;
  const search = async (): Promise<void> => {
    for (let place = 0; isRunning; place++) {
      const vector = questions[place % questions.length] ?? [];
      searches.push(await timed(() => index.similar(vector, { k: RECALL_K })));
    }
  };
  const write = async (): Promise<void> => {
    for (let round = 0; isRunning; round++) {
      const single = { ...training(chunks + 3_000_000 + round, 1), id: `beside-vacuum-${round}` };
      writes.push(await timed(() => index.upsertTraining(single)));
      await sleep(WRITE_EVERY_MILLISECONDS);
    }
  };
  const vacuum = timed(() => pool.query(`VACUUM (INDEX_CLEANUP ON) ${schema}.chunk_1`)).finally(
    () => (isRunning = false),
  );
  const [milliseconds] = await Promise.all([vacuum, search(), write()]);
  await index.deleteTrainings({ ids: writes.map((_, round) => `beside-vacuum-${round}`) });
  await index.prune({ olderThanMs: 1 });
  return { seconds: milliseconds / 1000, deadRows, searches: timesOf(searches), writes: timesOf(writes) };
}

/** The rows that VACUUM has to remove, those of earlier measurements included. */
async function readDeadRows(pool: pg.Pool, schema: string): Promise<number> {
  await sleep(STATISTICS_MILLISECONDS);
  const { rows } = await pool.query<{ dead: string }>(
    "SELECT n_dead_tup::text AS dead FROM pg_stat_user_tables WHERE schemaname = $1 AND relname = 'chunk_1'",
    [schema],
  );
  return Number(rows[0]?.dead);
}

/** The number of the first chunk of a training that the load has not stored. */
function firstAfter(chunks: number, size: number, place: number): number {
  return (Math.ceil(chunks / size) + 1 + place) * size;
}
