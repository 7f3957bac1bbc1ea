/** The worker's task: brings the index in step with the current state of one row of the host's table. */
import type { Queryable, TrainingIndex } from "langchain-training-index";
import type pg from "pg";

/** State of the training in the index. `changed`: nothing was stored, as the row's last write has enqueued another job. */
export type IndexingOutcome = "indexed" | "absent" | "changed";

/** The columns that decide a row's vectors, which the triggers watch, and the flag. */
interface TrainingRow {
  tag: string;
  grupo: string;
  conteudo: string;
  treinamento_finalizado: boolean;
  treinamento_vetorizado: boolean;
}

/**
 * Safe to run twice, concurrently, late or in the wrong order, and to be killed at any point.
 *
 * @throws what the index throws, and an error if another call has overtaken this one: the job must then be retried
 */
export async function indexTraining(
  pool: pg.Pool,
  index: TrainingIndex,
  id: number,
  signal?: AbortSignal,
): Promise<IndexingOutcome> {
  const row = await readRow(pool, id);
  return row?.treinamento_finalizado ? store(pool, index, id, row, signal) : remove(pool, index, id);
}

async function store(
  pool: pg.Pool,
  index: TrainingIndex,
  id: number,
  row: TrainingRow,
  signal: AbortSignal | undefined,
): Promise<IndexingOutcome> {
  // Embedding takes time, so it happens before the transaction: no lock is held meanwhile.
  const prepared = await index.prepareTraining(
    { id, content: row.conteudo, metadata: { tag: row.tag, grupo: row.grupo } },
    { signal },
  );
  return inTransaction(pool, async (client) => {
    // No writer can change the row from here to COMMIT, which takes milliseconds.
    const now = await readRow(client, id, "FOR NO KEY UPDATE");
    if (!now || !isSame(now, row)) return "changed";
    const { status, chunks } = await prepared.commit(client);
    if (status !== "superseded") {
      // A blank text has no chunks, and therefore no vectors.
      await client.query("SELECT training_trigger.set_flag($1, $2)", [id, chunks > 0]);
    } else if (!now.treinamento_vetorizado) {
      // A later call stored something that does not match the row. A retry starts later still, and so it wins.
      throw new Error(
        `training ${id}: a later call has replaced it in the index, and its vectors are missing; the retry stores them`,
      );
    }
    return "indexed";
  });
}

async function remove(pool: pg.Pool, index: TrainingIndex, id: number): Promise<IndexingOutcome> {
  return inTransaction(pool, async (client) => {
    const row = await readRow(client, id, "FOR NO KEY UPDATE");
    if (row?.treinamento_finalizado) return "changed";
    if (row) await client.query("SELECT training_trigger.set_flag($1, false)", [id]);
    await index.deleteTraining(id, { client });
    // A missing row cannot be locked: if the id was inserted again meanwhile, its vectors must stay.
    if (!row && (await readRow(client, id))) return "changed";
    return "absent";
  });
}

async function readRow(database: Queryable, id: number, lock = ""): Promise<TrainingRow | undefined> {
  const { rows } = await database.query(
    `SELECT tag, grupo, conteudo, treinamento_finalizado, treinamento_vetorizado
      FROM public.oraculo_treinamento WHERE id = $1 ${lock}`,
    [id],
  );
  return rows[0] as TrainingRow | undefined;
}

function isSame(now: TrainingRow, before: TrainingRow): boolean {
  return (
    now.treinamento_finalizado === before.treinamento_finalizado &&
    now.conteudo === before.conteudo &&
    now.tag === before.tag &&
    now.grupo === before.grupo
  );
}

/** Commits what `body` did; rolls back if it throws or finds the row changed. */
async function inTransaction(
  pool: pg.Pool,
  body: (client: pg.PoolClient) => Promise<IndexingOutcome>,
): Promise<IndexingOutcome> {
  const client = await pool.connect();
  let failure: Error | undefined;
  try {
    // Not the server's default: after waiting for a lock, the newest version of the row must be read.
    await client.query("BEGIN ISOLATION LEVEL READ COMMITTED");
    const outcome = await body(client);
    await client.query(outcome === "changed" ? "ROLLBACK" : "COMMIT");
    return outcome;
  } catch (error) {
    await client.query("ROLLBACK").catch((broken: unknown) => {
      failure = broken as Error; // the connection is unusable
    });
    throw error;
  } finally {
    client.release(failure);
  }
}
