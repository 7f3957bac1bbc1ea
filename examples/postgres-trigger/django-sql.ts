import { migrationSql } from "langchain-training-index/migrations";
import { triggerDownSql, triggerSql } from "./sql.js";

/** The way there and the way back, as Django's `RunSQL` takes them. Each is to be run in one transaction. */
export interface DjangoSql {
  forward: string;
  reverse: string;
}

/** The index, the triggers, and a job for every row that stands. graphile-worker's own migrations come before it. */
export function djangoSql(): DjangoSql {
  return {
    forward: [
      migrationSql({ idType: "integer" }),
      triggerSql,
      "SELECT training_trigger.enqueue_all();\n",
    ].join("\n"),
    // The schema is the library's own: nothing of the host's lies in it. pgvector stays, others may use it.
    reverse: `${triggerDownSql}DROP SCHEMA training_index CASCADE;\n`,
  };
}

/** A whole migration of Django's. @param dependency - the app, and its migration that comes before */
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

/** A Python literal in which a backslash is a backslash. */
function rawString(sql: string): string {
  if (sql.includes('"""')) throw new Error("the SQL cannot stand between three quotes");
  return `r"""\n${sql}"""`;
}
