/**
 * What the contract says should come of calls through indexes with different filters on one id: C10 on top of the rules
 * in `schedule-model.ts`. Calls end one after the other.
 */
import { ModelTraining, type ModelCall } from "./schedule-model.js";

/** The tenant that an index is narrowed to; `undefined` for one without a filter, which sees everything. */
export type Scope = string | undefined;

/** The tenant of a row that names none. */
export const NOBODY = "";

/** One id, and whose it is. */
export class ScopedTraining {
  #owner: string | undefined;
  #training = new ModelTraining();

  /** The tenant whose row there is, a tombstone too; `undefined` where there is none. */
  get owner(): string | undefined {
    return this.#owner;
  }

  /** The version that is to be found; `undefined` for none. */
  get version(): number | undefined {
    return this.#training.version;
  }

  /** Whether an index sees the row. */
  isSeenBy(scope: Scope): boolean {
    return this.#owner !== undefined && (scope === undefined || scope === this.#owner);
  }

  /** Whether a training that the index does not see has the id: an upsert through it is refused. */
  isTakenFor(scope: Scope): boolean {
    return this.version !== undefined && !this.isSeenBy(scope);
  }

  /** Whether something newer is stored when the call starts: then it is superseded, whatever comes meanwhile. */
  isNewerThan(scope: Scope, call: ModelCall): boolean {
    return this.isSeenBy(scope) && !this.#training.wouldCount(call);
  }

  /** An upsert has ended. @returns whether it counted */
  upsert(scope: Scope, tenant: string, call: ModelCall): boolean {
    if (this.isTakenFor(scope)) return false;
    // A tombstone that the index does not see holds nothing up, and is gone.
    if (!this.isSeenBy(scope)) this.#training = new ModelTraining();
    const counts = this.#training.end(call);
    if (counts) this.#owner = tenant;
    return counts;
  }

  /** A delete has ended. @returns whether it counted */
  delete(scope: Scope, call: ModelCall): boolean {
    if (this.#owner === undefined) this.#owner = scope ?? NOBODY;
    else if (!this.isSeenBy(scope)) return false;
    return this.#training.end(call);
  }
}
