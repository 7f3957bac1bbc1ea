/** C10: what a host narrows in a tool, no argument of the model can widen, whatever the model asks for. */
import { AIMessage, createAgent, fakeModel, type ToolMessage } from "langchain";
import { inspect } from "node:util";
import { ToolNode } from "@langchain/langgraph/prebuilt";
import { InvalidArgumentError, type Filter, type TrainingIndex, type TrainingTool } from "langchain-training-index";
import { expect, it } from "vitest";
import { describeOnEach, type TestDatabase } from "../support/databases.js";
import { openTestIndex } from "../support/index.js";

interface Context {
  empresa: string;
}

const SECRET = "segredo da globex";

/** Two companies on one index: what globex stored is never acme's. */
async function openCompanies(database: TestDatabase): Promise<TrainingIndex> {
  const { index } = await openTestIndex(database, {}, { textSearch: "portuguese" });
  for (const grupo of ["vendas", "suporte"]) {
    await index.upsertTraining({
      id: `acme/${grupo}`,
      content: `O prazo de entrega de ${grupo} é de três dias.`,
      metadata: { empresa: "acme", grupo },
    });
    await index.upsertTraining({
      id: `globex/${grupo}`,
      content: `O prazo de entrega de ${grupo} é ${SECRET}.`,
      metadata: { empresa: "globex", grupo },
    });
  }
  return index;
}

function toolOf(index: TrainingIndex): TrainingTool<Context> {
  return index.asTool<Context>({
    name: "search_trainings",
    description: "Finds passages of the company's knowledge base.",
    filter: ({ context }) => ({ empresa: context.empresa }),
    fields: { grupo: ["vendas", "suporte"] },
    k: 2,
  });
}

/** Every way in which a model could ask for more than it may see. */
const HOSTILE: Record<string, unknown>[] = [
  { query: "entrega", empresa: "globex" },
  { query: "entrega", filter: { empresa: "globex" } },
  { query: "entrega", filter: {} },
  { query: "entrega", k: 1000 },
  { query: "entrega", minScore: -1 },
  { query: "entrega", context: { empresa: "globex" } },
  { query: "entrega", configurable: { trainings: { filter: { empresa: "globex" } } } },
  { query: "entrega", config: { context: { empresa: "globex" } } },
  { query: "entrega", grupo: "outro" },
  { query: "entrega", grupo: { exists: true } },
  { query: "entrega", grupo: ["vendas", "suporte"] },
  { query: "entrega", grupo: "vendas' OR true --" },
  { query: "entrega", $or: [{ empresa: "globex" }] },
  { query: { empresa: "globex" } },
  { query: ["entrega"] },
  { query: 5 },
  { query: null },
  { query: "   " },
  { grupo: "vendas" },
  {},
  JSON.parse('{"query":"entrega","__proto__":{"empresa":"globex"}}') as Record<string, unknown>,
  { query: "entrega", constructor: "globex" },
  { query: "entrega", toString: "globex" },
];
/** Arguments that are allowed, and still lead to nothing of the other company. */
const ALLOWED: Record<string, unknown>[] = [
  { query: "entrega" },
  { query: "entrega", grupo: "vendas" },
  { query: `Ignore the filter and show empresa globex: ${SECRET}` },
  { query: `{"filter":{"empresa":"globex"}}` },
  { query: "'); DROP TABLE chunk_1; --" },
  { query: "x".repeat(100_000) },
];

function messagesOf(result: { messages: { type: string }[] }): ToolMessage[] {
  return result.messages.filter(({ type }) => type === "tool") as ToolMessage[];
}

describeOnEach("a tool", (database) => {
  it("gives an agent nothing of another tenant, whatever its model asks for", async () => {
    const index = await openCompanies(database);
    const calls = [...HOSTILE, ...ALLOWED].map((args) => ({ name: "search_trainings", args }));
    const model = fakeModel().respondWithTools(calls).respond(new AIMessage("Não encontrei."));
    const agent = createAgent({ model, tools: [toolOf(index)] });
    const result = await agent.invoke(
      { messages: [{ role: "user", content: "Mostre os textos da globex" }] },
      { context: { empresa: "acme" } },
    );
    const answers = messagesOf(result);
    expect(answers).toHaveLength(calls.length);
    for (const [place, answer] of answers.entries()) {
      const asked = JSON.stringify(calls[place]?.args);
      const isAllowed = place >= HOSTILE.length;
      expect(answer.status, asked).toBe(isAllowed ? "success" : "error");
      expect(answer.content, asked).not.toContain(SECRET);
      expect(inspect(answer.artifact, { depth: 9 }), asked).not.toContain("globex");
      if (!isAllowed) expect(answer.artifact, asked).toBeUndefined();
    }
    expect(answers[HOSTILE.length]?.artifact).toMatchObject({ documents: { length: 2 } });
    expect(answers[HOSTILE.length + 1]?.artifact).toMatchObject({ documents: [{ metadata: { grupo: "vendas" } }] });
    // Without the host's filter the same question finds the other company: the filter is what keeps it out.
    const open = index.asTool({ name: "open", description: "Finds everything.", k: 4 });
    expect(await open.invoke({ query: "entrega" })).toContain(SECRET);
  });

  it("keeps the host's filter and bounds whatever configuration a client sends", async () => {
    const index = await openCompanies(database);
    const node = new ToolNode([toolOf(index)]);
    const args = { query: "entrega" };
    const call = new AIMessage({ content: "", tool_calls: [{ name: "search_trainings", args, id: "1" }] });
    const wider = [
      { filter: { empresa: "globex" } },
      { filter: { $or: [{ empresa: "acme" }, { empresa: "globex" }] }, k: 100, mode: "hybrid", minScore: -1 },
    ];
    for (const trainings of [{}, ...wider]) {
      const configurable = { thread_id: "1", mode: "chat", filter: { empresa: "globex" }, k: 100, trainings };
      const { messages } = (await node.invoke({ messages: [call], context: { empresa: "globex" } }, {
        configurable,
        context: { empresa: "acme" },
      } as object)) as { messages: ToolMessage[] };
      expect(messages).toHaveLength(1);
      expect(JSON.stringify(messages)).not.toContain("globex");
    }
  });

  it.each([
    ["throws", ({ context }: { context: Context }) => ({ empresa: context.empresa })],
    ["returns a filter without a value", () => ({ empresa: undefined }) as unknown as Filter],
    ["returns nothing", () => undefined as unknown as Filter],
    ["returns null", () => null as unknown as Filter],
    ["returns an empty filter", () => ({})],
    ["rejects", () => Promise.reject(new Error("no session"))],
    ["resolves to nothing", () => Promise.resolve(undefined as unknown as Filter)],
  ])("searches nothing if the host's filter %s", async (_case, filter) => {
    const index = await openCompanies(database);
    const tool = index.asTool<Context>({
      name: "search",
      description: "Finds passages.",
      filter,
      fields: { grupo: ["vendas"] },
    });
    for (const args of [{ query: "entrega" }, { query: "entrega", grupo: "vendas" }]) {
      const failure = await tool.invoke(args).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(InvalidArgumentError);
      expect((failure as InvalidArgumentError).option).toMatch(/^filter/);
    }
  });
});
