import type { SchemaState } from "../../src/schema/schema-state.js";

/** What a process knows of a schema whose trainings are spread over a cluster, with little in it. */
export const SPREAD_STATE: SchemaState = {
  layout: { schema: "s", profileId: 1, idType: "text", extensionSchema: "public", citus: "tables" },
  vectorOid: 1,
  chunkOid: 2,
  dimensions: 2,
  recorded: undefined,
  type: "vector",
  pages: 1,
  chunks: undefined,
  compilesAboveCost: Infinity,
  version: "1",
  unclaimedVersion: "1",
  acceptedVersions: Buffer.alloc(0),
  hasOtherModel: false,
  own: undefined,
};
