import { Queue, Worker, type ConnectionOptions } from "bullmq";
import type { Redis } from "ioredis";
import type { IncomingMessage } from "./evolution.js";

/** Messages of one phone that belong together. */
export interface Conversation {
  /** That of its last message: the same when the conversation is answered again after a failure. */
  id: string;
  instance: string;
  phone: string;
  /** Their texts, one per line, in the order of arrival. */
  text: string;
}

/** What a job knows of its conversation. */
type Phone = Pick<Conversation, "instance" | "phone">;

/** Gathers messages into conversations. */
export interface Gatherer {
  /** Safe to repeat with the same message, as webhooks may be repeated. */
  add(message: IncomingMessage): Promise<void>;
  close(): Promise<void>;
}

/** Options of {@link openGatherer}. */
export interface GathererOptions {
  /** How long a phone has to be silent before its messages are answered, in milliseconds. */
  silenceMs: number;
  /** Answers a conversation. If it throws, it is called again. */
  onConversation: (conversation: Conversation) => Promise<void>;
  /** Prefix of the keys in Redis; other keys are not touched. Default `wa`. */
  prefix?: string | undefined;
}

/** Unanswered messages expire after this time. */
const BUFFER_SECONDS = 60 * 60;
/** A message that is delivered again within this time, answered or not, is not taken again. */
const SEEN_SECONDS = 24 * 60 * 60;

/** Appends a message to a phone's list, unless it was seen before. One script, so that nothing is lost if the process dies. */
const APPEND_ONCE = `
if redis.call("SET", KEYS[2], "1", "NX", "EX", ARGV[3]) then
  redis.call("RPUSH", KEYS[1], ARGV[1])
  redis.call("EXPIRE", KEYS[1], ARGV[2])
end`;

/**
 * People write one thought in several messages. Each message is appended to a list of its phone, and a job is delayed until
 * the phone has been silent for a while; the job then takes the whole list. Both are in Redis: if a process dies nothing is
 * lost, and any number of processes may run.
 */
export function openGatherer(
  redis: Redis,
  connection: ConnectionOptions,
  { silenceMs, onConversation, prefix = "wa" }: GathererOptions,
): Gatherer {
  const name = "conversations";
  const keyOf = (phone: string): string => `${prefix}_buffer_${phone}`;
  const queue = new Queue<Phone>(name, {
    connection,
    prefix,
    defaultJobOptions: {
      attempts: 5,
      backoff: { type: "exponential", delay: 1000 },
      removeOnComplete: true,
      removeOnFail: 100,
    },
  });
  const worker = new Worker<Phone>(
    name,
    async ({ id, data: { instance, phone } }) => {
      const buffer = keyOf(phone);
      // From here on the list belongs to this job: its retries find it again, and no other job does.
      const taken = `${buffer}_${id ?? ""}`;
      await redis.renamenx(buffer, taken).catch(ignoreMissing);
      const stored = await redis.lrange(taken, 0, -1);
      const messages = stored.map((json) => JSON.parse(json) as IncomingMessage);
      const last = messages.at(-1);
      const text = messages.map((message) => message.text).join("\n");
      if (last) await onConversation({ id: last.messageId, instance, phone, text });
      await redis.del(taken);
      // A message that arrived meanwhile may have got no job, because its job was taken for a duplicate of this one.
      if (await redis.exists(buffer)) await queue.add("answer", { instance, phone }, { delay: silenceMs });
    },
    { connection, prefix },
  );
  worker.on("error", () => undefined); // BullMQ reconnects to Redis by itself
  return {
    add: async (message) => {
      const { instance, phone, messageId } = message;
      const keys = [keyOf(phone), `${prefix}_seen_${phone}_${messageId}`];
      await redis.eval(APPEND_ONCE, keys.length, ...keys, JSON.stringify(message), BUFFER_SECONDS, SEEN_SECONDS);
      // A repeated message queues a job too: the first delivery may have died before it did. A job without messages does nothing.
      // One job per phone, delayed again by each message.
      const deduplication = { id: phone, ttl: silenceMs, extend: true, replace: true };
      await queue.add("answer", { instance, phone }, { delay: silenceMs, deduplication });
    },
    close: async () => {
      await worker.close();
      await queue.close();
    },
  };
}

/** There is nothing to rename if another job, or an earlier attempt of this one, has taken the list. */
function ignoreMissing(error: unknown): void {
  if (!(error instanceof Error && error.message.includes("no such key"))) throw error;
}
