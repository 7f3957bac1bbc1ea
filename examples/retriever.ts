/**
 * A bot's answer: retriever, context, prompt and model as one LangChain chain.
 *
 * The model is scripted, so that the example runs without one; replace it by `new ChatOllama(...)`.
 */
import type { BasePromptValueInterface } from "@langchain/core/prompt_values";
import { ChatPromptTemplate } from "@langchain/core/prompts";
import { RunnablePassthrough, RunnableSequence } from "@langchain/core/runnables";
import { formatContext } from "langchain-training-index";
import { answerPrompt } from "./support/answering.js";
import { citing, openShop, scriptedModel } from "./support/shop.js";

const { index, close } = await openShop();

const prompt = ChatPromptTemplate.fromMessages([
  ["system", answerPrompt("{context}")], // a variable, so that braces in passages are not read as variables
  ["human", "{question}"],
]);
const model = scriptedModel(citing("cinco por cento", "No Pix há cinco por cento de desconto"));
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
await close();
