import type { EmbeddingProfile } from "../embedding/profiles.js";
import { SchemaError } from "../errors.js";
import { profileRetired, type Queryable } from "../postgres/database.js";
import { readProfiles } from "../schema/profiles.js";
import type { RecordedModel, SchemaState } from "../schema/schema-state.js";

/** The error of an index whose schema was switched to another model. */
export function retiredModel({ model }: RecordedModel): SchemaError {
  return profileRetired(undefined, `the embedding model ${JSON.stringify(model)}`);
}

/** The error of an index on a schema with vectors of another model. @param opened - the models of the index */
export async function mismatch(
  database: Queryable,
  { layout, dimensions }: SchemaState,
  recorded: RecordedModel,
  opened: readonly EmbeddingProfile[],
): Promise<SchemaError> {
  const others = (await readProfiles(database, layout.schema)).filter(({ state }) => state === "retired");
  const wasSwitched = others.some(
    (other) =>
      other.recorded !== undefined && opened.some((profile) => isSame(other.recorded, other.dimensions, profile)),
  );
  if (wasSwitched) return retiredModel(recorded);
  const newest = opened.at(-1);
  return new SchemaError(
    "PROFILE_MISMATCH",
    `Schema ${JSON.stringify(layout.schema)} holds vectors of another embedding model: ` +
      `${(newest && differenceOf({ ...recorded, dimensions }, newest)) ?? ""}. ` +
      "Such vectors cannot be compared: open it with the model that is recorded, and change the model with its switchModel" +
      (layout.citus ? "; on a Citus cluster, migrate a new schema for the other one" : ""),
  );
}

/** The error of an index on an empty schema that was migrated for other dimensions. */
export function wrongDimensions({ layout, dimensions }: SchemaState, opened: readonly EmbeddingProfile[]): SchemaError {
  const schema = JSON.stringify(layout.schema);
  const wanted = opened.at(-1)?.dimensions ?? 0;
  return new SchemaError(
    "PROFILE_MISMATCH",
    `Schema ${schema} has no vectors yet, but was migrated for other dimensions than this model has: ` +
      `dimensions ${dimensions} is recorded, ${wanted} was opened: run migrate(pool, { schema: ${schema}, dimensions: ${wanted} })`,
  );
}

function isSame(recorded: RecordedModel | undefined, dimensions: number, opened: EmbeddingProfile): boolean {
  return recorded !== undefined && differenceOf({ ...recorded, dimensions }, opened) === undefined;
}

type Compared = RecordedModel & { dimensions: number };

function differenceOf(recorded: Compared, opened: Compared): string | undefined {
  return [
    describeDifference("model", recorded.model, opened.model),
    describeDifference("dimensions", recorded.dimensions, opened.dimensions),
    describeDifference("query prefix", recorded.queryPrefix, opened.queryPrefix),
    describeDifference("document prefix", recorded.documentPrefix, opened.documentPrefix),
  ].find((found) => found !== undefined);
}

function describeDifference(what: string, recorded: unknown, opened: unknown): string | undefined {
  if (recorded === opened) return undefined;
  return `${what} ${JSON.stringify(recorded)} is recorded, ${JSON.stringify(opened)} was opened`;
}
