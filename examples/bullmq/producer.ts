import type { Metadata } from "langchain-training-index";
import type { TrainingQueues } from "./queues.js";

/** What the host says when it has saved a training. */
export interface SavedTraining {
  id: string | number;
  content: string;
  metadata?: Metadata;
  /** The host's `updated_at` or counter: higher with each change of this training. */
  revision: number | Date;
}

/** The host's events. */
export interface TrainingEvents {
  trainingSaved: (training: SavedTraining) => Promise<void>;
  trainingDeleted: (id: string | number, revision: number | Date) => Promise<void>;
}

/**
 * Makes jobs of the host's events. Call them when the host's transaction is committed. An event that is told twice, or
 * after a later one, does no harm: the revision goes along.
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
