import { SchemaError } from "../errors.js";
import { readCatalog, readMigrations, refuseNewerSchema, requireExtension } from "../schema/catalog.js";
import { readCluster, refuseWorker } from "../schema/citus.js";
import { damagedSchema, affectsSpeedOnly, readDamage } from "../schema/damage.js";
import type { DatabasePool } from "../postgres/database.js";
import { SCHEMA_VERSION, type CitusMode } from "../schema/layout.js";
import { refuseSettings } from "../postgres/settings.js";

/**
 * Checks the schema before anything is read from it or written to it. `Models` checks the model.
 *
 * @returns how a Citus cluster holds it; `undefined` for tables of the server itself
 * @throws {@link SchemaError} if it is not migrated, or damaged
 */
export async function checkSchema(pool: DatabasePool, schema: string): Promise<CitusMode | undefined> {
  const catalog = await readCatalog(pool, schema);
  refuseSettings(catalog.settings);
  const cluster = catalog.hasCitus ? await readCluster(pool, schema) : undefined;
  if (cluster) refuseWorker(cluster);
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
  return cluster?.mode;
}
