import type { EmbeddingProfile } from "../embedding/profiles.js";
import { SchemaError } from "../errors.js";
import type { Queryable } from "../postgres/database.js";
import type { ActiveProfile } from "../schema/catalog.js";
import type { Layout } from "../schema/layout.js";
import { mayHoldChunks } from "../storing/profile-claim.js";

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
