import type { Job } from "bullmq";
import type { DeadLetter, TrainingJob, TrainingQueues } from "./queues.js";

/** Jobs that are looked at in one round trip. */
const PAGE = 100;

/**
 * Moves the jobs that failed for good to the dead letters. A process that dies in between leaves the job among the failed
 * ones, and the next call takes it: none is lost. Several processes may do it at once.
 *
 * @returns the letters that this call moved
 */
export async function collectDeadLetters({ trainings, deadLetters }: TrainingQueues): Promise<DeadLetter[]> {
  const collected: DeadLetter[] = [];
  for (;;) {
    const failed = (await trainings.getFailed(0, PAGE - 1)) as (Job<TrainingJob> | undefined)[];
    // One that another process has just moved has left its place only.
    const jobs = failed.filter((job) => job !== undefined);
    for (const job of jobs) {
      const letter = letterOf(job);
      // The same job has the same letter, whoever moves it; numbers alone are BullMQ's own names.
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
 * Puts dead letters back, when what they failed for is mended. One that has been overtaken meanwhile changes nothing: its
 * revision is lower. A process that dies in between leaves a job and its letter, so it may be done twice.
 *
 * @param which - those to put back; all without it
 * @returns how many went back
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
