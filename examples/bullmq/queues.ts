/** The queues and the data of their jobs, which must be JSON: Redis stores them. */
import type { Metadata } from "langchain-training-index";
import { Queue, type QueueOptions } from "bullmq";

/** The host has saved a training; this is its current text. */
export interface TrainingSaved {
  type: "saved";
  id: string | number;
  content: string;
  metadata: Metadata;
  /** Orders the versions of one training. Not a `Date`, which Redis would return as a string. */
  revision: number;
}

/** The host has deleted a training. */
export interface TrainingDeleted {
  type: "deleted";
  id: string | number;
  /** Higher than that of the last save: with equal ones the job that runs last would win. */
  revision: number;
}

/** The data of a job. */
export type TrainingJob = TrainingSaved | TrainingDeleted;

/** A job that failed permanently, and why. */
export interface DeadLetter {
  job: TrainingJob;
  reason: string;
  attempts: number;
  failedAt: string;
}

/** The queue of a host's trainings, and that of the jobs that failed permanently. */
export interface TrainingQueues {
  trainings: Queue<TrainingJob, void, TrainingJob["type"]>;
  deadLetters: Queue<DeadLetter, void, TrainingJob["type"]>;
  /** Closes the connections; jobs stay in Redis. */
  close: () => Promise<void>;
}

/** Options of {@link openQueues}. */
export interface QueueSettings extends Pick<QueueOptions, "connection" | "prefix"> {
  /** Attempts per job, the first one included. Default 8. */
  attempts?: number;
  /** Wait before the second attempt in milliseconds; each later wait doubles. Default 1000: about two minutes in all. */
  firstDelayMs?: number;
}

/** The name of the queue, which workers must use too. */
export const TRAININGS = "trainings";
const DEAD_LETTERS = "trainings-dead-letters";

/** Shortens each wait by up to half, so that jobs that failed together are not retried together. */
const JITTER = 0.5;

/** Opens both queues. Any number of processes can open them. */
export function openQueues(settings: QueueSettings): TrainingQueues {
  const { attempts = 8, firstDelayMs = 1000, ...common } = settings;
  const trainings: TrainingQueues["trainings"] = new Queue(TRAININGS, {
    ...common,
    defaultJobOptions: {
      attempts,
      backoff: { type: "exponential", delay: firstDelayMs, jitter: JITTER },
      removeOnComplete: true,
      removeOnFail: false, // dead-letters.ts takes it from there
    },
  });
  const deadLetters: TrainingQueues["deadLetters"] = new Queue(DEAD_LETTERS, common);
  return {
    trainings,
    deadLetters,
    close: async () => {
      await Promise.all([trainings.close(), deadLetters.close()]);
    },
  };
}
