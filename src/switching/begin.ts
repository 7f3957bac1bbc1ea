import { InvalidArgumentError, SchemaError } from "../errors.js";
import { plainIndexes } from "../migrations/list.js";
import { addLexemesTrigger, indexLexemes, PENDING_KILOBYTES } from "../migrations/text-search.js";
import { DEFAULT_HNSW, widerType } from "../migrations/options.js";
import { isSameModel, type Model } from "../models/models.js";
import { query, type Queryable } from "../postgres/database.js";
import { readCatalog, requireActiveProfile, type ActiveProfile } from "../schema/catalog.js";
import { namesOf, type Layout } from "../schema/layout.js";
import { readProfiles, type RecordedProfile } from "../schema/profiles.js";
import { MAX_DIMENSIONS, type VectorIndexType } from "../schema/vector-index.js";
import type { VectorIndexDefinition } from "../schema/vector-index-sql.js";
import { withShortLocks, type LockParts } from "./short-locks.js";
import type { CheckedSwitch } from "./switch-options.js";
import * as sql from "./switch-sql.js";

/** The two profiles of a switch. */
export interface SwitchTarget {
  active: Layout;
  building: Layout;
  from: ActiveProfile & { recorded: NonNullable<ActiveProfile["recorded"]> };
  vectorIndex: VectorIndexDefinition;
  /** Whether the profile was there before this call: interrupted, shared with another process, or retired. */
  isContinued: boolean;
}

/** What a switch is planned from. */
export interface BeginInputs {
  /** The layout of the active profile. */
  layout: Layout;
  model: Model;
  options: CheckedSwitch;
}

/**
 * Plans a switch from what is stored.
 *
 * @throws {@link InvalidArgumentError} | {@link SchemaError} if it cannot begin
 */
export async function planSwitch(database: Queryable, { layout, model, options }: BeginInputs): Promise<SwitchTarget> {
  const { schema } = layout;
  const profiles = await readProfiles(database, schema);
  const from = await requireActiveProfile(database, schema);
  if (!from.recorded) {
    throw new SchemaError(
      "SWITCH_REFUSED",
      `Schema ${JSON.stringify(schema)} has no vectors yet: open it with the new model, whose first write records it`,
    );
  }
  const active = { ...layout, profileId: from.id, textSearch: from.textSearch };
  const { textSearch = from.textSearch ?? false } = options;
  const language = textSearch === false ? undefined : textSearch;
  const other = profiles.find(({ state }) => state !== "active");
  const catalog = await readCatalog(database, schema, other?.id ?? from.id);
  const { vectorIndex, recordedHnsw = DEFAULT_HNSW } = catalog;
  const { dimensions } = model.profile;
  const type = options.vectorIndex ?? fittingType(vectorIndex.next ?? vectorIndex.type, dimensions);
  if (dimensions > MAX_DIMENSIONS[type]) {
    throw new InvalidArgumentError(
      "vectorIndex",
      `is ${type}, which holds up to ${MAX_DIMENSIONS[type]} dimensions, but the new model has ${dimensions}`,
    );
  }
  const m = options.hnsw?.m ?? recordedHnsw.m;
  const efConstruction = options.hnsw?.efConstruction ?? Math.max(recordedHnsw.efConstruction, 2 * m);
  const target = (profileId: number): SwitchTarget => ({
    active,
    building: { ...layout, profileId, textSearch: language },
    from: { ...from, recorded: from.recorded ?? { model: "", queryPrefix: "", documentPrefix: "" } },
    vectorIndex: { type, dimensions, m, efConstruction },
    isContinued: other !== undefined,
  });
  if (other) {
    if (!isOf(other, model)) throw otherSwitch(schema, other);
    return target(other.id);
  }
  const isSame = isSameModel(from.recorded, model.profile) && from.dimensions === dimensions;
  if (isSame && !options.source && options.vectorIndex === undefined && language === from.textSearch) {
    throw new InvalidArgumentError(
      "embeddings",
      `is the model that the index uses already, ${JSON.stringify(model.profile.model)} with ${dimensions} dimensions`,
    );
  }
  return target(Math.max(...profiles.map(({ id }) => id)) + 1);
}

function isOf({ recorded, dimensions }: RecordedProfile, { profile }: Model): boolean {
  return recorded !== undefined && isSameModel(recorded, profile) && dimensions === profile.dimensions;
}

function otherSwitch(schema: string, { state, recorded, dimensions, createdAt }: RecordedProfile): SchemaError {
  const model = `${JSON.stringify(recorded?.model ?? "")} with ${dimensions} dimensions`;
  const what =
    state === "building"
      ? `is being switched to ${model}, since ${createdAt.toISOString()}: finish that switch, or discard it`
      : `keeps ${model}, which was used before: when it is not needed any more, drop it`;
  return new SchemaError("SWITCH_REFUSED", `Schema ${JSON.stringify(schema)} ${what} with index.retireModel()`);
}

function fittingType(type: VectorIndexType, dimensions: number): VectorIndexType {
  return dimensions <= MAX_DIMENSIONS[type] ? type : (widerType(dimensions) ?? type);
}

/**
 * Creates the profile of a switch, or continues with the one that is there. From then on every write is recorded.
 *
 * @throws {@link SchemaError} `INSUFFICIENT_PRIVILEGE` if the role does not own the tables
 * @throws {@link DatabaseError} `CONFLICT` if an open transaction keeps the tables locked; nothing has changed then
 */
export async function beginSwitch(parts: LockParts, inputs: BeginInputs): Promise<SwitchTarget> {
  return withShortLocks(parts, "the start of a switch of the model", async (client) => {
    await query(client, "switch-model", "SELECT pg_catalog.pg_advisory_xact_lock($1, pg_catalog.hashtext($2))", [
      LOCK_CLASS,
      inputs.layout.schema,
    ]);
    const target = await planSwitch(client, inputs); // again, now that nobody else begins one
    const names = namesOf(target.building);
    if (target.isContinued) {
      await query(client, "switch-model", sql.reviveProfile(names), [target.building.profileId]);
      return target;
    }
    await requireRights(client, target.active);
    await query(client, "switch-model", sql.lockTables(target.active));
    const { vectorIndex, building, active } = target;
    const { model, queryPrefix, documentPrefix } = inputs.model.profile;
    await query(client, "switch-model", sql.insertProfile(names), [
      ...[building.profileId, vectorIndex.dimensions, model, queryPrefix, documentPrefix],
      ...[vectorIndex.type, vectorIndex.m, vectorIndex.efConstruction, building.textSearch ?? null],
    ]);
    const statements = [
      ...sql.createProfile(active, { layout: building, vectorIndex }),
      plainIndexes.chunk_id(names),
      plainIndexes.chunk_metadata(names),
      `ALTER INDEX ${names.schema}.chunk_${building.profileId}_metadata SET (gin_pending_list_limit = ${PENDING_KILOBYTES})`,
      ...(building.textSearch === undefined ? [] : [indexLexemes(names), ...addLexemesTrigger(names)]),
    ];
    for (const statement of statements) await query(client, "switch-model", statement);
    await grantRights(client, target);
    return target;
  });
}

/** The lock of `migrate`, which does not run meanwhile. */
const LOCK_CLASS = 0x6c746978;

async function requireRights(client: Queryable, active: Layout): Promise<void> {
  const rows = await query<{ secured: string; may_create: string }>(client, "check-rights", sql.READ_TABLES, [
    active.schema,
    sql.tablesOf(active),
  ]);
  if (rows.some(({ may_create: may }) => may !== "true")) {
    throw new SchemaError(
      "INSUFFICIENT_PRIVILEGE",
      "The database role may not create the tables of another model: switch as the role that ran migrate",
    );
  }
  if (rows.some(({ secured }) => secured === "true")) {
    throw new SchemaError(
      "SWITCH_REFUSED",
      "A table of the index has row-level security, and its policies are not copied to the tables of another model: use a filter of the " +
        "index instead, or index the trainings in a new schema",
    );
  }
}

/** Gives the roles that may use the chunks of the active profile the same rights on the tables of the other one. */
async function grantRights(client: Queryable, { active, building }: SwitchTarget): Promise<void> {
  const { chunk, indexed } = namesOf(building);
  const grants = await query<{ privilege: string; role: string }>(client, "switch-model", sql.READ_GRANTS, [
    namesOf(active).chunk,
  ]);
  for (const { privilege, role } of grants) {
    await query(client, "switch-model", `GRANT ${privilege} ON ${chunk}, ${indexed} TO ${role}`);
  }
  const readers = [...new Set(grants.filter(({ privilege }) => privilege === "SELECT").map(({ role }) => role))];
  for (const role of readers) {
    await query(client, "switch-model", `GRANT SELECT ON ${namesOf(building).behind} TO ${role}`);
  }
}
