/**
 * A LangGraph graph with a node that retrieves and a checkpointer: a thread keeps its messages and the sources of its answer.
 *
 * The model is scripted, so that the example runs without one; replace it by `new ChatOllama(...)`.
 */
import { Annotation, END, MemorySaver, MessagesAnnotation, START, StateGraph } from "@langchain/langgraph";
import { HumanMessage } from "langchain";
import { citedContext, type Citation } from "langchain-training-index";
import { answerPrompt } from "./support/answering.js";
import { citing, openShop, scriptedModel } from "./support/shop.js";

const { index, close } = await openShop();
const model = scriptedModel(
  citing("cinco por cento", "No Pix há cinco por cento de desconto"),
  citing("8 às 13", "Aos sábados a loja abre das 8 às 13 horas"),
);

// Plain values, so that every checkpointer can store them.
const State = Annotation.Root({
  ...MessagesAnnotation.spec,
  context: Annotation<string>,
  citations: Annotation<Citation[]>,
});

const graph = new StateGraph(State)
  .addNode("retrieve", async ({ messages }, { signal }) => {
    const hits = await index.similar(messages.at(-1)?.text ?? "", { k: 3, mode: "hybrid", signal });
    const { text: context, citations } = citedContext(hits);
    return { context, citations };
  })
  .addNode("answer", async ({ messages, context }) => {
    return { messages: [await model.invoke([{ role: "system", content: answerPrompt(context) }, ...messages])] };
  })
  .addEdge(START, "retrieve")
  .addEdge("retrieve", "answer")
  .addEdge("answer", END)
  .compile({ checkpointer: new MemorySaver() }); // or PostgresSaver of @langchain/langgraph-checkpoint-postgres

const thread = { configurable: { thread_id: "cliente-7" } };
for (const question of ["Tem desconto no Pix?", "A loja abre aos sábados?"]) {
  await graph.invoke({ messages: [new HumanMessage(question)] }, thread);
}

const { messages, citations } = (await graph.getState(thread)).values as typeof State.State;
for (const { type, text } of messages) console.log(`${type}: ${text}`);
for (const { number, trainingId, start, end } of citations) console.log(`[${number}] ${trainingId} ${start}-${end}`);
await close();
