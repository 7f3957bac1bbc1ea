import { Hono } from "hono";
import type { BaseChatModel } from "@langchain/core/language_models/chat_models";
import type { TrainingIndex } from "langchain-training-index";
import { answerQuestion, type Answer } from "./answer.js";
import { readMessage, sendText, type EvolutionOptions, type ReadOptions } from "./evolution.js";
import type { Conversation, Gatherer } from "./gather.js";

/** Dependencies of the bot. */
export interface BotParts {
  index: TrainingIndex;
  model: BaseChatModel;
  evolution: EvolutionOptions;
  /** Called with each answer, for example to notify a person who has to take over. */
  onAnswer?: ((conversation: Conversation, answer: Answer) => void) | undefined;
}

/** Answers gathered messages through the Evolution API. */
export function conversationHandler({
  index,
  model,
  evolution,
  onAnswer,
}: BotParts): (conversation: Conversation) => Promise<void> {
  return async (conversation) => {
    const answer = await answerQuestion(index, model, conversation.text);
    await sendText(evolution, conversation, answer.text);
    onAnswer?.(conversation, answer);
  };
}

/** The webhook. It responds immediately, because the Evolution API repeats slow requests. */
export function webhookApp(gatherer: Gatherer, options: ReadOptions = {}): Hono {
  const app = new Hono();
  app.post("/webhook", async (context) => {
    const payload: unknown = await context.req.json().catch(() => undefined);
    const message = readMessage(payload, options);
    if (message) await gatherer.add(message);
    return context.json({ received: message !== undefined });
  });
  return app;
}
