import { migrationSql } from "langchain-training-index/migrations";
import { triggerDownSql, triggerSql } from "./sql.js";

/** The SQL to migrate forward and back, for Django's `RunSQL`. Run each in one transaction. */
export interface DjangoSql {
  forward: string;
  reverse: string;
}

/** Creates the index, the triggers, and a job for every existing row. Run graphile-worker's own migrations first. */
export function djangoSql(): DjangoSql {
  return {
    forward: [migrationSql({ idType: "integer" }), triggerSql, "SELECT training_trigger.enqueue_all();\n"].join("\n"),
    // The schema holds nothing of the host's. The extension stays, because others may use it.
    reverse: `${triggerDownSql}DROP SCHEMA training_index CASCADE;\n`,
  };
}

/** A complete Django migration. @param dependency - the app, and its preceding migration */
export function djangoMigration(dependency: readonly [app: string, migration: string]): string {
  const { forward, reverse } = djangoSql();
  return `from django.db import migrations

FORWARD = ${rawString(forward)}

REVERSE = ${rawString(reverse)}


class Migration(migrations.Migration):
    dependencies = [(${dependency.map((name) => JSON.stringify(name)).join(", ")})]
    operations = [migrations.RunSQL(FORWARD, REVERSE)]
`;
}

/** A Python raw string, in which a backslash is a backslash. */
function rawString(sql: string): string {
  if (sql.includes('"""')) throw new Error('the SQL must not contain """, which would end the Python string');
  return `r"""\n${sql}"""`;
}
