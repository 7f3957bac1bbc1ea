import { Queue, Worker, type ConnectionOptions } from "bullmq";
import type { Redis } from "ioredis";
import type { IncomingMessage } from "./evolution.js";

/** Messages of one phone that belong together. */
export interface Conversation {
  instance: string;
  phone: string;
  /** Their texts, a line each, in the order in which they came. */
  text: string;
}

/** Gathers messages, and hands over what belongs together. */
export interface Gatherer {
  /** Safe to repeat for a message: a webhook may be. */
  add(message: IncomingMessage): Promise<void>;
  close(): Promise<void>;
}

/** Options of {@link openGatherer}. */
export interface GathererOptions {
  /** How long a phone has to be silent before its messages are answered, in milliseconds. */
  silenceMs: number;
  /** Answers them. What it throws is tried again. */
  onConversation: (conversation: Conversation) => Promise<void>;
  /** Of the keys in Redis; what else is there is left alone. */
  prefix?: string | undefined;
}

/** A message that nobody has asked for by then is forgotten. */
const BUFFER_SECONDS = 60 * 60;

/**
 * People write one thought in several messages. Each is put into a list of its phone, and a job is put off until the phone
 * has been silent for a while; the job takes the whole list. Both are in Redis: a process that dies loses nothing, and any
 * number of them may run.
 */
export function openGatherer(
  redis: Redis,
  connection: ConnectionOptions,
  { silenceMs, onConversation, prefix = "wa" }: GathererOptions,
): Gatherer {
  const name = "conversations";
  const keyOf = (phone: string): string => `${prefix}_buffer_${phone}`;
  const queue = new Queue<Pick<Conversation, "instance" | "phone">>(name, {
    connection,
    prefix,
    defaultJobOptions: {
      attempts: 5,
      backoff: { type: "exponential", delay: 1000 },
      removeOnComplete: true,
      removeOnFail: 100,
    },
  });
  const worker = new Worker<Pick<Conversation, "instance" | "phone">>(
    name,
    async ({ id, data: { instance, phone } }) => {
      const buffer = keyOf(phone);
      // The job's own from here on: its retries find it again, and no other job does.
      const taken = `${buffer}_${id ?? ""}`;
      await redis.renamenx(buffer, taken).catch(ignoreMissing);
      const stored = await redis.lrange(taken, 0, -1);
      const messages = stored.map((json) => JSON.parse(json) as IncomingMessage);
      const texts = new Map(messages.map(({ messageId, text }) => [messageId, text]));
      if (texts.size > 0) await onConversation({ instance, phone, text: [...texts.values()].join("\n") });
      await redis.del(taken);
      // What came while this job was at work may have found its own job taken for this one.
      if (await redis.exists(buffer)) await queue.add("answer", { instance, phone }, { delay: silenceMs });
    },
    { connection, prefix },
  );
  worker.on("error", () => undefined); // Redis is away for a moment: BullMQ comes back by itself
  return {
    add: async (message) => {
      const { instance, phone } = message;
      await redis
        .multi()
        .rpush(keyOf(phone), JSON.stringify(message))
        .expire(keyOf(phone), BUFFER_SECONDS)
        .exec();
      // One job a phone, put off again by each message.
      const deduplication = { id: phone, ttl: silenceMs, extend: true, replace: true };
      await queue.add("answer", { instance, phone }, { delay: silenceMs, deduplication });
    },
    close: async () => {
      await worker.close();
      await queue.close();
    },
  };
}

/** Nothing to rename: another job has taken it, or this one, at an earlier attempt. */
function ignoreMissing(error: unknown): void {
  if (!(error instanceof Error && error.message.includes("no such key"))) throw error;
}
