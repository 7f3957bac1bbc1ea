import { SimpleChatModel } from "@langchain/core/language_models/chat_models";
import { ChatGenerationChunk } from "@langchain/core/outputs";
import { AIMessage, AIMessageChunk, fakeModel, type BaseMessage } from "langchain";
import { TrainingIndex } from "langchain-training-index";
import { embeddedPool } from "langchain-training-index/embedded";
import { migrate } from "langchain-training-index/migrations";
import { HashingEmbeddings } from "langchain-training-index/testing";
import { trainings, type SampleTraining } from "./trainings.js";

/** An index of the sample trainings, and the function that closes it. */
interface Shop {
  index: TrainingIndex<SampleTraining["metadata"]>;
  close: () => Promise<void>;
}

/** The open shop, and how many use it. */
let shop: { opened: Promise<Shop>; users: number } | undefined;

/** The shop on the embedded database. Examples in one process share it until the last of them closes it. */
export async function openShop(): Promise<Shop> {
  const shared = (shop ??= { opened: openOwnShop(), users: 0 });
  shared.users += 1;
  const { index, close } = await shared.opened;
  return {
    index,
    close: async () => {
      shared.users -= 1;
      if (shared.users > 0) return;
      if (shop === shared) shop = undefined;
      await close();
    },
  };
}

async function openOwnShop(): Promise<Shop> {
  const pool = embeddedPool();
  await migrate(pool, { textSearch: "portuguese" });
  const index = await TrainingIndex.initialize<SampleTraining["metadata"]>(new HashingEmbeddings(), { pool });
  await index.upsertTrainings(trainings);
  return { index, close: () => pool.end() };
}

/** One answer of a scripted model: a text, made of the prompt where it is a function, or the call of a tool. */
type ScriptedAnswer = string | ((prompt: string) => string) | { tool: string; args: Record<string, unknown> };

/** A chat model that gives these answers, one at each call, so that an example needs no model. */
export function scriptedModel(...answers: ScriptedAnswer[]): ReturnType<typeof fakeModel> {
  return answers.reduce((model, answer) => {
    if (typeof answer === "object") return model.respondWithTools([{ name: answer.tool, args: answer.args }]);
    return model.respond((messages: BaseMessage[]) => {
      const prompt = messages.map(({ text }) => text).join("\n");
      return new AIMessage(typeof answer === "string" ? answer : answer(prompt));
    });
  }, fakeModel());
}

/** A chat model that streams its answer, made of the prompt, letter by letter. */
export class StreamingModel extends SimpleChatModel {
  readonly #answer: (prompt: string) => string;

  constructor(answer: (prompt: string) => string) {
    super({});
    this.#answer = answer;
  }

  override _llmType(): string {
    return "streaming";
  }

  /** Agents bind their tools, also if there are none. */
  override bindTools(): this {
    return this;
  }

  override _call(messages: BaseMessage[]): Promise<string> {
    return Promise.resolve(this.#answer(messages.map(({ text }) => text).join("\n")));
  }

  override async *_streamResponseChunks(messages: BaseMessage[]): AsyncGenerator<ChatGenerationChunk> {
    for (const text of await this._call(messages)) {
      yield new ChatGenerationChunk({ text, message: new AIMessageChunk(text) });
    }
  }
}

/** An answer that cites the passage with these words, if the prompt has it. */
export function citing(words: string, answer: string): (prompt: string) => string {
  return (prompt) => {
    const passage = prompt.split("\n---\n").find((text) => text.includes(words));
    const [, number] = /\[(\d+)\](?![\s\S]*\[\d+\])/.exec(passage ?? "") ?? [];
    return number === undefined ? "Não sei." : `${answer} [${number}].`;
  };
}
