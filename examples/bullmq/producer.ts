import type { Metadata } from "langchain-training-index";
import type { TrainingQueues } from "./queues.js";

/** The training that the host has saved. */
export interface SavedTraining {
  id: string | number;
  content: string;
  metadata?: Metadata;
  /** The host's `updated_at` or counter: higher with each change of this training. */
  revision: number | Date;
}

/** Functions that the host calls after its changes. */
export interface TrainingEvents {
  trainingSaved: (training: SavedTraining) => Promise<void>;
  trainingDeleted: (id: string | number, revision: number | Date) => Promise<void>;
}

/**
 * Functions that enqueue a job for each change of the host. Call them when the host's transaction is committed. Repeated and
 * late calls do no harm, because each job has its revision.
 */
export function trainingEvents({ trainings }: Pick<TrainingQueues, "trainings">): TrainingEvents {
  return {
    trainingSaved: async ({ id, content, metadata = {}, revision }) => {
      await trainings.add("saved", { type: "saved", id, content, metadata, revision: revision.valueOf() });
    },
    trainingDeleted: async (id, revision) => {
      await trainings.add("deleted", { type: "deleted", id, revision: revision.valueOf() });
    },
  };
}
