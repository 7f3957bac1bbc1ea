/**
 * Takes trainings over from FAISS days: Python's documents, each a JSON string in a column of its row.
 *
 *   npm run example -- faiss-import [FILE]
 *
 * FILE is a JSON list of rows, as this writes it:
 *
 *   psql -At -c "SELECT json_agg(json_build_object('id', id, 'tag', tag, 'grupo', grupo, 'documentos', documentos))
 *     FROM oraculo_treinamentos WHERE treinamento_finalizado" > trainings.json
 *
 * Without it a small one is imported, in which a document is broken. The import itself is `support/faiss-rows.ts`; `DATABASE_URL`
 * and `OLLAMA_BASE_URL` choose where to and the model. FAISS's own files are not read: the texts are embedded again. The schema
 * `training_index_faiss_import` is dropped at the end; take yours instead.
 */
import { SingleBar } from "cli-progress";
import { TrainingIndex } from "langchain-training-index";
import { migrate } from "langchain-training-index/migrations";
import { readFile } from "node:fs/promises";
import { scriptEnvironment } from "./support/environment.js";
import { importFaissRows, type FaissImport, type FaissProblem, type FaissRow } from "./support/faiss-rows.js";
import { table } from "./support/table.js";

const SCHEMA = "training_index_faiss_import";

const file = process.argv[2] ?? new URL("support/faiss-export.json", import.meta.url);
const rows = JSON.parse(await readFile(file, "utf8")) as FaissRow[];
const { pool, embeddings, ...chosen } = scriptEnvironment();
console.log(`database: ${chosen.database}\nembedder: ${chosen.embedder}\n`);

try {
  await pool.query(`DROP SCHEMA IF EXISTS ${SCHEMA} CASCADE`); // left by a run that was broken off
  await migrate(pool, { schema: SCHEMA, idType: "integer", dimensions: embeddings.profile.dimensions });
  const index = await TrainingIndex.initialize(embeddings, { pool, schema: SCHEMA });

  printImport(await importAll(index));
  console.log("\nThe same again embeds nothing:");
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

async function importAll(
  index: TrainingIndex,
): Promise<{ imported: FaissImport[]; problems: FaissProblem[] }> {
  const imported: FaissImport[] = [];
  const problems: FaissProblem[] = [];
  const bar = new SingleBar({ format: "{bar} {value}/{total} rows", noTTYOutput: true });
  bar.start(rows.length, 0);
  const onProblem = (problem: FaissProblem): void => {
    problems.push(problem);
    if (problem.document === undefined) bar.increment(); // a row of which nothing comes
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
