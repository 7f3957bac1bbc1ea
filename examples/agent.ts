/**
 * An agent that searches with `index.asTool`: each run sees the trainings of its own group, whatever the model asks for.
 *
 * The model is scripted, so that the example runs without one; replace it by `new ChatOllama(...)`.
 */
import { createAgent, ToolMessage } from "langchain";
import type { TrainingToolArtifact } from "langchain-training-index";
import { citing, openShop, scriptedModel } from "./support/shop.js";

const { index, close } = await openShop();
const tool = index.asTool<{ grupo: string }>({
  name: "search_trainings",
  description: "Encontra trechos da base de conhecimento da loja. Use para toda pergunta sobre a loja.",
  filter: ({ context }) => ({ grupo: context.grupo }), // of the run: the model cannot change it
  k: 3,
  format: { maxChars: 5000 },
  emptyText: "Nada foi encontrado.",
  onOutage: (error) => {
    console.error(error);
    return "A busca está fora do ar.";
  },
});
const model = scriptedModel(
  { tool: "search_trainings", args: { query: "Tem desconto no Pix?" } },
  citing("cinco por cento", "No Pix há cinco por cento de desconto"),
  { tool: "search_trainings", args: { query: "Tem desconto no Pix?", grupo: "financeiro" } },
  { tool: "search_trainings", args: { query: "Tem desconto no Pix?" } },
  citing("cinco por cento", "No Pix há cinco por cento de desconto"),
);
const agent = createAgent({ model, tools: [tool], systemPrompt: "Responda só com o que a busca encontrar." });

for (const grupo of ["financeiro", "jardinagem"]) {
  const messages = [{ role: "user", content: "Tem desconto no Pix?" }];
  const result = await agent.invoke({ messages }, { context: { grupo } });
  console.log(`${grupo}: ${result.messages.at(-1)?.text ?? ""}`);
  for (const message of result.messages.filter((each) => ToolMessage.isInstance(each))) {
    const { citations = [] } = (message.artifact ?? {}) as Partial<TrainingToolArtifact>;
    const places = citations.map(({ number, trainingId, start, end }) => `[${number}] ${trainingId} ${start}-${end}`);
    console.log(`  ${message.status}: ${places.join(", ")}`);
  }
}
await close();
