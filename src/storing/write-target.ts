import type { Scope } from "../filtering/scope.js";
import type { Claim } from "./profile-claim.js";
import type { Layout } from "../schema/layout.js";

/** The schema and scope that an index writes to and deletes from. */
export interface WriteTarget {
  layout: Layout;
  /** The oid of pgvector's `vector` type. */
  vectorOid: number;
  /** Conditions that a training's metadata must meet for this index to replace or delete it. */
  scope: Scope;
  /** The model whose vectors are written. */
  claim: Claim;
}
