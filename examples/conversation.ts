/**
 * A conversation: a question that leans on what was said before is rewritten to stand alone, then searched.
 *
 * The model is scripted, so that the example runs without one; replace it by `new ChatOllama(...)`.
 */
import { MemorySaver } from "@langchain/langgraph";
import { createAgent } from "langchain";
import { passagesMiddleware, standaloneQuestion } from "./support/answering.js";
import { citing, openShop, scriptedModel } from "./support/shop.js";

const { index, close } = await openShop();
const model = scriptedModel(
  citing("R$ 12,00", "O frete custa R$ 12,00 até cinco quilômetros"),
  "Em que valor de compra o frete é grátis?",
  citing("R$ 150,00", "Em compras acima de R$ 150,00 o frete é grátis"),
);
const passages = passagesMiddleware(index, {
  search: { k: 3, mode: "hybrid" },
  rewrite: (history, question, config) => standaloneQuestion(model, history, question, config),
});
const agent = createAgent({ model, middleware: [passages], checkpointer: new MemorySaver() });

const thread = { configurable: { thread_id: "cliente-7" } };
for (const question of ["Quanto custa o frete?", "E a partir de quanto não pago?"]) {
  const { messages, searched } = await agent.invoke({ messages: [{ role: "user", content: question }] }, thread);
  console.log(`${question}\n  searched: ${searched}\n  ${messages.at(-1)?.text}`);
}
await close();
