import type { Metadata, TrainingIndex, UpsertResult } from "langchain-training-index";
import type pg from "pg";

/** A row of the host's table, as the page shows it. */
export interface TrainingRow {
  id: string;
  tag: string;
  grupo: string;
  conteudo: string;
  finalizado: boolean;
}

/** What a save did to the chunks. */
export type SaveResult = Pick<UpsertResult, "chunks" | "embedded" | "reused" | "removed"> & {
  status: string;
};

/** Creates the host's table. */
export async function createTable(pool: pg.Pool): Promise<void> {
  await pool.query(`CREATE TABLE treinamento (
    id text PRIMARY KEY, tag text NOT NULL, grupo text NOT NULL, conteudo text NOT NULL, finalizado boolean NOT NULL)`);
}

/** All trainings, ordered by id. */
export async function listTrainings(pool: pg.Pool): Promise<TrainingRow[]> {
  const { rows } = await pool.query<TrainingRow>("SELECT * FROM treinamento ORDER BY id");
  return rows;
}

/** Saves a row and its vectors in one transaction; embeds before it begins. Drafts have no vectors. */
export async function saveTraining(pool: pg.Pool, index: TrainingIndex, row: TrainingRow): Promise<SaveResult> {
  const { id, tag, grupo, conteudo, finalizado } = row;
  const metadata: Metadata = { tag, grupo };
  const prepared = finalizado ? await index.prepareTraining({ id, content: conteudo, metadata }) : undefined;
  return inTransaction(pool, async (client) => {
    await client.query(
      `INSERT INTO treinamento (id, tag, grupo, conteudo, finalizado) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (id) DO UPDATE SET tag = $2, grupo = $3, conteudo = $4, finalizado = $5`,
      [id, tag, grupo, conteudo, finalizado],
    );
    if (prepared) return prepared.commit(client);
    const { status, removed } = await index.deleteTraining(id, { client });
    return { status: status === "absent" ? "draft" : status, chunks: 0, embedded: 0, reused: 0, removed };
  });
}

/** Deletes a row and its vectors in one transaction. */
export async function deleteTraining(pool: pg.Pool, index: TrainingIndex, id: string): Promise<SaveResult> {
  return inTransaction(pool, async (client) => {
    await client.query("DELETE FROM treinamento WHERE id = $1", [id]);
    const { status, removed } = await index.deleteTraining(id, { client });
    return { status, chunks: 0, embedded: 0, reused: 0, removed };
  });
}

async function inTransaction<T>(pool: pg.Pool, body: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  try {
    await client.query("BEGIN");
    const result = await body(client);
    await client.query("COMMIT");
    return result;
  } catch (error) {
    await client.query("ROLLBACK");
    throw error;
  } finally {
    client.release();
  }
}
