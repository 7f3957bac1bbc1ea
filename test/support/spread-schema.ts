import type { MigrateOptions } from "langchain-training-index/migrations";
import type pg from "pg";
import { createFunctions } from "../../src/storing/distributed-functions.js";
import { namesOf, type CitusMode, type Layout } from "../../src/schema/layout.js";
import { forModel, readSchemaState, versionOf, type SchemaState } from "../../src/schema/schema-state.js";
import { uniqueName, type TestDatabase } from "./databases.js";
import { migratedSchema } from "./index.js";

/**
 * The tables of a schema on one server, with the functions that such a schema has on a Citus cluster. The statements for spread trainings can run
 * on them, except those that need Citus: what they return and change has to be the same as with the statements for one server. That Citus runs
 * them on shards is what the tests on a cluster show.
 */
export interface SpreadSchema {
  schema: string;
  /** What a process knows of the schema as it is. */
  local: () => Promise<SchemaState>;
  /** The same, as if a cluster held it. */
  spread: () => Promise<SchemaState>;
}

/** A name that breaks statements which do not quote it, or take a part of it for a parameter or for a mark of ours. */
export function hostileName(): string {
  return uniqueName(`it's "$1" $guard \\ $$`);
}

/** A schema with such functions, dropped when the test ends. */
export async function spreadSchema(
  database: TestDatabase,
  { citus = "tables", ...options }: MigrateOptions = {},
): Promise<SpreadSchema> {
  const schema = await migratedSchema(database, { ...options, schema: hostileName() });
  const local = async (): Promise<SchemaState> => {
    const state = await readSchemaState(database.pool, { schema });
    return forModel(state, state.recorded);
  };
  await createOnServer(database.owner, { ...(await local()).layout, citus });
  return { schema, local, spread: async () => asSpread(database.pool, await local(), citus) };
}

/** Creates the functions, without making them known to Citus. */
async function createOnServer(owner: pg.Pool, layout: Layout & { citus: CitusMode }): Promise<void> {
  const statements = createFunctions({ ...layout, names: namesOf(layout) });
  for (const text of statements.filter((statement) => statement.startsWith("CREATE"))) await owner.query(text);
}

async function asSpread(pool: pg.Pool, state: SchemaState, citus: CitusMode): Promise<SchemaState> {
  const layout: Layout = { ...state.layout, citus };
  const { rows } = await pool.query<{ version: string }>(versionOf(layout, state.chunkOid));
  const version = rows[0]?.version ?? "";
  const claim = state.version.length - state.unclaimedVersion.length;
  return forModel(
    { ...state, layout, version, unclaimedVersion: version.slice(0, version.length - claim) },
    state.recorded,
  );
}
