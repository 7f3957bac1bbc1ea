/** A model, as it is recorded with its vectors. */
export interface SwitchedModel {
  name: string;
  dimensions: number;
}

/**
 * - `building`: trainings are embedded with the new model.
 * - `indexing`: the new vector index is built.
 * - `checking`: both models are compared.
 * - `switching`: waits for a moment without writes, and makes the new model the one in use.
 */
export type SwitchPhase = "building" | "indexing" | "checking" | "switching";

/** The progress of a switch. */
export interface SwitchProgress {
  phase: SwitchPhase;
  /** Trainings that this call has built. */
  trainings: number;
  /** Trainings that are left to build. */
  remaining: number;
  /** Texts that this call has embedded. */
  texts: number;
  /** The time that the remaining trainings will take at this speed, in milliseconds; `undefined` before the first. */
  remainingMs: number | undefined;
}

/** The comparison of the model in use with the new one. */
export interface SwitchReport {
  from: SwitchedModel;
  to: SwitchedModel;
  /** Living trainings, and those that the new model has chunks of. They differ by what is behind. */
  trainings: { stored: number; built: number };
  /** Chunks of both models. The new one has more if its window is smaller, or other ones with another splitter. */
  chunks: { stored: number; built: number };
  /** Trainings that were written since they were built; they are built before the switch. */
  behind: number;
  /** New vectors without a direction, which no search finds. */
  zeroVectors: number;
  /** Whether the new vector index can be used. */
  vectorIndex: boolean;
  /** Searches for the same questions with both models; `undefined` if there are no questions. */
  searches: { questions: number; k: number; meanOverlap: number; lowestOverlap: number } | undefined;
  /** What prevents the switch. Empty if nothing does. */
  problems: string[];
}

/** What a switch has to do, see the option `dryRun`. */
export interface SwitchPlan {
  trainings: number;
  /** Trainings that are not built yet. Fewer than `trainings` if an interrupted switch is continued, or after a switch back. */
  remaining: number;
  chunks: number;
  /** Characters of the chunks. */
  characters: number;
  /** Whether texts are embedded that are not stored, a header for example, so that the option `source` is needed. */
  needsSource: boolean;
  /** The time that embedding takes with `maxTextsPerMinute`, in milliseconds; `undefined` without it. */
  leastMs: number | undefined;
}

/** The result of `switchModel`. */
export interface SwitchResult {
  /** `planned` with `dryRun`. */
  status: "switched" | "planned";
  from: SwitchedModel;
  to: SwitchedModel;
  /** Set with `dryRun`. */
  plan?: SwitchPlan;
  /** Set without `dryRun`. */
  report?: SwitchReport;
  /** Trainings that this call has built, and texts that it has embedded. */
  trainings: number;
  texts: number;
  /** How long writes had to wait for the switch at most, in milliseconds, and how often it was tried. */
  flip?: { longestMs: number; attempts: number };
}
