/**
 * Changes the embedding model while the index is in use, and back.
 */
import { TrainingIndex } from "langchain-training-index";
import { embeddedPool } from "langchain-training-index/embedded";
import { migrate } from "langchain-training-index/migrations";
import { HashingEmbeddings } from "langchain-training-index/testing";

const pool = embeddedPool();
await migrate(pool, { dimensions: 256 });
const oldModel = new HashingEmbeddings({ dimensions: 256 });
const newModel = new HashingEmbeddings({ dimensions: 512 });

// Every process that has to go on has both models: it uses the one that is in use.
const index = await TrainingIndex.initialize([oldModel, newModel], { pool });
await index.upsertTrainings([
  { id: "frete", content: "O frete custa R$ 12,00 e é grátis a partir de R$ 200,00." },
  { id: "troca", content: "Trocas são aceitas em até sete dias depois da entrega." },
  { id: "pix", content: "No Pix há cinco por cento de desconto." },
]);

const ask = async (): Promise<void> => {
  const [hit] = await index.similar("quanto custa o frete?", { k: 1 });
  const { model } = await index.status({ counts: false });
  console.log(`${model.dimensions} dimensions: ${hit?.content ?? "nothing"}`);
};

await ask();
const { plan } = await index.switchModel(newModel, { dryRun: true });
console.log(`to do: ${plan?.chunks ?? 0} chunks, ${plan?.characters ?? 0} characters`);

const { report, flip } = await index.switchModel(newModel, {
  maxTextsPerMinute: 6000,
  onProgress: ({ phase, remaining }) => {
    console.log(`${phase}, ${remaining} left`);
  },
  check: ({ searches }) => (searches?.meanOverlap ?? 1) >= 0.3,
});
console.log(
  `same hits: ${((report?.searches?.meanOverlap ?? 0) * 100).toFixed(0)} %; tried ${flip?.attempts ?? 0} times`,
);
await ask();

// What is written now is missing in the old model; a switch back embeds it first.
await index.upsertTraining({ id: "boleto", content: "Boleto só para empresas." });
const back = await index.switchModel(oldModel);
console.log(`back, with ${back.trainings} trainings to build`);
await ask();
console.log("dropped:", await index.retireModel());
await pool.end();
