import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { serve } from "@hono/node-server";
import { Redis } from "ioredis";
import { EmbeddingError } from "langchain-training-index";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { answerer, HAND_OVER_TEXT } from "../../examples/bot/answer.js";
import { conversationHandler, webhookApp } from "../../examples/bot/app.js";
import { messageUpsert, startEvolutionServer, type EvolutionServer } from "../../examples/bot/evolution-server.js";
import { readMessage, sendText } from "../../examples/bot/evolution.js";
import { gatherInMemory } from "../../examples/bot/gather-in-memory.js";
import { openGatherer, type Conversation } from "../../examples/bot/gather.js";
import { StreamingModel } from "../../examples/support/shop.js";
import { describeOnServerOrEmbedded, describeOnServer, uniqueName, type TestDatabase } from "../support/databases.js";
import { filledIndex, gateOf, until, type TestIndex } from "../support/index.js";
import { useRedis } from "./training-queues.js";

/** A model that gives these answers, again and again, and records its prompts. */
function modelThatAnswers(...responses: string[]): StreamingModel & { prompts: string[] } {
  const prompts: string[] = [];
  const model = new StreamingModel((prompt) => responses[(prompts.push(prompt) - 1) % responses.length] ?? "");
  return Object.assign(model, { prompts });
}

describe("readMessage", () => {
  const text = messageUpsert("m1", "5511999990000", "Oi!");
  const data = text["data"] as { key: object; message: object };

  it("reads a text, plain or extended", () => {
    const expected = { messageId: "m1", instance: "loja", phone: "5511999990000", text: "Oi!" };
    expect(readMessage(text)).toEqual(expected);
    const extended = { ...data, message: { extendedTextMessage: { text: "Oi!" } } };
    expect(readMessage({ ...text, data: extended })).toEqual(expected);
  });

  it("answers a sender who hides the phone, at the phone", () => {
    const key = { ...data.key, remoteJid: "98765@lid", remoteJidAlt: "5511999990000:3@s.whatsapp.net" };
    expect(readMessage({ ...text, data: { ...data, key } })).toMatchObject({ phone: "5511999990000" });
    const hidden = { ...data.key, remoteJid: "98765@lid" };
    expect(readMessage({ ...text, data: { ...data, key: hidden } })).toBeUndefined();
  });

  it.each([
    [{ imageMessage: { caption: "Qual o preço?" } }, "Qual o preço?"],
    [{ videoMessage: { caption: "Assim?" } }, "Assim?"],
    [{ documentWithCaptionMessage: { message: { documentMessage: { caption: "Segue." } } } }, "Segue."],
    [{ ephemeralMessage: { message: { extendedTextMessage: { text: "Oi!" } } } }, "Oi!"],
    [
      {
        extendedTextMessage: {
          text: "E esse?",
          contextInfo: { quotedMessage: { conversation: "Caneca azul\nR$ 10" } },
        },
      },
      "> Caneca azul\n> R$ 10\nE esse?",
    ],
    [
      { imageMessage: { caption: "E esse?", contextInfo: { quotedMessage: { imageMessage: { caption: "Caneca" } } } } },
      "> Caneca\nE esse?",
    ],
  ])("reads captions, wrapped and quoted texts: %j", (message, expected) => {
    expect(readMessage({ ...text, data: { ...data, message } })?.text).toBe(expected);
  });

  it("leaves old messages alone, which are delivered after a lost connection", () => {
    const seconds = Date.now() / 1000;
    const sentAgo = (ago: number, form = (time: number): unknown => time): unknown =>
      readMessage({ ...text, data: { ...data, messageTimestamp: form(Math.floor(seconds - ago)) } });
    expect(sentAgo(3500)).toBeDefined();
    expect(sentAgo(3700)).toBeUndefined();
    expect(sentAgo(3700, String)).toBeUndefined();
    expect(readMessage({ ...text, data: { ...data, messageTimestamp: undefined } })).toBeDefined();
    const old = { ...text, data: { ...data, messageTimestamp: Math.floor(seconds - 120) } };
    expect(readMessage(old, { maxAgeMs: 60_000 })).toBeUndefined();
  });

  it("answers in groups if the host wants it", () => {
    const group = { ...text, data: { ...data, key: { ...data.key, remoteJid: "120363-1@g.us" } } };
    expect(readMessage(group, { groups: true })).toMatchObject({ phone: "120363-1@g.us" });
  });

  it.each([
    ["another event", { ...text, event: "messages.update" }],
    ["a message sent by the bot itself", { ...text, data: { ...data, key: { ...data.key, fromMe: true } } }],
    ["a group", { ...text, data: { ...data, key: { ...data.key, remoteJid: "120363@g.us" } } }],
    ["an image", { ...text, data: { ...data, message: { imageMessage: { url: "x" } } } }],
    ["a blank text", { ...text, data: { ...data, message: { conversation: "  " } } }],
    ["a message without an id", { ...text, data: { ...data, key: { remoteJid: "5@s.whatsapp.net" } } }],
    ["an id of another type", { ...text, data: { ...data, key: { ...data.key, id: { $ne: null } } } }],
    ["an id that is no id", { ...text, data: { ...data, key: { ...data.key, id: "x".repeat(10_000) } } }],
    [
      "an address that is none",
      { ...text, data: { ...data, key: { ...data.key, remoteJid: `${"1".repeat(1000)}@s.whatsapp.net` } } },
    ],
    ["a text that is none", { ...text, data: { ...data, message: { conversation: ["Oi!"] } } }],
    ["a message in itself, without end", { ...text, data: { ...data, message: nested(20_000) } }],
    ["keys of a prototype", JSON.parse('{"__proto__":{"event":"messages.upsert"},"data":{"__proto__":{"key":{}}}}')],
    ["null", null],
    ["a list", [text]],
    ["a string", "messages.upsert"],
    ["an empty object", {}],
  ])("leaves alone %s", (_name, payload) => {
    expect(readMessage(payload)).toBeUndefined();
  });
});

/** A message in a message in a message. */
function nested(depth: number): unknown {
  let message: unknown = { conversation: "Oi!" };
  for (let level = 0; level < depth; level += 1) message = { ephemeralMessage: { message } };
  return message;
}

describe("the webhook", () => {
  it("refuses what is no message, or too large, and hands nothing of it on", async () => {
    const added: unknown[] = [];
    const app = webhookApp({ add: (message) => Promise.resolve(void added.push(message)) });
    const post = async (body: string): Promise<[number, unknown]> => {
      const response = await app.request("/webhook", { method: "POST", body });
      return [response.status, await response.json()];
    };
    const message = JSON.stringify(messageUpsert("m1", "5511999990000", "x".repeat(10_000_000)));
    expect(await post(message)).toEqual([413, { error: "The body must not be larger than 1000000 bytes" }]);
    for (const body of ["{não é JSON", "null", "[]", JSON.stringify({ event: "connection.update" })]) {
      expect(await post(body), body).toEqual([200, { received: false }]);
    }
    expect(added).toEqual([]);
    expect(await post(JSON.stringify(messageUpsert("m1", "5511999990000", "Oi!")))).toEqual([200, { received: true }]);
    expect(added).toHaveLength(1);
  });
});

describe("gathered in memory", () => {
  it("messages are answered together after a silence, once, and again after a failure", async () => {
    const conversations: Conversation[] = [];
    const gatherer = gatherInMemory({
      silenceMs: 20,
      onConversation: (conversation) => {
        conversations.push(conversation);
        return conversations.length === 1 ? Promise.reject(new Error("down")) : Promise.resolve();
      },
    });
    const message = { messageId: "m1", instance: "loja", phone: "5511", text: "Oi!" };
    await gatherer.add(message);
    await gatherer.add({ ...message, messageId: "m2", text: "Tem desconto?" });
    await gatherer.add(message);
    const conversation = { id: "m2", instance: "loja", phone: "5511", text: "Oi!\nTem desconto?" };
    await until(() => conversations.length === 2);
    expect(conversations).toEqual([conversation, conversation]);
    await gatherer.add(message);
    await gatherer.close();
    expect(conversations).toHaveLength(2);
  });
});

/** A shop with one training, for the tests of a suite, which only read. */
function useShop(database: TestDatabase): () => TestIndex {
  const training = {
    id: "entregas",
    content: "O prazo de entrega é de três dias úteis. Use o código {CUPOM}.",
    metadata: { tag: "entregas", grupo: "loja" },
  };
  const migration = { dimensions: 1024, textSearch: "portuguese" } as const;
  return filledIndex(database, ({ index }) => index.upsertTraining(training), migration);
}

let messages = 0;
/** One more conversation of a phone. */
function asked(text: string, phone = "5511999990000"): Conversation {
  messages += 1;
  return { id: `m${messages}`, instance: "loja", phone, text };
}

describeOnServerOrEmbedded("the bot's answers", (database) => {
  const shop = useShop(database);

  it("give the model the near passages and cite their sources", async () => {
    const { index } = shop();
    const model = modelThatAnswers("Três dias úteis.");
    const answer = await answerer({ index, model })(asked("Qual é o prazo de entrega?"));
    expect(answer).toMatchObject({ text: "Três dias úteis.", handsOver: false });
    expect(answer.citations).toMatchObject([{ number: 1, trainingId: "entregas", start: 0 }]);
    expect(model.prompts).toHaveLength(1);
    expect(model.prompts[0]).toContain("[1] entregas - loja\nO prazo de entrega é de três dias úteis.");
    expect(model.prompts[0]).toContain("{CUPOM}");
    expect(model.prompts[0]).toContain("Qual é o prazo de entrega?");
  });

  it("hand over without calling the model if no passage is near enough, or the question is too long", async () => {
    const { index, embeddings } = shop();
    const model = modelThatAnswers("Invento uma resposta.");
    const handedOver = { text: HAND_OVER_TEXT, handsOver: true, citations: [] };
    const answerOf = answerer({ index, model });
    expect(await answerOf(asked("xilofone quântico?"))).toEqual(handedOver);
    const embedQuery = vi.spyOn(embeddings, "embedQuery");
    onTestFinished(() => {
      embedQuery.mockRestore();
    });
    embedQuery.mockRejectedValueOnce(new EmbeddingError("TEXT_TOO_LONG", "too long", false));
    expect(await answerOf(asked("prazo ".repeat(2000), "5522"))).toEqual(handedOver);
    embedQuery.mockRejectedValueOnce(new Error("down"));
    await expect(answerOf(asked("Qual é o prazo de entrega?", "5533"))).rejects.toThrow();
    expect(model.prompts).toEqual([]);
  });

  it.each(["TRANSFERIR", " TRANSFERIR. ", ""])("hand over if the model answers %j", async (response) => {
    const { index } = shop();
    const answer = await answerer({ index, model: modelThatAnswers(response) })(asked("Qual é o prazo de entrega?"));
    expect(answer).toMatchObject({ text: HAND_OVER_TEXT, handsOver: true });
  });

  it("search a question that leans on the conversation as it stands alone, separately for each phone", async () => {
    const { index } = shop();
    const model = modelThatAnswers("Três dias úteis.", "Qual é o código de entrega?", "CUPOM", "Três dias.");
    const answerOf = answerer({ index, model });
    await answerOf(asked("Qual é o prazo de entrega?"));
    expect(await answerOf(asked("E o código?"))).toMatchObject({ text: "CUPOM", citations: [{ number: 1 }] });
    expect(model.prompts[1]).toMatch(/^Reescreva[^]*Qual é o prazo de entrega\?\nTrês dias úteis\.\nE o código\?$/);
    expect(await answerOf(asked("Qual é o prazo de entrega?", "5522"))).toMatchObject({ text: "Três dias." });
    expect(model.prompts).toHaveLength(4);
  });

  it("are the same for a conversation that is answered again, as after a failure to send it", async () => {
    const { index } = shop();
    const model = modelThatAnswers("Três dias úteis.", "Outra coisa.");
    const answerOf = answerer({ index, model });
    const conversation = asked("Qual é o prazo de entrega?");
    const first = await answerOf(conversation);
    expect(await answerOf(conversation)).toEqual(first);
    expect(model.prompts).toHaveLength(1);
  });

  it("know nothing of another company", async () => {
    const { index } = shop();
    const model = modelThatAnswers("Três dias úteis.");
    const answerOf = answerer({ index, model, search: { filter: { grupo: "outra loja" } } });
    expect(await answerOf(asked("Qual é o prazo de entrega?"))).toMatchObject({ handsOver: true });
  });
});

describeOnServer("the recipe bot", (database) => {
  const shop = useShop(database);
  const redisOptions = useRedis();

  interface Bot {
    webhook: string;
    evolution: EvolutionServer;
    redis: Redis;
    prefix: string;
    model: StreamingModel;
    conversations: Conversation[];
  }

  /**
   * The whole bot; it ends with the test.
   *
   * @param silenceMs - longer for tests whose messages belong together: a busy machine takes its time between two of them
   */
  async function openBot(
    before: (conversation: Conversation) => Promise<void> = () => Promise.resolve(),
    silenceMs = 150,
  ): Promise<Bot> {
    const { index } = shop();
    const evolution = await startEvolutionServer();
    const model = modelThatAnswers("Três dias úteis.");
    const { url } = redisOptions;
    const redis = new Redis(url, { maxRetriesPerRequest: null });
    const prefix = uniqueName("wa");
    const conversations: Conversation[] = [];
    const answer = conversationHandler({
      index,
      model,
      evolution: { baseUrl: evolution.url, apiKey: "chave" },
    });
    const gatherer = openGatherer(
      redis,
      { url },
      {
        silenceMs,
        prefix,
        onConversation: async (conversation) => {
          conversations.push(conversation);
          await before(conversation);
          await answer(conversation);
        },
      },
    );
    const server = serve({ fetch: webhookApp(gatherer).fetch, port: 0 });
    await once(server, "listening");
    onTestFinished(async () => {
      server.close();
      await gatherer.close();
      await evolution.close();
      redis.disconnect();
    });
    const webhook = `http://localhost:${(server.address() as AddressInfo).port}/webhook`;
    return { webhook, evolution, redis, prefix, model, conversations };
  }

  it("answers the messages of a phone together once it is silent, separately for each phone", async () => {
    const { webhook, evolution, conversations, redis, prefix } = await openBot(undefined, 1000);
    await redis.set(`${prefix}_host`, "do host");
    await Promise.all([
      evolution.receive(webhook, "5511111110000", ["Oi!", "Qual é o prazo", "de entrega?"]),
      evolution.receive(webhook, "5522222220000", ["Qual é o prazo de entrega?"]),
      evolution.receive(webhook, "5533333330000", ["xilofone quântico?"]),
    ]);
    await evolution.untilSent(3);
    expect(conversations).toHaveLength(3);
    expect(conversations.find(({ phone }) => phone === "5511111110000")).toMatchObject({
      instance: "loja",
      phone: "5511111110000",
      text: "Oi!\nQual é o prazo\nde entrega?",
    });
    const textTo = (number: string): unknown => evolution.sent.find((sent) => sent.number === number);
    expect(textTo("5511111110000")).toEqual({
      instance: "loja",
      number: "5511111110000",
      text: "Três dias úteis.",
      apiKey: "chave",
    });
    expect(textTo("5533333330000")).toMatchObject({ text: HAND_OVER_TEXT });
    await until(async () => (await redis.keys(`${prefix}_buffer_*`)).length === 0);
    expect(await redis.get(`${prefix}_host`)).toBe("do host");
    expect(await redis.ttl((await redis.keys(`${prefix}_seen_*`))[0] ?? "")).toBeGreaterThan(0);
    await redis.del(`${prefix}_host`);
  });

  it("takes a message once although its webhook is repeated", async () => {
    const { webhook, evolution, conversations } = await openBot();
    const body = JSON.stringify(messageUpsert("m1", "5511111110000", "Qual é o prazo de entrega?"));
    const headers = { "content-type": "application/json" };
    for (let time = 0; time < 3; time += 1) await fetch(webhook, { method: "POST", headers, body });
    await evolution.untilSent(1);
    // Once it is answered, too.
    await fetch(webhook, { method: "POST", headers, body });
    await evolution.receive(webhook, "5511111110000", ["E o frete?"]);
    await evolution.untilSent(2);
    expect(conversations.map(({ text }) => text)).toEqual(["Qual é o prazo de entrega?", "E o frete?"]);
  });

  it("answers messages that arrive while it answers", async () => {
    const gate = gateOf();
    const { webhook, evolution, conversations } = await openBot(() => gate.promise);
    await evolution.receive(webhook, "5511111110000", ["Qual é o prazo?"]);
    await until(() => conversations.length === 1);
    await evolution.receive(webhook, "5511111110000", ["Da entrega, quero dizer."]);
    gate.resolve();
    await evolution.untilSent(2);
    expect(conversations.map(({ text }) => text)).toEqual(["Qual é o prazo?", "Da entrega, quero dizer."]);
  });

  it("retries if the Evolution API fails, and loses no message", async () => {
    const { webhook, evolution, conversations } = await openBot(undefined, 1000);
    evolution.failNext(1);
    await evolution.receive(webhook, "5511111110000", ["Qual é o prazo", "de entrega?"]);
    await evolution.untilSent(1);
    expect(conversations).toHaveLength(2);
    expect(new Set(conversations.map(({ text }) => text))).toEqual(new Set(["Qual é o prazo\nde entrega?"]));
    expect(evolution.sent).toHaveLength(1);
  });

  it("gives up on an Evolution API that does not answer", async () => {
    const evolution = await startEvolutionServer();
    await evolution.close();
    const options = { baseUrl: evolution.url, apiKey: "", timeoutMs: 500 };
    await expect(sendText(options, { instance: "loja", phone: "5511" }, "Oi!")).rejects.toThrow();
  });
});
