import type { IncomingMessage } from "./evolution.js";
import type { Gatherer, GathererOptions } from "./gather.js";

/**
 * A gatherer for one process that needs no Redis, to try the bot with. What it has gathered is lost with the process: use
 * {@link openGatherer} for real.
 */
export function gatherInMemory({
  silenceMs,
  onConversation,
}: Pick<GathererOptions, "silenceMs" | "onConversation">): Gatherer {
  const waiting = new Map<string, { messages: IncomingMessage[]; timer: NodeJS.Timeout }>();
  const seen = new Set<string>();
  const running = new Set<Promise<void>>();

  const wait = (phone: string, messages: IncomingMessage[]): void => {
    clearTimeout(waiting.get(phone)?.timer);
    const timer = setTimeout(() => {
      const run: Promise<void> = answer(phone).finally(() => running.delete(run));
      running.add(run);
    }, silenceMs);
    waiting.set(phone, { messages, timer });
  };

  const answer = async (phone: string): Promise<void> => {
    const { messages = [] } = waiting.get(phone) ?? {};
    waiting.delete(phone);
    const last = messages.at(-1);
    if (!last) return;
    const text = messages.map((message) => message.text).join("\n");
    await onConversation({ id: last.messageId, instance: last.instance, phone, text }).catch(() => {
      wait(phone, [...messages, ...(waiting.get(phone)?.messages ?? [])]); // again, after another silence
    });
  };

  return {
    add: (message) => {
      const key = `${message.phone}/${message.messageId}`;
      if (!seen.has(key)) wait(message.phone, [...(waiting.get(message.phone)?.messages ?? []), message]);
      seen.add(key);
      return Promise.resolve();
    },
    close: async () => {
      for (const { timer } of waiting.values()) clearTimeout(timer);
      waiting.clear();
      await Promise.all(running);
    },
  };
}
