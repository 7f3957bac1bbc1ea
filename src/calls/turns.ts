import { setImmediate } from "node:timers/promises";

/** How long one call may keep the event loop to itself, in milliseconds. */
const LONGEST_TURN_MS = 10;

/** Divides work that can be long into turns, between which the process serves its other calls. */
export class Turns {
  #since = performance.now();

  /** Whether it is time for a {@link pause}. */
  get isOver(): boolean {
    return performance.now() - this.#since >= LONGEST_TURN_MS;
  }

  /** Lets the process do what else there is to do. */
  async pause(): Promise<void> {
    await setImmediate();
    this.#since = performance.now();
  }
}

/** As `list.map(map)`, in turns. */
export async function mapInTurns<From, To>(
  list: readonly From[],
  map: (item: From) => To,
  turns = new Turns(),
): Promise<To[]> {
  const mapped: To[] = [];
  for (const item of list) {
    if (turns.isOver) await turns.pause();
    mapped.push(map(item));
  }
  return mapped;
}
