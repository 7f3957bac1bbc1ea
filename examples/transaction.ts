/**
 * Vectors and a flag in the host's table, committed in one transaction: both or neither.
 */
import { TrainingIndex } from "langchain-training-index";
import { embeddedPool } from "langchain-training-index/embedded";
import { migrate } from "langchain-training-index/migrations";
import { HashingEmbeddings } from "langchain-training-index/testing";

const pool = embeddedPool();
await pool.query(`CREATE TABLE oraculo_treinamento (
  id serial PRIMARY KEY, conteudo text NOT NULL, treinamento_vetorizado boolean NOT NULL DEFAULT false)`);
await pool.query("INSERT INTO oraculo_treinamento (conteudo) VALUES ('A garantia das ferramentas é de um ano.')");

// Ids get the type of the host's column, and deleting a row there deletes its vectors.
await migrate(pool, { trainings: { table: "oraculo_treinamento" } });
const index = await TrainingIndex.initialize(new HashingEmbeddings(), { pool });

// Splits and embeds before the transaction, because that takes time.
const prepared = await index.prepareTraining({ id: 1, content: "A garantia das ferramentas é de um ano." });

const client = await pool.connect();
try {
  await client.query("BEGIN");
  const result = await prepared.commit(client);
  if (result.status !== "superseded") {
    await client.query("UPDATE oraculo_treinamento SET treinamento_vetorizado = true WHERE id = $1", [result.id]);
  }
  await client.query("COMMIT");
  console.log("committed:", result);
} catch (error) {
  await client.query("ROLLBACK");
  throw error;
} finally {
  client.release();
}

console.log("found:", (await index.similar("garantia"))[0]?.content);
await pool.query("DELETE FROM oraculo_treinamento WHERE id = 1");
console.log("after the host's DELETE:", await index.similar("garantia"));
await pool.end();
