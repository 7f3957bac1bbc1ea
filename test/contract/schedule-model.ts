/**
 * The outcome of calls on one training that the contract demands: the rules of C2 and C3, implemented independently of the
 * library.
 */

/** What decides the order of a call. */
export interface ModelCall {
  /** The position of its start among all calls, from 1. */
  start: number;
  revision: number | undefined;
  /** The number of the version that it stores; `undefined` for a delete. */
  version: number | undefined;
}

interface ModelState {
  start: number;
  revision: number | undefined;
  barrier: number;
  version: number | undefined;
}

/**
 * One training, on which calls end one after the other. A delete without a revision ends the revision history, and its
 * barrier supersedes every call that started before it.
 */
export class ModelTraining {
  #state: ModelState = { start: 0, revision: undefined, barrier: 0, version: undefined };

  /** The version that searches should find; `undefined` for none. */
  get version(): number | undefined {
    return this.#state.version;
  }

  /** Whether a call would be admitted if it ended now. */
  wouldBeAdmitted({ start, revision }: ModelCall): boolean {
    const stored = this.#state;
    if (start < stored.barrier) return false;
    const comparable = revision !== undefined && stored.revision !== undefined && revision !== stored.revision;
    return comparable ? revision > (stored.revision ?? 0) : start >= stored.start;
  }

  /** Applies a call that has ended. @returns whether it was admitted; otherwise it is superseded */
  end(call: ModelCall): boolean {
    if (!this.wouldBeAdmitted(call)) return false;
    const { start, revision, version } = call;
    const stored = this.#state;
    const endsHistory = version === undefined && revision === undefined;
    const highest = revision === undefined ? stored.revision : Math.max(revision, stored.revision ?? revision);
    this.#state = {
      start,
      revision: endsHistory ? undefined : highest,
      barrier: revision === undefined ? Math.max(stored.barrier, start) : stored.barrier,
      version,
    };
    return true;
  }
}

/**
 * The call that wins if calls end in any order or concurrently: the highest revision; of equal ones, and without
 * revisions, the one that started last. Only for calls that all have revisions, or all have none.
 */
export function winner<Call extends ModelCall>(calls: readonly Call[]): Call | undefined {
  return calls.reduce<Call | undefined>((best, call) => {
    if (!best) return call;
    const order = (call.revision ?? 0) - (best.revision ?? 0) || call.start - best.start;
    return order > 0 ? call : best;
  }, undefined);
}
