/**
 * The outcome of calls on one id through indexes with different filters that the contract demands: C10 on top of the rules
 * in `schedule-model.ts`. Calls end one after the other.
 */
import { ModelTraining, type ModelCall } from "./schedule-model.js";

/** The tenant in the filter of an index; `undefined` for an index without a filter, which sees everything. */
export type Scope = string | undefined;

/** The tenant of a row without one. */
export const NOBODY = "";

/** One id and its tenant. */
export class ScopedTraining {
  #owner: string | undefined;
  #training = new ModelTraining();

  /** The tenant of the row, which may be a tombstone; `undefined` if there is no row. */
  get owner(): string | undefined {
    return this.#owner;
  }

  /** The version that searches should find; `undefined` for none. */
  get version(): number | undefined {
    return this.#training.version;
  }

  /** Whether an index sees the row. */
  isSeenBy(scope: Scope): boolean {
    return this.#owner !== undefined && (scope === undefined || scope === this.#owner);
  }

  /** Whether the id belongs to a training that the index does not see. An upsert through the index is then refused. */
  isTakenFor(scope: Scope): boolean {
    return this.version !== undefined && !this.isSeenBy(scope);
  }

  /** Whether a newer version is stored when the call starts. The call is then superseded, whatever happens meanwhile. */
  isNewerThan(scope: Scope, call: ModelCall): boolean {
    return this.isSeenBy(scope) && !this.#training.wouldBeAdmitted(call);
  }

  /** Applies an upsert that has ended. @returns whether it was admitted */
  upsert(scope: Scope, tenant: string, call: ModelCall): boolean {
    if (this.isTakenFor(scope)) return false;
    // The upsert replaces a tombstone that the index does not see.
    if (!this.isSeenBy(scope)) this.#training = new ModelTraining();
    const isAdmitted = this.#training.end(call);
    if (isAdmitted) this.#owner = tenant;
    return isAdmitted;
  }

  /** Applies a delete that has ended. @returns whether it was admitted */
  delete(scope: Scope, call: ModelCall): boolean {
    if (this.#owner === undefined) this.#owner = scope ?? NOBODY;
    else if (!this.isSeenBy(scope)) return false;
    return this.#training.end(call);
  }
}
