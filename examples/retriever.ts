/**
 * A bot's answer: retriever, context, prompt and model as one LangChain chain.
 *
 * The model is scripted, so that the example runs without one; replace it by `new ChatOllama(...)`.
 */
import type { BasePromptValueInterface } from "@langchain/core/prompt_values";
import { ChatPromptTemplate } from "@langchain/core/prompts";
import { RunnablePassthrough, RunnableSequence } from "@langchain/core/runnables";
import { FakeListChatModel } from "@langchain/core/utils/testing";
import { formatContext, TrainingIndex } from "langchain-training-index";
import { embeddedPool } from "langchain-training-index/embedded";
import { migrate } from "langchain-training-index/migrations";
import { HashingEmbeddings } from "langchain-training-index/testing";
import { trainings } from "./support/trainings.js";

const pool = embeddedPool();
await migrate(pool);
const index = await TrainingIndex.initialize(new HashingEmbeddings(), { pool });
for await (const { id, status } of index.upsertTrainings(trainings)) console.log(`${id}: ${status}`);

const prompt = ChatPromptTemplate.fromMessages([
  ["system", "Responda apenas com o que está no contexto, e cite os números.\n<contexto>\n{context}\n</contexto>"],
  ["human", "{question}"],
]);
const model = new FakeListChatModel({ responses: ["No Pix há cinco por cento de desconto [1]."] });
const bot = RunnableSequence.from([
  {
    context: index.asRetriever({ k: 2 }).pipe((passages) => formatContext(passages)),
    question: new RunnablePassthrough(),
  },
  prompt,
  (messages: BasePromptValueInterface) => {
    console.log(`\n${messages.toString()}\n`);
    return messages;
  },
  model,
]);

const answer = await bot.invoke("Tem desconto no Pix?");
console.log(answer.text);
await pool.end();
