import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { answerer, type Answer, type AnswererParts } from "./answer.js";
import { readMessage, sendText, type EvolutionOptions, type ReadOptions } from "./evolution.js";
import type { Conversation, Gatherer } from "./gather.js";

/** Dependencies of the bot. */
export interface BotParts extends AnswererParts {
  evolution: EvolutionOptions;
  /** Called with each answer, for example to notify a person who has to take over. */
  onAnswer?: ((conversation: Conversation, answer: Answer) => void) | undefined;
}

/** Messages have no media in them. */
const MAX_BODY_BYTES = 1_000_000;

/** Answers gathered messages through the Evolution API. */
export function conversationHandler({
  evolution,
  onAnswer,
  ...parts
}: BotParts): (conversation: Conversation) => Promise<void> {
  const answerOf = answerer(parts);
  return async (conversation) => {
    const answer = await answerOf(conversation);
    await sendText(evolution, conversation, answer.text);
    onAnswer?.(conversation, answer);
  };
}

/** The webhook. It responds immediately, because the Evolution API repeats slow requests. */
export function webhookApp(gatherer: Pick<Gatherer, "add">, options: ReadOptions = {}): Hono {
  const app = new Hono();
  const limit = bodyLimit({
    maxSize: MAX_BODY_BYTES,
    onError: (context) => context.json({ error: `The body must not be larger than ${MAX_BODY_BYTES} bytes` }, 413),
  });
  app.post("/webhook", limit, async (context) => {
    const payload: unknown = await context.req.json().catch(() => undefined);
    const message = readMessage(payload, options);
    if (message) await gatherer.add(message);
    return context.json({ received: message !== undefined });
  });
  return app;
}
