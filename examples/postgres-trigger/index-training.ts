/** The one task of the worker: brings the index in step with one row of the host's, as it is now. */
import type { Queryable, TrainingIndex } from "langchain-training-index";
import type pg from "pg";

/** How the training stands in the index now. After `changed` another job is on its way: the write that came between has enqueued it. */
export type IndexingOutcome = "indexed" | "absent" | "changed";

/** What of a row decides its vectors: the columns that the triggers watch. */
interface TrainingRow {
  tag: string;
  grupo: string;
  conteudo: string;
  treinamento_finalizado: boolean;
  treinamento_vetorizado: boolean;
}

/**
 * Safe to run twice, at once, late or in the wrong order, and to be killed anywhere.
 *
 * @throws what the index throws, and when another call has overtaken this one: the job is then to be tried again
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
  // Embedding takes time, and nobody waits for it: no transaction is open yet.
  const prepared = await index.prepareTraining(
    { id, content: row.conteudo, metadata: { tag: row.tag, grupo: row.grupo } },
    { signal },
  );
  return inTransaction(pool, async (client) => {
    // From here to COMMIT no writer can change the row. It takes milliseconds.
    const now = await readRow(client, id, "FOR NO KEY UPDATE");
    if (!now || !isSame(now, row)) return "changed";
    const { status, chunks } = await prepared.commit(client);
    if (status !== "superseded") {
      // A blank text has no chunks, and so no vectors.
      await client.query("SELECT training_trigger.set_flag($1, $2)", [id, chunks > 0]);
    } else if (!now.treinamento_vetorizado) {
      // Something else wrote to the index, and not what the row says. A new try starts later, and so it wins.
      throw new Error(`training ${id} was overtaken in the index, and its vectors are not there`);
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
    // What is not there cannot be locked: when the id was inserted again meanwhile, its vectors must stay.
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

/** Commits what `body` did, unless the row has changed: then nothing of it stays. */
async function inTransaction(
  pool: pg.Pool,
  body: (client: pg.PoolClient) => Promise<IndexingOutcome>,
): Promise<IndexingOutcome> {
  const client = await pool.connect();
  let failure: Error | undefined;
  try {
    // READ COMMITTED by name, whatever the server's default: what is read after a wait for a lock must be the newest.
    await client.query("BEGIN ISOLATION LEVEL READ COMMITTED");
    const outcome = await body(client);
    await client.query(outcome === "changed" ? "ROLLBACK" : "COMMIT");
    return outcome;
  } catch (error) {
    await client.query("ROLLBACK").catch((broken: unknown) => {
      failure = broken as Error; // the connection is of no more use
    });
    throw error;
  } finally {
    client.release(failure);
  }
}
