import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { migrate } from "langchain-training-index/migrations";
import { runMigrations } from "graphile-worker";
import type pg from "pg";
import { expect, it, onTestFinished } from "vitest";
import { djangoMigration, djangoSql } from "../../examples/postgres-trigger/django-sql.js";
import { tableSql } from "../../examples/postgres-trigger/sql.js";
import { bundleProgram } from "../support/bundle.js";
import { describeOnServer, requireServerUrl, uniqueName } from "../support/databases.js";
import { newcomersEnvironment } from "../support/environment.js";
import { FIVE_PARAGRAPHS, inHostTransaction, until } from "../support/index.js";
import {
  clearJobs,
  expectInStep,
  insertTraining,
  isWaiting,
  openDatabase,
  openHost,
  readFlags,
  readJobs,
  runWaitingJobs,
} from "./postgres-trigger-host.js";

const TEXT = "Entregamos em três dias úteis.";

describeOnServer("Recipe postgres-trigger: what a write enqueues", () => {
  it("an insert, an edit and a delete in one transaction enqueue one job at COMMIT", async () => {
    const { pool } = await openHost();
    await inHostTransaction(pool, "COMMIT", async (client) => {
      const id = await insertTraining(client as pg.PoolClient, TEXT);
      await client.query("UPDATE oraculo_treinamento SET conteudo = 'Entregamos em dois dias.' WHERE id = $1", [id]);
      await client.query("DELETE FROM oraculo_treinamento WHERE id = $1", [id]);
      expect(await readJobs(pool)).toEqual([]);
    });
    expect(await readJobs(pool)).toEqual(["training:1"]);
  });

  it("a rollback enqueues nothing", async () => {
    const { pool } = await openHost();
    await insertTraining(pool, TEXT);
    await clearJobs(pool);
    await inHostTransaction(pool, "ROLLBACK", async (client) => {
      await client.query("UPDATE oraculo_treinamento SET conteudo = 'outro'");
      await insertTraining(client as pg.PoolClient, TEXT);
    });
    expect(await readJobs(pool)).toEqual([]);
  });

  it.each(["conteudo = 'Outro texto.'", "tag = 'frete'", "grupo = 'loja'", "treinamento_finalizado = false"])(
    "an update to %s enqueues a job, and the flag is false until the worker has run",
    async (change) => {
      const host = await openHost();
      const id = await insertTraining(host.pool, TEXT);
      await runWaitingJobs(host);
      expect(await readFlags(host.pool)).toEqual({ [id]: true });
      await host.pool.query(`UPDATE oraculo_treinamento SET ${change}`);
      expect(await readJobs(host.pool)).toEqual([`training:${id}`]);
      expect(await readFlags(host.pool)).toEqual({ [id]: false });
    },
  );

  it("an update of dates, or to the same values, enqueues nothing and keeps the flag", async () => {
    const host = await openHost();
    const id = await insertTraining(host.pool, TEXT);
    await runWaitingJobs(host);
    await host.pool.query("UPDATE oraculo_treinamento SET data_atualizacao = now()");
    await host.pool.query(
      "UPDATE oraculo_treinamento SET conteudo = conteudo, tag = tag, treinamento_finalizado = true",
    );
    expect(await readJobs(host.pool)).toEqual([]);
    expect(await readFlags(host.pool)).toEqual({ [id]: true });
  });

  it("a writer that saves the whole row with an outdated flag does not change the flag", async () => {
    const host = await openHost();
    const save = "UPDATE oraculo_treinamento SET conteudo = $1, treinamento_vetorizado = $2";
    const id = await insertTraining(host.pool, TEXT);
    await host.pool.query(save, [TEXT, true]);
    expect(await readFlags(host.pool), "no vectors yet").toEqual({ [id]: false });
    await runWaitingJobs(host);
    await host.pool.query(save, [TEXT, false]);
    expect(await readFlags(host.pool), "vectors of this text").toEqual({ [id]: true });
    await host.pool.query(save, ["Outro texto.", true]);
    expect(await readFlags(host.pool), "vectors of the previous text").toEqual({ [id]: false });
  });

  it("TRUNCATE enqueues a job for each training that could have vectors", async () => {
    const host = await openHost();
    for (const text of [TEXT, FIVE_PARAGRAPHS]) await insertTraining(host.pool, text);
    await insertTraining(host.pool, "rascunho", false);
    await runWaitingJobs(host);
    await host.pool.query("TRUNCATE oraculo_treinamento RESTART IDENTITY");
    expect(await readJobs(host.pool)).toEqual(["training:1", "training:2"]);
    await insertTraining(host.pool, "Outro texto com o mesmo número.");
    await runWaitingJobs(host);
    await expectInStep(host.pool);
  });

  it("a role with rights on the table only can still write to it", async () => {
    const { pool } = await openHost();
    const role = uniqueName("writer");
    await pool.query(
      `CREATE ROLE ${role}; GRANT INSERT, SELECT, UPDATE, DELETE, TRUNCATE ON oraculo_treinamento TO ${role}`,
    );
    onTestFinished(async () => {
      await pool.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    });
    await inHostTransaction(pool, "COMMIT", async (client) => {
      await client.query(`SET LOCAL ROLE ${role}`);
      await client.query("SET LOCAL search_path = pg_temp");
      const insert = "INSERT INTO public.oraculo_treinamento (tag, grupo, conteudo) VALUES ('a', 'b', 'c')";
      await client.query(`${insert}, ('d', 'e', 'f'), ('g', 'h', 'i')`);
      await client.query("UPDATE public.oraculo_treinamento SET treinamento_finalizado = true WHERE id = 1");
      await client.query("DELETE FROM public.oraculo_treinamento WHERE id = 2");
      await client.query("TRUNCATE public.oraculo_treinamento");
    });
    expect((await readJobs(pool)).sort()).toEqual(["training:1", "training:2", "training:3"]);
  });

  it("an edit is not lost if a worker takes the training's job at that moment", async () => {
    // graphile/worker#580: add_job finds the job free, waits for its row, finds it taken, and does nothing.
    const { pool } = await openHost();
    const id = await insertTraining(pool, TEXT);
    let edit: Promise<unknown> | undefined;
    await inHostTransaction(pool, "COMMIT", async (client) => {
      await client.query(
        "UPDATE graphile_worker._private_jobs SET locked_by = 'worker', locked_at = now(), attempts = 1",
      );
      edit = pool.query("UPDATE oraculo_treinamento SET conteudo = 'Outro texto.' WHERE id = $1", [id]);
      await until(() => isWaiting(pool));
    });
    await edit;
    expect(await readJobs(pool)).toEqual([null, `training:${id}`]);
  });
});

describeOnServer("Recipe postgres-trigger: deployment", () => {
  it("the backfill indexes an existing table, whatever its flags", async () => {
    const host = await openHost({ idType: "integer" }, async (pool) => {
      for (const text of [TEXT, FIVE_PARAGRAPHS, "  "]) await insertTraining(pool, text);
      await insertTraining(pool, "rascunho", false);
      await pool.query("UPDATE oraculo_treinamento SET treinamento_vetorizado = true WHERE id IN (1, 4)");
    });
    expect(await readJobs(host.pool)).toEqual([]);
    const { rows } = await host.pool.query("SELECT training_trigger.enqueue_all() AS enqueued");
    expect(rows).toEqual([{ enqueued: "4" }]);
    expect(await readFlags(host.pool)).toEqual({ 1: false, 2: false, 3: false, 4: false });
    await runWaitingJobs(host);
    await expectInStep(host.pool);
    expect(await readFlags(host.pool)).toEqual({ 1: true, 2: true, 3: false, 4: false });
  });

  it("an edit during a backfill is indexed before the backfill", async () => {
    const { pool } = await openHost();
    for (let count = 0; count < 3; count++) await insertTraining(pool, TEXT);
    await pool.query("SELECT training_trigger.enqueue_all()");
    await pool.query("UPDATE oraculo_treinamento SET conteudo = 'Outro texto.' WHERE id = 3");
    const { rows } = await pool.query("SELECT key FROM graphile_worker.jobs ORDER BY priority, run_at LIMIT 1");
    expect(rows).toEqual([{ key: "training:3" }]);
  });

  it("the SQL for Django applies, reverses and applies again", async () => {
    const { pool } = await openDatabase();
    await pool.query(tableSql);
    const id = await insertTraining(pool, TEXT);
    const { forward, reverse } = djangoSql();
    const before = await listSchemas(pool);
    await expect(pool.query(forward)).rejects.toMatchObject({
      message: "graphile_worker.add_job is missing",
      hint: expect.stringContaining("npx graphile-worker --schema-only") as unknown,
    });
    expect(await listSchemas(pool)).toEqual(before);

    await runMigrations({ pgPool: pool });
    const between = await listSchemas(pool);
    await pool.query(forward);
    expect(await readJobs(pool)).toEqual([`training:${id}`]);
    await pool.query("SELECT training_trigger.set_flag($1, true)", [id]);
    await pool.query(reverse);
    expect(await listSchemas(pool)).toEqual(between);
    expect(await readJobs(pool)).toEqual([]);
    expect(await readFlags(pool)).toEqual({ [id]: false });
    await pool.query("UPDATE oraculo_treinamento SET conteudo = 'sem gatilhos'");
    expect(await readJobs(pool)).toEqual([]);

    await pool.query(forward);
    expect(await readJobs(pool)).toEqual([`training:${id}`]);
    expect(await migrate(pool, { idType: "integer" })).toMatchObject({ applied: [] });
  });

  it("the migration for Django contains that SQL unchanged", () => {
    const file = djangoMigration(["oraculo", "0007_treinamento"]);
    const [, forward, reverse] = /^FORWARD = r"""\n(.*?)"""\n\nREVERSE = r"""\n(.*?)"""$/ms.exec(file) ?? [];
    expect({ forward, reverse }).toEqual(djangoSql());
    expect(file).toContain('dependencies = [("oraculo", "0007_treinamento")]');
    expect(file).toContain("migrations.RunSQL(FORWARD, REVERSE)");
  });
});

describeOnServer("the example postgres-trigger", () => {
  it("runs to its end", async () => {
    const program = await bundleProgram(new URL("../../examples/postgres-trigger/main.ts", import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, [program], {
      env: newcomersEnvironment({ DATABASE_URL: requireServerUrl() }),
    });
    expect(stdout).toMatch(/│ 5 +│ clube +│ sim +│ não +│ 1 +│\n.*\n +waiting jobs: 1\n +COMMIT/);
    expect(stdout).toContain("found: O Clube Girassol custa R$ 89,00 por mês");
    expect(stdout).toContain("trainings that can be found: [ 1, 3, 5 ]");
    expect(stdout).toMatch(/worker stopped\n$/);
  });
});

async function listSchemas(pool: pg.Pool): Promise<unknown> {
  const { rows } = await pool.query<{ schemas: unknown }>(
    `SELECT array_agg(nspname::text ORDER BY nspname) AS schemas FROM pg_namespace WHERE nspname !~ '^pg_(toast_)?temp'`,
  );
  return rows[0]?.schemas;
}
