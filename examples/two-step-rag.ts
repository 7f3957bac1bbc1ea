/**
 * Retrieval by middleware: each question is searched before the model is called, once, and the model needs no tools.
 *
 * The model is scripted, so that the example runs without one; replace it by `new ChatOllama(...)`.
 */
import { createAgent, dynamicSystemPromptMiddleware } from "langchain";
import { formatContext } from "langchain-training-index";
import { citing, openShop, scriptedModel } from "./support/shop.js";

const { index, close } = await openShop();
const retriever = index.asRetriever({ k: 3, mode: "hybrid" });

const passages = dynamicSystemPromptMiddleware(async ({ messages }, { signal }) => {
  const question = messages.findLast(({ type }) => type === "human")?.text ?? ""; // `content` may be a list of blocks
  const found = await retriever.invoke(question, signal && { signal });
  return `Responda só com o que está no contexto, e cite os números.\n<contexto>\n${formatContext(found)}\n</contexto>`;
});
const model = scriptedModel(citing("cinco por cento", "No Pix há cinco por cento de desconto"));
const agent = createAgent({ model, middleware: [passages] });

const { messages } = await agent.invoke({ messages: [{ role: "user", content: "Tem desconto no Pix?" }] });
console.log(messages.at(-1)?.text);
await close();
