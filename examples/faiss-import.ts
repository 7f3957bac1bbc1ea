/**
 * Imports trainings that were kept for FAISS: Python documents, as JSON strings in a column of each row.
 *
 *   npm run example -- faiss-import [FILE]
 *
 * FILE is a JSON list of rows, as this command writes it:
 *
 *   psql -At -c "SELECT json_agg(json_build_object('id', id, 'tag', tag, 'grupo', grupo, 'documentos', documentos))
 *     FROM oraculo_treinamentos WHERE treinamento_finalizado" > trainings.json
 *
 * Without FILE it imports a small sample with one broken document. The import itself is in `support/faiss-rows.ts`.
 * `DATABASE_URL` and `OLLAMA_BASE_URL` choose database and model. FAISS's own files are not read: the texts are embedded again.
 * The schema `training_index_faiss_import` is dropped at the end; use your own instead.
 */
import { SingleBar } from "cli-progress";
import { TrainingIndex } from "langchain-training-index";
import { migrate } from "langchain-training-index/migrations";
import { readFile } from "node:fs/promises";
import { scriptEnvironment } from "../tooling/environment.js";
import { importFaissRows, type FaissImport, type FaissProblem, type FaissRow } from "./support/faiss-rows.js";
import { table } from "../tooling/table.js";

const SCHEMA = "training_index_faiss_import";

const file = process.argv[2] ?? new URL("support/faiss-export.json", import.meta.url);
const rows = JSON.parse(await readFile(file, "utf8")) as FaissRow[];
const { pool, embeddings, ...chosen } = scriptEnvironment();
console.log(`database: ${chosen.database}\nembedder: ${chosen.embedder}\n`);

try {
  await pool.query(`DROP SCHEMA IF EXISTS ${SCHEMA} CASCADE`); // left by an interrupted run
  await migrate(pool, { schema: SCHEMA, idType: "integer", dimensions: embeddings.profile.dimensions });
  const index = await TrainingIndex.initialize(embeddings, { pool, schema: SCHEMA });

  printImport(await importAll(index));
  console.log("\nA second import embeds nothing:");
  printImport(await importAll(index));

  for (const [question, grupo] of [
    ["Quanto custa o frete?", "logistica"],
    ["Tem desconto no Pix?", "financeiro"],
  ] as const) {
    const [hit] = await index.similar(question, { k: 1, filter: { grupo } });
    console.log(`\n${question}\n${hit?.score.toFixed(3) ?? ""} ${hit?.content ?? "(nothing found)"}`);
  }
} finally {
  await pool.query(`DROP SCHEMA IF EXISTS ${SCHEMA} CASCADE`);
  await pool.end();
}

async function importAll(index: TrainingIndex): Promise<{ imported: FaissImport[]; problems: FaissProblem[] }> {
  const imported: FaissImport[] = [];
  const problems: FaissProblem[] = [];
  const bar = new SingleBar({ format: "{bar} {value}/{total} rows", noTTYOutput: true });
  bar.start(rows.length, 0);
  const onProblem = (problem: FaissProblem): void => {
    problems.push(problem);
    if (problem.document === undefined) bar.increment(); // nothing is imported from this row
  };
  for await (const row of importFaissRows(index, rows, onProblem)) {
    imported.push(row);
    bar.increment();
  }
  bar.stop();
  return { imported, problems };
}

function printImport({ imported, problems }: Awaited<ReturnType<typeof importAll>>): void {
  const head = ["row", "status", "documents", "chunks"];
  console.log(
    table(
      head,
      imported.map(({ row, status, documents, chunks }) => [row, status, documents, chunks]),
    ),
  );
  for (const { message } of problems) console.log(`NOT IMPORTED: ${message}`);
}
