import type { TrainingIndex } from "langchain-training-index";
import type pg from "pg";

/** What of a row decides its vectors. */
interface Row {
  tag: string;
  grupo: string;
  conteudo: string;
  treinamento_finalizado: boolean;
}

const READ_ROW = "SELECT tag, grupo, conteudo, treinamento_finalizado FROM oraculo_treinamento WHERE id = $1";

/**
 * Brings the vectors of one training to what its row says, and the flag with them, in one transaction. Where the row
 * changes in the meantime nothing is done: the change has made a job of its own.
 */
export async function syncTraining(pool: pg.Pool, index: TrainingIndex, id: number): Promise<void> {
  const row = await readRow(pool, id);
  if (row?.treinamento_finalizado) {
    // Embeds, which takes time: before the transaction.
    const { tag, grupo, conteudo } = row;
    const prepared = await index.prepareTraining({ id, content: conteudo, metadata: { tag, grupo } });
    await inTransaction(pool, async (client) => {
      if (!isSame(row, await readRow(client, id, "FOR UPDATE"))) return;
      const { status } = await prepared.commit(client);
      // Superseded: the row was another one in between, and is this one again. That has made a job, too.
      if (status !== "superseded") await setFlag(client, id, true);
    });
  } else {
    await inTransaction(pool, async (client) => {
      if ((await readRow(client, id, "FOR UPDATE"))?.treinamento_finalizado) return;
      await index.deleteTraining(id, { client });
      await setFlag(client, id, false);
    });
  }
}

async function readRow(
  database: pg.Pool | pg.PoolClient,
  id: number,
  lock: "" | "FOR UPDATE" = "",
): Promise<Row | undefined> {
  const { rows } = await database.query<Row>(`${READ_ROW} ${lock}`, [id]);
  return rows[0];
}

function isSame(left: Row, right: Row | undefined): boolean {
  return (
    left.tag === right?.tag &&
    left.grupo === right.grupo &&
    left.conteudo === right.conteudo &&
    left.treinamento_finalizado === right.treinamento_finalizado
  );
}

/** The trigger lets nobody else set it. */
async function setFlag(client: pg.PoolClient, id: number, value: boolean): Promise<void> {
  await client.query("SELECT set_config('oraculo.vetorizador', 'on', true)");
  await client.query(
    "UPDATE oraculo_treinamento SET treinamento_vetorizado = $2 WHERE id = $1 AND treinamento_vetorizado <> $2",
    [id, value],
  );
}

async function inTransaction(pool: pg.Pool, body: (client: pg.PoolClient) => Promise<void>): Promise<void> {
  const client = await pool.connect();
  let broken: Error | undefined;
  const onError = (error: Error): void => void (broken = error);
  client.on("error", onError);
  try {
    await client.query("BEGIN");
    await body(client);
    await client.query("COMMIT");
  } catch (error) {
    await client.query("ROLLBACK").catch((failure: unknown) => (broken ??= failure as Error));
    throw error;
  } finally {
    client.removeListener("error", onError);
    client.release(broken);
  }
}
