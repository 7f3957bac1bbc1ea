import { readCatalog, readMigrations } from "../schema/catalog.js";
import { nameOf, readDamage } from "../schema/damage.js";
import type { Queryable } from "../postgres/database.js";
import { migrateCall, type Layout } from "../schema/layout.js";
import { vectorIndexName } from "../schema/vector-index.js";
import { query } from "../postgres/database.js";
import { readProfileTables } from "./check-sql.js";
import type { SchemaProblem } from "./drift.js";

/** Finds missing and invalid parts of the schema, and tables of profiles that are not in use. */
export async function readSchemaProblems(database: Queryable, layout: Layout): Promise<SchemaProblem[]> {
  const { schema, profileId } = layout;
  const remedy = `run ${migrateCall(schema)}`;
  const { vectorIndex } = await readCatalog(database, schema, profileId);
  const { version } = await readMigrations(database, schema);
  const { missing } = await readDamage(database, schema, version);
  const problems = missing.map((part) => ({ part: nameOf(part), problem: `is missing or invalid: ${remedy}` }));
  if (vectorIndex.state !== "valid") {
    const problem =
      vectorIndex.state === "building"
        ? "is being built: until then searches compare all chunks"
        : `is ${vectorIndex.state}, so searches compare all chunks: ${remedy}`;
    problems.push({ part: `index ${vectorIndexName(profileId, vectorIndex.type)}`, problem });
  }
  const tables = await query<{ name: string; status: string | null }>(
    database,
    "read-profile-tables",
    readProfileTables(layout),
    [schema],
  );
  for (const { name, status } of tables) {
    // Those of a model that is built, or was in use before, are reported by the status.
    if (status !== null) continue;
    problems.push({ part: `table ${name}`, problem: "belongs to no profile: drop it if nothing uses it" });
  }
  return problems;
}
