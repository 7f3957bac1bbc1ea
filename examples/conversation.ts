/**
 * A conversation: a question that leans on what was said before is rewritten to stand alone, then searched.
 *
 * The model is scripted, so that the example runs without one; replace it by `new ChatOllama(...)`.
 */
import { AIMessage, HumanMessage, type BaseMessage } from "langchain";
import { formatContext } from "langchain-training-index";
import { citing, openShop, scriptedModel } from "./support/shop.js";

const { index, close } = await openShop();
const model = scriptedModel(
  citing("R$ 12,00", "O frete custa R$ 12,00 até cinco quilômetros"),
  "Em que valor de compra o frete é grátis?",
  citing("R$ 150,00", "Em compras acima de R$ 150,00 o frete é grátis"),
);

const REWRITE =
  "Reescreva a última pergunta do cliente para que se entenda sem a conversa. Escreva só a pergunta, sem respondê-la.";

/** The question as it is searched. The first of a conversation stands alone: no call of the model. */
async function standalone(history: readonly BaseMessage[], question: string): Promise<string> {
  if (history.length === 0) return question;
  const prompt = [{ role: "system", content: REWRITE }, ...history, new HumanMessage(question)];
  const rewritten = (await model.invoke(prompt)).text.trim();
  return rewritten === "" ? question : rewritten;
}

const history: BaseMessage[] = [];
for (const question of ["Quanto custa o frete?", "E a partir de quanto não pago?"]) {
  const searched = await standalone(history, question);
  const hits = await index.similar(searched, { k: 3, mode: "hybrid" });
  const system = `Responda só com o que está no contexto, e cite os números.\n<contexto>\n${formatContext(hits)}\n</contexto>`;
  const answer = await model.invoke([{ role: "system", content: system }, ...history, new HumanMessage(question)]);
  history.push(new HumanMessage(question), new AIMessage(answer.text));
  console.log(`${question}\n  searched: ${searched}\n  ${answer.text}`);
}
await close();
