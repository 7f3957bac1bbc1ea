import type { Scope } from "../filtering/filter.js";
import type { Claim } from "./profile-claim.js";
import type { Layout } from "../schema/layout.js";

/** Where trainings are written to and deleted from. */
export interface WriteTarget {
  layout: Layout;
  /** The oid of pgvector's type. */
  vectorOid: number;
  /** What a training's metadata must meet for this index to replace or delete it. */
  scope: Scope;
  /** Whose vectors are written. */
  claim: Claim;
}
