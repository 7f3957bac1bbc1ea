import type { TrainingIndex } from "langchain-training-index";
import { onTestFinished } from "vitest";
import { openQueues, type TrainingQueues } from "../../examples/bullmq/queues.js";
import { startWorker, type TrainingWorker, type TrainingWorkerOptions } from "../../examples/bullmq/worker.js";
import { redisServer } from "../../examples/support/servers.js";
import { useContainer } from "../support/containers.js";
import { uniqueName } from "../support/databases.js";
import { until, type TestIndex } from "../support/index.js";

/** How often a job is tried in the queues of tests. */
export const ATTEMPTS = 4;

/** A Redis for the tests of a suite. Its address is available while they run; without a Redis they are skipped. */
export function useRedis(): { readonly url: string } {
  const redis = useContainer("Redis", redisServer, process.env["REDIS_URL"] !== undefined);
  return {
    get url() {
      return redis().url;
    },
  };
}

/** The queues of a test of the recipe `bullmq`. */
export interface TestQueues {
  queues: TrainingQueues;
  /** Starts a worker, which ends with the test. */
  start: (index: TrainingIndex, options?: Partial<TrainingWorkerOptions>) => TrainingWorker;
  /** The messages of all errors that workers reported. */
  errors: string[];
}

/** Opens queues for a test. They and their jobs are deleted when it ends. */
export function openTestQueues(redis: { url: string }): TestQueues {
  const settings = { connection: { url: redis.url }, prefix: uniqueName("bullmq") };
  const queues = openQueues({ ...settings, attempts: ATTEMPTS, firstDelayMs: 10 });
  const workers: TrainingWorker[] = [];
  const errors: string[] = [];
  onTestFinished(async () => {
    await Promise.all(workers.map(({ close }) => close({ graceMs: 0 })));
    await queues.trainings.obliterate({ force: true });
    await queues.deadLetters.obliterate({ force: true });
    await queues.close();
  });
  const start = (index: TrainingIndex, options: Partial<TrainingWorkerOptions> = {}): TrainingWorker => {
    const onError = (error: Error): number => errors.push(error.message);
    const worker = startWorker(index, queues, { ...settings, onError, ...options });
    workers.push(worker);
    return worker;
  };
  return { queues, start, errors };
}

/** Waits until no job is waiting or running. */
export async function untilIdle({ trainings }: TrainingQueues): Promise<void> {
  await until(async () => {
    const counts = await trainings.getJobCounts("waiting", "active", "delayed", "failed");
    return Object.values(counts).every((count) => count === 0);
  });
}

/** All stored chunks without their ids, in a fixed order. */
export async function stored({ pool, schema }: TestIndex): Promise<unknown[]> {
  const { rows } = await pool.query<Record<string, unknown>>(
    `SELECT training_id, content, metadata FROM ${schema}.chunk_1 ORDER BY training_id, content, metadata::text`,
  );
  return rows;
}
