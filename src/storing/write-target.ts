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
}

/** What vectors are written to: the tables of one profile, if it belongs to the claim. */
export interface ClaimedTarget extends WriteTarget {
  /** The model whose vectors are written. */
  claim: Claim;
}

/** Internal: another profile has become the active one since a write was prepared. Nothing has been stored. */
export class OtherProfile extends Error {}

/** The target of a write that was prepared for one profile. Its layout throws {@link OtherProfile} when another one is active. */
export function claimedTarget(target: WriteTarget, profileId: number, claim: Claim): ClaimedTarget {
  return {
    claim,
    scope: target.scope,
    get layout() {
      const { layout } = target;
      if (layout.profileId !== profileId) throw new OtherProfile();
      return layout;
    },
    get vectorOid() {
      return target.vectorOid;
    },
  };
}
