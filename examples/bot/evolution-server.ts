import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { serve } from "@hono/node-server";
import { Hono } from "hono";

/** A text that the bot sent. */
export interface SentText {
  instance: string;
  number: string;
  text: string;
  apiKey: string | undefined;
}

/** A fake Evolution API for the example and its test: it takes what the bot sends, and calls its webhook. */
export interface EvolutionServer {
  url: string;
  /** All texts that the bot has sent so far. */
  sent: SentText[];
  /** Responds to the next requests with an error status. */
  failNext(count: number): void;
  /** Calls the webhook with messages from a phone, as version 2 does. */
  receive(webhook: string, phone: string, texts: string[]): Promise<void>;
  /** Waits until the bot has sent this many texts. */
  untilSent(count: number): Promise<void>;
  close(): Promise<void>;
}

/** Starts the server on a free port. */
export async function startEvolutionServer(): Promise<EvolutionServer> {
  const sent: SentText[] = [];
  let failures = 0;
  let messages = 0;
  const app = new Hono();
  app.post("/message/sendText/:instance", async (context) => {
    if (failures > 0) {
      failures -= 1;
      return context.json({ status: 500, error: "Internal Server Error" }, 500);
    }
    const { number, text } = await context.req.json<{ number: string; text: string }>();
    sent.push({
      instance: context.req.param("instance"),
      number,
      text,
      apiKey: context.req.header("apikey"),
    });
    return context.json({ key: { remoteJid: `${number}@s.whatsapp.net`, fromMe: true }, status: "PENDING" }, 201);
  });
  const server = serve({ fetch: app.fetch, port: 0 });
  await once(server, "listening");
  return {
    url: `http://localhost:${(server.address() as AddressInfo).port}`,
    sent,
    failNext: (count) => {
      failures = count;
    },
    receive: async (webhook, phone, texts) => {
      for (const text of texts) {
        messages += 1;
        const payload = messageUpsert(`message${messages}`, phone, text);
        await fetch(webhook, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify(payload),
        });
      }
    },
    untilSent: async (count) => {
      while (sent.length < count) await new Promise((resolve) => setTimeout(resolve, 20));
    },
    close: async () => {
      server.close();
      await once(server, "close");
    },
  };
}

/** The payload of a webhook call for one message. */
export function messageUpsert(id: string, phone: string, text: string): Record<string, unknown> {
  return {
    event: "messages.upsert",
    instance: "loja",
    data: {
      key: { remoteJid: `${phone}@s.whatsapp.net`, fromMe: false, id },
      pushName: "Cliente",
      message: { conversation: text },
      messageType: "conversation",
      messageTimestamp: Math.floor(Date.now() / 1000),
    },
    sender: "5511777770000@s.whatsapp.net",
  };
}
