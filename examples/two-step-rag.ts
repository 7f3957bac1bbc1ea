/**
 * Retrieval by middleware: each question is searched before the model is called, once, and the model needs no tools.
 *
 * The model is scripted, so that the example runs without one; replace it by `new ChatOllama(...)`.
 */
import { createAgent } from "langchain";
import { passagesMiddleware } from "./support/answering.js";
import { citing, openShop, scriptedModel } from "./support/shop.js";

const { index, close } = await openShop();
const model = scriptedModel(citing("cinco por cento", "No Pix há cinco por cento de desconto"));
const passages = passagesMiddleware(index, { search: { k: 3, mode: "hybrid" }, format: { maxChars: 5000 } });
const agent = createAgent({ model, middleware: [passages] });

const result = await agent.invoke({ messages: [{ role: "user", content: "Tem desconto no Pix?" }] });
console.log(result.messages.at(-1)?.text);
for (const { number, trainingId, start, end } of result.citations ?? []) {
  console.log(`[${number}] ${trainingId} ${start}-${end}`);
}
await close();
