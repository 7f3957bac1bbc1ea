import { readFile } from "node:fs/promises";
import { migrationSql } from "langchain-training-index/migrations";
import type pg from "pg";

/** The statements of one of the SQL files beside this one. */
export function readSql(name: "host-table" | "trigger" | "trigger-undo" | "backfill"): Promise<string> {
  return readFile(new URL(`${name}.sql`, import.meta.url), "utf8");
}

/** Enqueues all trainings that are finalised: in one transaction, so that the flags and the jobs are those of one moment. */
export async function backfill(pool: pg.Pool): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query(`BEGIN; ${await readSql("backfill")}; COMMIT`);
  } finally {
    client.release();
  }
}

/** A migration for Django that makes the schema of the index and the trigger, and takes the trigger away again. */
export async function djangoMigration(): Promise<string> {
  const index = migrationSql({ idType: "integer", textSearch: "portuguese" });
  return `from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("oraculo", "0001_initial")]

    operations = [
        migrations.RunSQL(${pythonText(index)}, migrations.RunSQL.noop),
        migrations.RunSQL(${pythonText(await readSql("trigger"))}, ${pythonText(await readSql("trigger-undo"))}),
    ]
`;
}

/** Django has \`%\` in SQL as it is where there are no parameters. */
function pythonText(sql: string): string {
  return `r"""\n${sql.trim()}\n"""`;
}
