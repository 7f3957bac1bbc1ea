import { setImmediate } from "node:timers/promises";

/** How long one call may block the event loop, in milliseconds. */
const LONGEST_TURN_MS = 10;

/** Divides long synchronous work into turns; between two turns the event loop serves other calls. */
export class Turns {
  #since = performance.now();

  /** Whether it is time for a {@link pause}. */
  get isOver(): boolean {
    return performance.now() - this.#since >= LONGEST_TURN_MS;
  }

  /** Yields to the event loop, then starts the next turn. */
  async pause(): Promise<void> {
    await setImmediate();
    this.#since = performance.now();
  }
}

/** `list.map(map)`, divided into turns. */
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
