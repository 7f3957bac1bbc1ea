/** What the recipes that answer with passages share: the prompt, the search in front of the model, and the rewritten question. */
import type { BaseChatModel } from "@langchain/core/language_models/chat_models";
import type { RunnableConfig } from "@langchain/core/runnables";
import { AIMessage, createMiddleware, HumanMessage, type BaseMessage } from "langchain";
import { citedContext, type Citation, type FormatContextOptions, type SimilarOptions } from "langchain-training-index";
import { z } from "zod/v4";

const RULES = "Responda só com o que está no contexto, e cite os números.";

/** The system message of a model that answers from the passages alone. */
export function answerPrompt(context: string, rules = RULES): string {
  return `${rules}\n<contexto>\n${context}\n</contexto>`;
}

const REWRITE =
  "Reescreva a última pergunta do cliente para que se entenda sem a conversa. Escreva só a pergunta, sem respondê-la.";

/** The question as it is searched. The first of a conversation stands alone: no call of the model. */
export async function standaloneQuestion(
  model: BaseChatModel,
  history: readonly BaseMessage[],
  question: string,
  config?: RunnableConfig,
): Promise<string> {
  if (history.length === 0) return question;
  const prompt = [{ role: "system", content: REWRITE }, ...history, new HumanMessage(question)];
  const rewritten = (await model.invoke(prompt, config)).text.trim();
  return rewritten === "" ? question : rewritten;
}

/** The part of a `TrainingIndex` that searches for an answer. */
export interface SearchedIndex {
  similar(question: string, options: SimilarOptions): Promise<Parameters<typeof citedContext>[0]>;
}

/** Options of {@link passagesMiddleware}. */
export interface PassagesOptions {
  search: SimilarOptions;
  format?: FormatContextOptions;
  /** What the model is told, above the passages. */
  rules?: string;
  /** Makes a question that leans on the conversation stand alone, for the search. Default: it is searched as it is. */
  rewrite?: (history: readonly BaseMessage[], question: string, config: RunnableConfig) => Promise<string>;
  /** The answer where nothing is found: the model is not asked. Default: it is asked with an empty context. */
  emptyAnswer?: string;
}

/** What the middleware adds to the state of a run. Plain values, so that every checkpointer can store them. */
const State = z.object({
  searched: z.string().optional(),
  context: z.string().optional(),
  citations: z.array(z.custom<Citation>()).optional(),
});

/** Searches for each question before the model is called, once, and gives the model the passages. It needs no tools. */
export function passagesMiddleware(
  index: SearchedIndex,
  { search, format, rules, rewrite, emptyAnswer }: PassagesOptions,
): ReturnType<typeof createMiddleware<typeof State>> {
  return createMiddleware({
    name: "passages",
    stateSchema: State,
    beforeAgent: {
      canJumpTo: ["end"],
      hook: async ({ messages }, { signal }) => {
        const question = messages.at(-1)?.text ?? ""; // `content` may be a list of blocks
        const config = signal ? { signal } : {};
        const searched = rewrite ? await rewrite(messages.slice(0, -1), question, config) : question;
        const hits = await index.similar(searched, { ...search, ...config });
        const { text: context, citations } = citedContext(hits, format);
        if (hits.length > 0 || emptyAnswer === undefined) return { searched, context, citations };
        return { searched, context, citations, messages: [new AIMessage(emptyAnswer)], jumpTo: "end" as const };
      },
    },
    wrapModelCall: (request, handler) =>
      handler({
        ...request,
        systemMessage: request.systemMessage.concat(answerPrompt(request.state.context ?? "", rules)),
      }),
  });
}
