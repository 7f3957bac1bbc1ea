import type { EmbeddingsInterface } from "@langchain/core/embeddings";
import { Embedder, resolveProfile } from "./embedding/embedder.js";
import type { EmbeddingProfile } from "./embedding/profiles.js";
import { SchemaError } from "./errors.js";
import type { Notify } from "./notices.js";
import type { TrainingIndexOptions } from "./options.js";
import {
  readActiveProfile,
  readCatalog,
  readMigrations,
  refuseNewerSchema,
  requireExtension,
  type ActiveProfile,
} from "./store/catalog.js";
import type { DatabasePool } from "./store/database.js";
import { mayHoldChunks } from "./store/profile-claim.js";
import { FIRST_PROFILE_ID, SCHEMA_VERSION, type Layout } from "./store/layout.js";

/** A schema that has been found to be migrated, and to hold the vectors of the given embedder. */
export interface OpenIndex {
  layout: Layout;
  vectorOid: number;
  profile: EmbeddingProfile;
  embedder: Embedder;
}

/**
 * Looks at the schema before anything is read from it or written to it.
 *
 * @throws {@link SchemaError} when it is not migrated, or holds vectors of another model
 */
export async function openIndex(
  embeddings: EmbeddingsInterface,
  pool: DatabasePool,
  schema: string,
  given: TrainingIndexOptions["profile"],
  notify: Notify,
): Promise<OpenIndex> {
  const catalog = await readCatalog(pool, schema, FIRST_PROFILE_ID);
  const extension = requireExtension(catalog.extension);
  const applied = catalog.migrated ? await readMigrations(pool, schema) : { version: 0, breakingVersion: 0 };
  refuseNewerSchema(schema, applied);
  if (applied.version < SCHEMA_VERSION || catalog.idType === undefined) {
    const state = applied.version === 0 ? "has not been migrated" : `is at version ${applied.version}`;
    throw new SchemaError(
      applied.version === 0 ? "SCHEMA_MISSING" : "SCHEMA_OUTDATED",
      `Schema ${JSON.stringify(schema)} ${state}: run migrate(pool, { schema: ${JSON.stringify(schema)} })`,
    );
  }
  const active = await readActiveProfile(pool, schema);
  const resolved = resolveProfile(embeddings, given, active.dimensions);
  const layout = {
    schema,
    idType: catalog.idType,
    extensionSchema: extension.schema,
    profileId: active.id,
    textSearch: active.textSearch,
  };
  const isClaimed = active.recorded !== undefined && (await mayHoldChunks(pool, layout));
  refuseOtherModel(schema, isClaimed ? active : { ...active, recorded: undefined }, resolved.profile);
  return {
    layout,
    vectorOid: extension.vectorOid,
    profile: resolved.profile,
    embedder: new Embedder(embeddings, resolved, notify),
  };
}

function refuseOtherModel(
  schema: string,
  { dimensions, recorded }: ActiveProfile,
  profile: EmbeddingProfile,
): void {
  const difference = [
    describeDifference("model", recorded?.model, profile.model),
    describeDifference("dimensions", dimensions, profile.dimensions),
    describeDifference("query prefix", recorded?.queryPrefix, profile.queryPrefix),
    describeDifference("document prefix", recorded?.documentPrefix, profile.documentPrefix),
  ].find((found) => found !== undefined);
  if (difference === undefined) return;
  throw new SchemaError(
    "PROFILE_MISMATCH",
    `Schema ${JSON.stringify(schema)} holds vectors of another embedding model: ${difference}. ` +
      "Such vectors cannot be compared: open it with the model that is recorded, or migrate a new schema, " +
      "index the trainings there, and open that one",
  );
}

function describeDifference(what: string, recorded: unknown, opened: unknown): string | undefined {
  if (recorded === undefined || recorded === opened) return undefined;
  return `${what} ${JSON.stringify(recorded)} is recorded, ${JSON.stringify(opened)} was opened`;
}
