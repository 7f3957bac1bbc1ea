import { TrainingIndex } from "langchain-training-index";
import type pg from "pg";
import { expect, it } from "vitest";
import { indexTraining } from "../../examples/postgres-trigger/index-training.js";
import { releaseDeadWorkers } from "../../examples/postgres-trigger/live-workers.js";
import { INDEX_TRAINING } from "../../examples/postgres-trigger/start-worker.js";
import { describeOnServer } from "../support/databases.js";
import { FIVE_PARAGRAPHS, gateOf, inHostTransaction, until } from "../support/index.js";
import {
  expectInStep,
  insertTraining,
  isWaiting,
  openHost,
  readFlags,
  readJobs,
  startWorker,
  untilDone,
  runWaitingJobs,
  type Host,
} from "./postgres-trigger-host.js";

const TEXT = "Entregamos em três dias úteis.";

/** A worker that is embedding the first training; `release` lets it continue. */
async function startHeldWorker(host: Host): Promise<{ release: () => void; failures: unknown[] }> {
  const gate = gateOf();
  const reached = gateOf();
  host.embeddings.before = () => {
    reached.resolve();
    return gate.promise;
  };
  const { failures } = await startWorker(host);
  await reached.promise;
  return { release: gate.resolve, failures };
}

describeOnServer("Recipe postgres-trigger: the worker", () => {
  it("retries a job whose embedder failed; the flag is false until it succeeds", async () => {
    const host = await openHost();
    host.embeddings.before = () => {
      throw new Error("Ollama is down");
    };
    const id = await insertTraining(host.pool, TEXT);
    const { failures } = await startWorker(host);
    await until(() => failures.length === 1);
    expect(failures).toMatchObject([{ code: "EMBEDDING_FAILED", cause: new Error("Ollama is down") }]);
    expect(await readFlags(host.pool)).toEqual({ [id]: false });
    host.embeddings.before = () => undefined;
    await untilDone(host.pool);
    await expectInStep(host.pool);
    expect(host.embeddings.calls).toBe(2);
  });

  it("never gives up: a job that failed 25 times is retried", async () => {
    const host = await openHost();
    await insertTraining(host.pool, TEXT);
    await host.pool.query("UPDATE graphile_worker._private_jobs SET attempts = 25");
    await runWaitingJobs(host);
    await expectInStep(host.pool);
  });

  it.each([
    ["edited", "UPDATE oraculo_treinamento SET conteudo = 'Entregamos em dois dias.'"],
    ["renamed", "UPDATE oraculo_treinamento SET tag = 'frete'"],
    ["reverted to a draft", "UPDATE oraculo_treinamento SET treinamento_finalizado = false"],
    ["deleted", "DELETE FROM oraculo_treinamento"],
    ["truncated", "TRUNCATE oraculo_treinamento"],
  ])("stores nothing of a text that is %s while it is embedded", async (_title, write) => {
    const host = await openHost();
    await insertTraining(host.pool, TEXT);
    const { release, failures } = await startHeldWorker(host);
    await inHostTransaction(host.pool, "COMMIT", async (client) => {
      await client.query(write);
      // The running job has lost its key to a new job.
      expect(await readJobs(client as pg.PoolClient)).toEqual([null, "training:1"]);
    });
    release();
    await untilDone(host.pool);
    await expectInStep(host.pool);
    expect(failures).toEqual([]);
  });

  it("commits vectors and flag together, and waits for a writer that locks the row", async () => {
    const host = await openHost();
    const id = await insertTraining(host.pool, FIVE_PARAGRAPHS);
    let indexing: Promise<unknown> | undefined;
    await inHostTransaction(host.pool, "COMMIT", async (client) => {
      await client.query("SELECT FROM oraculo_treinamento WHERE id = $1 FOR UPDATE", [id]);
      indexing = indexTraining(host.pool, host.index, id);
      await until(() => isWaiting(host.pool));
      expect(await host.index.similar("loja")).toEqual([]);
      await client.query("UPDATE oraculo_treinamento SET conteudo = 'Outro texto.' WHERE id = $1", [id]);
    });
    expect(await indexing).toBe("changed");
    expect(await indexTraining(host.pool, host.index, id)).toBe("indexed");
    await expectInStep(host.pool);
  });

  it("does not delete a training whose id is inserted again meanwhile", async () => {
    const host = await openHost();
    const id = await insertTraining(host.pool, TEXT);
    await runWaitingJobs(host);
    await host.pool.query("DELETE FROM oraculo_treinamento");
    let removing: Promise<unknown> | undefined;
    await inHostTransaction(host.pool, "COMMIT", async (client) => {
      // This lock stops the delete after it has read the host's table.
      await client.query("SELECT FROM training_index.training WHERE id = $1 FOR UPDATE", [id]);
      removing = indexTraining(host.pool, host.index, id);
      await until(() => isWaiting(host.pool));
      await host.pool.query(
        `INSERT INTO oraculo_treinamento (id, tag, grupo, conteudo, treinamento_finalizado)
          VALUES ($1, 'frete', 'loja', 'Frete grátis.', true)`,
        [id],
      );
    });
    expect(await removing).toBe("changed");
    await runWaitingJobs(host);
    await expectInStep(host.pool);
  });

  it("retries if the training is deleted from the index while it is embedded", async () => {
    const host = await openHost();
    const id = await insertTraining(host.pool, TEXT);
    host.embeddings.before = async () => {
      await host.index.deleteTraining(id);
    };
    await expect(indexTraining(host.pool, host.index, id)).rejects.toThrow("a later call has replaced it");
    expect(await readFlags(host.pool)).toEqual({ [id]: false });
    host.embeddings.before = () => undefined;
    await runWaitingJobs(host);
    await expectInStep(host.pool);
  });

  it("keeps the flag true for a training that another worker indexed meanwhile", async () => {
    const host = await openHost();
    const id = await insertTraining(host.pool, TEXT);
    const other = await TrainingIndex.initialize(host.embeddings, { pool: host.pool });
    host.embeddings.before = async () => {
      host.embeddings.before = () => undefined;
      expect(await indexTraining(host.pool, other, id)).toBe("indexed");
    };
    expect(await indexTraining(host.pool, host.index, id)).toBe("indexed");
    await runWaitingJobs(host);
    await expectInStep(host.pool);
  });

  it("takes over the job of a dead worker, but not that of a live one", async () => {
    const host = await openHost();
    await insertTraining(host.pool, TEXT);
    const { release } = await startHeldWorker(host);
    expect(await releaseDeadWorkers(host.pool, [INDEX_TRAINING])).toEqual([]);
    await host.pool.query("UPDATE graphile_worker._private_jobs SET locked_by = 'of a killed process'");
    expect(await releaseDeadWorkers(host.pool, [INDEX_TRAINING])).toEqual(["of a killed process"]);
    release();
    await untilDone(host.pool);
    await expectInStep(host.pool);
  });

  it("stops by itself after losing the connection that proves it alive", async () => {
    const host = await openHost();
    const { stopped } = await startWorker(host);
    const lost = `SELECT pg_terminate_backend(pid) FROM (SELECT DISTINCT pid FROM pg_locks JOIN pg_database d ON d.oid = database
      WHERE locktype = 'advisory' AND datname = current_database()) AS live`;
    await until(async () => (await host.pool.query(lost)).rowCount === 1);
    await stopped;
    await insertTraining(host.pool, TEXT);
    await runWaitingJobs(host);
    await expectInStep(host.pool);
  });

  it("works with the foreign key too: a delete removes the vectors, and TRUNCATE needs CASCADE", async () => {
    const host = await openHost({ trainings: { table: "oraculo_treinamento" } });
    await insertTraining(host.pool, TEXT);
    await insertTraining(host.pool, FIVE_PARAGRAPHS);
    await runWaitingJobs(host);
    await host.pool.query("DELETE FROM oraculo_treinamento WHERE id = 2");
    await expectInStep(host.pool);
    await expect(host.pool.query("TRUNCATE oraculo_treinamento")).rejects.toMatchObject({ code: "0A000" });
    await host.pool.query("TRUNCATE oraculo_treinamento CASCADE");
    await runWaitingJobs(host);
    await expectInStep(host.pool);
  });
});
