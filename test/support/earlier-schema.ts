import type { MigrateOptions } from "langchain-training-index/migrations";
import { migrationTableStatement, recordStatement, schemaStatement } from "../../src/migrations/bootstrap.js";
import { migrations } from "../../src/migrations/list.js";
import { planMigration } from "../../src/migrations/options.js";
import { uniqueName, type TestDatabase } from "./databases.js";
import { DIMENSIONS, dropAtEnd } from "./index.js";

/** A schema as the first version of the library created it. */
export async function schemaAtVersionOne({ owner }: TestDatabase, options: MigrateOptions = {}): Promise<string> {
  const schema = uniqueName();
  dropAtEnd(owner, schema);
  const plan = planMigration({ dimensions: DIMENSIONS, ...options, schema });
  const [first] = migrations;
  if (!first) throw new Error("there is a first migration");
  const statements = [
    schemaStatement(plan.names),
    migrationTableStatement(plan.names),
    ...first.statements(plan),
    recordStatement(first, plan.names),
  ];
  await owner.query(statements.join(";\n"));
  return schema;
}
