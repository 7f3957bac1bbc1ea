/**
 * The index as a LangChain vector store, for code that takes one.
 */
import { Document } from "@langchain/core/documents";
import { TrainingIndex } from "langchain-training-index";
import { embeddedPool } from "langchain-training-index/embedded";
import { migrate } from "langchain-training-index/migrations";
import { HashingEmbeddings } from "langchain-training-index/testing";

const pool = embeddedPool();
await migrate(pool);
const index = await TrainingIndex.initialize(new HashingEmbeddings(), { pool });
const store = index.vectorStore;

const documents = [
  new Document({
    id: "pix",
    pageContent: "No Pix há cinco por cento de desconto.",
    metadata: { grupo: "financeiro" },
  }),
  new Document({ id: "boleto", pageContent: "Boleto só para empresas.", metadata: { grupo: "financeiro" } }),
  new Document({ id: "frete", pageContent: "O frete custa R$ 12,00.", metadata: { grupo: "logistica" } }),
];
console.log("added:", await store.addDocuments(documents));

for (const [document, score] of await store.similaritySearchWithScore("desconto no Pix", 2, {
  grupo: "financeiro",
})) {
  console.log(score.toFixed(3), document.id, document.pageContent);
}

await store.delete({ ids: ["pix"] });
console.log(
  "left:",
  (await store.getByIds(["pix", "boleto", "frete"])).map(({ id }) => id),
);
await pool.end();
