/**
 * Lets a reranker behind HTTP put the candidates of a hybrid search into order.
 *
 * RERANKER_URL is its address, such as http://localhost:8080. Without it, a stand-in in this process answers, which counts the
 * words that question and passage share.
 */
import { TrainingIndex } from "langchain-training-index";
import { embeddedPool } from "langchain-training-index/embedded";
import { migrate } from "langchain-training-index/migrations";
import { HashingEmbeddings } from "langchain-training-index/testing";
import { trainings } from "../support/trainings.js";
import { httpReranker } from "./http-reranker.js";
import { startStandIn } from "./stand-in.js";

const pool = embeddedPool();
await migrate(pool, { textSearch: "portuguese" });
const index = await TrainingIndex.initialize(new HashingEmbeddings(), {
  pool,
  onNotice: ({ code, message }) => {
    console.warn(code, message);
  },
});
await index.upsertTrainings(trainings);

const { RERANKER_URL } = process.env;
const standIn = RERANKER_URL ? undefined : await startStandIn();
const url = RERANKER_URL ?? standIn?.url ?? "";
const question = "Tem desconto no Pix?";
const hits = await index.similar(question, {
  mode: "hybrid",
  k: 3,
  // If the reranker is down, the order of the search is still a good one.
  rerank: { by: httpReranker({ url }), from: 30, onFailure: "continue" },
});
console.log(question);
for (const { trainingId, score, rerankScore, content } of hits) {
  console.log(`${rerankScore ?? "-"}  ${score.toFixed(3)}  ${String(trainingId)}: ${content.slice(0, 60)}`);
}
standIn?.close();
await pool.end();
