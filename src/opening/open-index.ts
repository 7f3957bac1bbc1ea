import type { EmbeddingsInterface } from "@langchain/core/embeddings";
import { Embedder, resolveProfile } from "../embedding/embedder.js";
import type { EmbeddingProfile } from "../embedding/profiles.js";
import { SchemaError } from "../errors.js";
import type { Notify } from "../calls/notices.js";
import type { TrainingIndexOptions } from "./index-options.js";
import {
  readCatalog,
  readMigrations,
  refuseNewerSchema,
  requireExtension,
  type ActiveProfile,
} from "../schema/catalog.js";
import { damagedSchema, affectsSpeedOnly, readDamage } from "../schema/damage.js";
import type { DatabasePool, Queryable } from "../postgres/database.js";
import { mayHoldChunks } from "../storing/profile-claim.js";
import { FIRST_PROFILE_ID, SCHEMA_VERSION, type Layout } from "../schema/layout.js";
import { refuseSettings } from "../postgres/settings.js";

/** What {@link openIndex} found: a migrated, undamaged schema, and the embedder with its resolved profile. */
export interface OpenIndex {
  /** The id of the profile whose chunks are searched. */
  profileId: number;
  profile: EmbeddingProfile;
  embedder: Embedder;
}

/**
 * Checks the schema before anything is read from it or written to it. {@link refuseOtherModel} checks the model.
 *
 * @throws {@link SchemaError} if it is not migrated, or damaged
 */
export async function openIndex(
  embeddings: EmbeddingsInterface,
  pool: DatabasePool,
  schema: string,
  given: TrainingIndexOptions["profile"],
  notify: Notify,
): Promise<OpenIndex> {
  const catalog = await readCatalog(pool, schema, FIRST_PROFILE_ID);
  refuseSettings(catalog.settings);
  const applied = catalog.migrated ? await readMigrations(pool, schema) : { version: 0, breakingVersion: 0 };
  refuseNewerSchema(schema, applied);
  const { missing, active } = await readDamage(pool, schema, applied.version);
  const lost = missing.filter((part) => !affectsSpeedOnly(part));
  if (lost.length > 0) {
    throw damagedSchema(
      schema,
      lost,
      `Run migrate(pool, { schema: ${JSON.stringify(schema)} }): it recreates what can be derived from the rest, and says ` +
        "how to restore the other parts",
    );
  }
  requireExtension(catalog.extension);
  if (applied.version < SCHEMA_VERSION || catalog.idType === undefined || !active) {
    const state = applied.version === 0 ? "has not been migrated" : `is at version ${applied.version}`;
    throw new SchemaError(
      applied.version === 0 ? "SCHEMA_MISSING" : "SCHEMA_OUTDATED",
      `Schema ${JSON.stringify(schema)} ${state}: run migrate(pool, { schema: ${JSON.stringify(schema)} })`,
    );
  }
  const resolved = resolveProfile(embeddings, given, active.dimensions);
  return {
    profileId: active.id,
    profile: resolved.profile,
    embedder: new Embedder(embeddings, resolved, notify),
  };
}

/** The recorded model and dimensions of a schema. */
type RecordedSchema = Pick<ActiveProfile, "dimensions" | "recorded"> & { layout: Layout };

/**
 * Refuses a schema that holds vectors of another model, or whose column has other dimensions. In an empty schema the
 * recorded model does not matter.
 *
 * @throws {@link SchemaError}
 */
export async function refuseOtherModel(
  database: Queryable,
  { layout, dimensions, recorded }: RecordedSchema,
  profile: EmbeddingProfile,
): Promise<void> {
  const schema = JSON.stringify(layout.schema);
  const difference = [
    describeDifference("model", recorded?.model, profile.model),
    describeDifference("dimensions", dimensions, profile.dimensions),
    describeDifference("query prefix", recorded?.queryPrefix, profile.queryPrefix),
    describeDifference("document prefix", recorded?.documentPrefix, profile.documentPrefix),
  ].find((found) => found !== undefined);
  if (difference === undefined) return;
  if (recorded !== undefined && (await mayHoldChunks(database, layout))) {
    throw new SchemaError(
      "PROFILE_MISMATCH",
      `Schema ${schema} holds vectors of another embedding model: ${difference}. ` +
        "Such vectors cannot be compared: open it with the model that is recorded, or migrate a new schema, " +
        "index the trainings there, and open that one",
    );
  }
  if (dimensions === profile.dimensions) return;
  throw new SchemaError(
    "PROFILE_MISMATCH",
    `Schema ${schema} has no vectors yet, but was migrated for other dimensions than this model has: ` +
      `${describeDifference("dimensions", dimensions, profile.dimensions) ?? ""}: run migrate(pool, { schema: ${schema}, ` +
      `dimensions: ${profile.dimensions} })`,
  );
}

function describeDifference(what: string, recorded: unknown, opened: unknown): string | undefined {
  if (recorded === undefined || recorded === opened) return undefined;
  return `${what} ${JSON.stringify(recorded)} is recorded, ${JSON.stringify(opened)} was opened`;
}
