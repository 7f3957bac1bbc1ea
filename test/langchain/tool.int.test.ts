import { BaseCallbackHandler } from "@langchain/core/callbacks/base";
import { awaitAllCallbacks } from "@langchain/core/callbacks/promises";
import type { Document } from "@langchain/core/documents";
import type { Serialized } from "@langchain/core/load/serializable";
import { AIMessage, createAgent, fakeModel, type ToolMessage } from "langchain";
import { AbortError, EmbeddingError, InvalidArgumentError, type TrainingToolArtifact } from "langchain-training-index";
import { expect, it } from "vitest";
import { describeOnServerOrEmbedded, type TestDatabase } from "../support/databases.js";
import { openTestIndex, type TestIndex } from "../support/index.js";

const NAMED = { name: "search_trainings", description: "Finds passages of the shop's knowledge base." };
const CALL = { name: NAMED.name, args: { query: "desconto no Pix" }, id: "1", type: "tool_call" } as const;

async function openShop(database: TestDatabase): Promise<TestIndex> {
  const test = await openTestIndex(database);
  await test.index.upsertTraining({
    id: "pix",
    content: "No Pix há desconto.",
    metadata: { tag: "pix", grupo: "financeiro" },
  });
  await test.index.upsertTraining({ id: "frete", content: "O frete é grátis.", metadata: { tag: "frete" } });
  return test;
}

/** Records the runs that start, with the run that each belongs to. */
class RunRecorder extends BaseCallbackHandler {
  name = "recorder";
  readonly runs: { kind: string; id: string; parent: string | undefined; tags: string[] | undefined }[] = [];
  readonly ended: unknown[] = [];

  override handleToolStart(_tool: Serialized, _input: string, id: string, parent?: string, tags?: string[]): void {
    this.runs.push({ kind: "tool", id, parent, tags });
  }

  override handleRetrieverStart(
    _retriever: Serialized,
    _query: string,
    id: string,
    parent?: string,
    tags?: string[],
  ): void {
    this.runs.push({ kind: "retriever", id, parent, tags });
  }

  override handleToolEnd(output: unknown): void {
    this.ended.push(output);
  }

  override handleRetrieverEnd(documents: Document[]): void {
    this.ended.push(documents.map(({ id }) => id));
  }

  override handleToolError(error: Error): void {
    this.ended.push(error);
  }
}

describeOnServerOrEmbedded("asTool", (database) => {
  it("answers a tool call with numbered passages, and with documents and citations as its artifact", async () => {
    const { index } = await openShop(database);
    const tool = index.asTool({ ...NAMED, k: 1 });
    const message: ToolMessage = await tool.invoke(CALL);
    expect(message).toMatchObject({
      name: NAMED.name,
      tool_call_id: "1",
      status: "success",
      content: "[1] pix - financeiro\nNo Pix há desconto.",
    });
    const [document] = await index.asRetriever({ k: 1 }).invoke(CALL.args.query);
    const { documents, citations } = message.artifact as TrainingToolArtifact;
    expect(documents).toEqual([document]);
    expect(citations).toEqual([
      {
        ...{ number: 1, trainingId: "pix", start: 0, end: 19, chunkIds: [document?.id] },
        metadata: { tag: "pix", grupo: "financeiro" },
      },
    ]);
    const content: string = await tool.invoke(CALL.args);
    expect(content).toBe(message.content);
    expect(await tool.batch([CALL.args])).toEqual([content]);
  });

  it("serves an agent, which reads the passages", async () => {
    const { index } = await openShop(database);
    const model = fakeModel()
      .respondWithTools([CALL])
      .respond(([...messages]) => new AIMessage(`Li: ${messages.at(-1)?.text ?? ""}`));
    const agent = createAgent({ model, tools: [index.asTool({ ...NAMED, k: 1 })] });
    const { messages } = await agent.invoke({ messages: [{ role: "user", content: "Tem desconto?" }] });
    expect(messages.at(-1)?.text).toBe("Li: [1] pix - financeiro\nNo Pix há desconto.");
  });

  it("tells the model its arguments, and which one it got wrong", async () => {
    const { index } = await openShop(database);
    const tool = index.asTool({ ...NAMED, fields: { grupo: ["financeiro", "loja"], ano: [2025, 2026] } });
    expect(tool.schema).toEqual({
      type: "object",
      properties: {
        query: { type: "string", description: expect.any(String) as string },
        grupo: { type: "string", enum: ["financeiro", "loja"] },
        ano: { type: "number", enum: [2025, 2026] },
      },
      required: ["query"],
      additionalProperties: false,
    });
    await expect(tool.invoke({ query: "Pix", grupo: "vendas" })).rejects.toThrow(/grupo[\s\S]*enum/);
    await expect(tool.invoke({ query: "Pix", k: 50 })).rejects.toThrow(/"k" does not match/);
    await expect(tool.invoke({ query: " " })).rejects.toMatchObject({ option: "query" });
    expect(await tool.invoke({ query: "Pix", grupo: "financeiro" })).toContain("No Pix há desconto.");
    expect(await tool.invoke({ query: "Pix", grupo: "loja" })).toBe("No passages were found.");
    const portuguese = index.asTool({ ...NAMED, filter: { grupo: "loja" }, emptyText: "Nada encontrado." });
    expect(await portuguese.invoke({ query: "Pix" })).toBe("Nada encontrado.");
  });

  it("takes the options of a search and of citedContext", async () => {
    const { index } = await openShop(database);
    const tool = index.asTool({ ...NAMED, k: 2, format: { header: () => "Fonte" } });
    expect(await tool.invoke(CALL.args)).toBe("[1] Fonte\nNo Pix há desconto.\n---\n[2] Fonte\nO frete é grátis.");
    const exact = index.asTool({ ...NAMED, minScore: 0.99 });
    expect(await exact.invoke({ query: "No Pix há desconto." })).toContain("[1]");
    expect(await exact.invoke({ query: "Outra coisa" })).toBe("No passages were found.");
  });

  it("traces the search as a child of the tool's run, with the callbacks of the call", async () => {
    const { index } = await openShop(database);
    const recorder = new RunRecorder();
    const tool = index.asTool({ ...NAMED, k: 1, tags: ["loja"] });
    const message = await tool.invoke(CALL, { callbacks: [recorder] });
    await awaitAllCallbacks();
    const [toolRun, retrieverRun] = recorder.runs;
    expect(recorder.runs).toHaveLength(2);
    expect(toolRun).toMatchObject({ kind: "tool", parent: undefined, tags: ["loja"] });
    expect(retrieverRun).toMatchObject({ kind: "retriever", parent: toolRun?.id });
    expect(recorder.ended).toEqual([expect.any(Array), message]);
  });

  it("ends with AbortError when the signal of the call fires, also if outages become messages", async () => {
    const { index, embeddings } = await openShop(database);
    const controller = new AbortController();
    embeddings.embedQuery = () => {
      controller.abort("enough");
      return new Promise(() => undefined);
    };
    const tool = index.asTool({ ...NAMED, onOutage: () => "unavailable" });
    await expect(tool.invoke(CALL, { signal: controller.signal })).rejects.toBeInstanceOf(AbortError);
  });

  it("throws during an outage, or answers with the host's text", async () => {
    const { index, embeddings } = await openShop(database);
    embeddings.embedQuery = () => Promise.reject(new Error("connect ECONNREFUSED 10.0.0.7:11434"));
    await expect(index.asTool(NAMED).invoke(CALL)).rejects.toBeInstanceOf(EmbeddingError);

    const logged: unknown[] = [];
    const tool = index.asTool({
      ...NAMED,
      onOutage: (error) => {
        logged.push(error);
        return "A busca está fora do ar.";
      },
    });
    const message = await tool.invoke(CALL);
    expect(message).toMatchObject({ status: "error", content: "A busca está fora do ar.", tool_call_id: "1" });
    expect(message.artifact).toBeUndefined();
    expect(await tool.invoke(CALL.args)).toBe("A busca está fora do ar.");
    expect(logged).toEqual([expect.any(EmbeddingError), expect.any(EmbeddingError)]);
    await expect(tool.invoke({ query: " " })).rejects.toBeInstanceOf(InvalidArgumentError);
    const broken = index.asTool({ ...NAMED, onOutage: () => undefined as unknown as string });
    await expect(broken.invoke(CALL)).rejects.toMatchObject({
      option: "onOutage",
      cause: { code: "EMBEDDING_FAILED" },
    });
  });

  it.each<[option: string, options: object]>([
    ["filters", { filters: { grupo: "loja" } }],
    ["strategy", { strategy: "trainings" }],
    ["name", { name: "search trainings" }],
    ["name", { name: undefined }],
    ["description", { description: " " }],
    ["filter", { filter: {} }],
    ["k", { k: 0 }],
    ["mode", { mode: "text" }],
    ["format", { format: 5 }],
    ["maxChars", { format: { maxChars: 0 } }],
    ["emptyText", { emptyText: "" }],
    ["onOutage", { onOutage: "unavailable" }],
    ["fields", { fields: ["grupo"] }],
    ["fields.query", { fields: { query: ["a"] } }],
    ["fields.grupo", { fields: { grupo: [] } }],
    ["fields.grupo", { fields: { grupo: "loja" } }],
    ["fields.grupo", { fields: { grupo: ["a", 1] } }],
    ["fields.grupo", { fields: { grupo: [null] } }],
    ["fields.ano", { fields: { ano: [NaN] } }],
    ["fields.$or", { fields: { $or: ["a"] } }],
  ])("refuses an unusable %s at the call: %j", async (option, options) => {
    const { index } = await openTestIndex(database);
    const make = (): unknown => index.asTool({ ...NAMED, ...options });
    expect(make).toThrow(InvalidArgumentError);
    expect(make).toThrow(expect.objectContaining({ option }));
  });
});
