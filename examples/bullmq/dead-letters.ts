import type { Job } from "bullmq";
import type { DeadLetter, TrainingJob, TrainingQueues } from "./queues.js";

/** Jobs read in one round trip. */
const PAGE = 100;

/**
 * Moves the jobs that failed permanently to the dead letters. If the process dies in between, the job stays among the failed
 * ones for the next call, so none is lost. Several processes may call it at the same time.
 *
 * @returns the letters of the jobs that this call moved
 */
export async function collectDeadLetters({ trainings, deadLetters }: TrainingQueues): Promise<DeadLetter[]> {
  const collected: DeadLetter[] = [];
  for (;;) {
    const failed = (await trainings.getFailed(0, PAGE - 1)) as (Job<TrainingJob> | undefined)[];
    // A job that another process has just removed is undefined here.
    const jobs = failed.filter((job) => job !== undefined);
    for (const job of jobs) {
      const letter = letterOf(job);
      // The same job always gets the same letter. The suffix is needed because BullMQ refuses numeric job ids.
      const jobId = `${job.id ?? ""}-${job.timestamp}`;
      await deadLetters.add(job.data.type, letter, { jobId });
      await trainings.remove(job.id ?? "");
      collected.push(letter);
    }
    if (failed.length < PAGE) return collected;
  }
}

function letterOf({ data, failedReason, attemptsMade, finishedOn }: Job<TrainingJob>): DeadLetter {
  return {
    job: data,
    reason: failedReason,
    attempts: attemptsMade,
    failedAt: new Date(finishedOn ?? Date.now()).toISOString(),
  };
}

/** The dead letters, oldest first. */
export async function readDeadLetters({ deadLetters }: TrainingQueues): Promise<DeadLetter[]> {
  const letters = await deadLetters.getWaiting();
  return letters.map(({ data }) => data);
}

/**
 * Puts dead letters back into the queue, once the cause of their failure is fixed. A letter that a newer job has overtaken
 * changes nothing: its revision is lower. If the process dies in between, a letter may be put back twice, which is harmless.
 *
 * @param which - chooses the letters to put back; default all
 * @returns how many were put back
 */
export async function putBack(
  { trainings, deadLetters }: TrainingQueues,
  which: (letter: DeadLetter) => boolean = () => true,
): Promise<number> {
  let count = 0;
  for (const letter of await deadLetters.getWaiting()) {
    if (!which(letter.data)) continue;
    await trainings.add(letter.name, letter.data.job);
    await letter.remove();
    count += 1;
  }
  return count;
}
