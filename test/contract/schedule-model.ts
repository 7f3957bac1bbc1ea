/**
 * What the contract says should come of calls on one training: the rules of C2 and C3, written down once more and
 * independently of the library.
 */

/** A call, as far as order matters. */
export interface ModelCall {
  /** The place in which it started, from 1. */
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
 * One training, as calls on it end one after the other. A delete without a revision ends the history of revisions; what
 * started before it stays behind its barrier.
 */
export class ModelTraining {
  #state: ModelState = { start: 0, revision: undefined, barrier: 0, version: undefined };

  /** The version that is to be found; `undefined` for none. */
  get version(): number | undefined {
    return this.#state.version;
  }

  /** Whether a call would count, if it ended now. */
  wouldCount({ start, revision }: ModelCall): boolean {
    const stored = this.#state;
    if (start < stored.barrier) return false;
    const comparable =
      revision !== undefined && stored.revision !== undefined && revision !== stored.revision;
    return comparable ? revision > (stored.revision ?? 0) : start >= stored.start;
  }

  /** Takes a call that has ended. @returns whether it counted; if not, it is superseded */
  end(call: ModelCall): boolean {
    if (!this.wouldCount(call)) return false;
    const { start, revision, version } = call;
    const stored = this.#state;
    const endsHistory = version === undefined && revision === undefined;
    const highest =
      revision === undefined ? stored.revision : Math.max(revision, stored.revision ?? revision);
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
 * The call that wins when calls end in any order, at once even: of those with revisions the highest, of equal ones, and
 * of those without, the one that started last. Only for calls that all have revisions, or all have none.
 */
export function winner<Call extends ModelCall>(calls: readonly Call[]): Call | undefined {
  return calls.reduce<Call | undefined>((best, call) => {
    if (!best) return call;
    const order = (call.revision ?? 0) - (best.revision ?? 0) || call.start - best.start;
    return order > 0 ? call : best;
  }, undefined);
}
