import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { InMemoryTransport } from "@modelcontextprotocol/sdk/inMemory.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import type { TrainingTool } from "langchain-training-index";
import { expect, it, onTestFinished } from "vitest";
import { mcpHandler, mcpServer } from "../../examples/mcp/server.js";
import { describeOnEach, type TestDatabase } from "../support/databases.js";
import { openTestIndex, type TestIndex } from "../support/index.js";

const SECRET = "segredo da globex";

async function openCompanies(database: TestDatabase): Promise<TestIndex & { tool: TrainingTool }> {
  const test = await openTestIndex(database);
  for (const [empresa, content] of Object.entries({ acme: "O frete é grátis.", globex: `O frete é ${SECRET}.` })) {
    await test.index.upsertTraining({ id: empresa, content, metadata: { empresa, tag: "frete" } });
  }
  const named = { name: "search_trainings", description: "Finds passages.", filter: { empresa: "acme" } };
  return { ...test, tool: test.index.asTool(named) };
}

async function connect(transport: Transport): Promise<Client> {
  const client = new Client({ name: "test", version: "1.0.0" });
  await client.connect(transport);
  onTestFinished(() => client.close());
  return client;
}

/** A client of a server in this process, and the errors that the server logs. */
async function connectTo(tool: TrainingTool): Promise<{ client: Client; logged: unknown[] }> {
  const logged: unknown[] = [];
  const [ofClient, ofServer] = InMemoryTransport.createLinkedPair();
  await mcpServer(tool, (error) => logged.push(error)).connect(ofServer);
  return { client: await connect(ofClient), logged };
}

describeOnEach("the recipe of an MCP server", (database) => {
  it("lists one tool, which reads, and finds passages with their sources", async () => {
    const { tool } = await openCompanies(database);
    const { client } = await connectTo(tool);
    const { tools } = await client.listTools();
    expect(tools).toMatchObject([
      { name: "search_trainings", inputSchema: tool.schema, annotations: { readOnlyHint: true } },
    ]);
    expect(await client.callTool({ name: "search_trainings", arguments: { query: "frete" } })).toMatchObject({
      content: [{ type: "text", text: "[1] frete\nO frete é grátis." }],
      structuredContent: { sources: [{ number: 1, trainingId: "acme", start: 0, end: 17 }] },
      isError: false,
    });
  });

  it("gives a client nothing of another company, whatever its arguments", async () => {
    const { tool } = await openCompanies(database);
    const { client, logged } = await connectTo(tool);
    const refused = [
      { query: "frete", empresa: "globex" },
      { query: "frete", filter: { empresa: "globex" } },
      { query: "frete", context: { empresa: "globex" } },
      { query: "frete", k: 100 },
      { query: 5 },
      { query: " " },
      {},
    ];
    for (const args of refused) {
      const answer = await client.callTool({ name: "search_trainings", arguments: args });
      expect(answer.isError, JSON.stringify(args)).toBe(true);
      expect(JSON.stringify(answer)).not.toContain(SECRET);
    }
    const other = await client.callTool({ name: "delete_training", arguments: { id: "acme" } });
    expect(other).toMatchObject({ isError: true, content: [{ text: 'There is no tool "delete_training"' }] });
    const asked = await client.callTool({ name: "search_trainings", arguments: { query: SECRET } });
    expect(JSON.stringify(asked)).not.toContain("globex");
    expect(logged).toEqual([]);
  });

  it("serves the SDK's client over HTTP", async () => {
    const { tool } = await openCompanies(database);
    const handler = mcpHandler(() => mcpServer(tool, () => undefined));
    const url = new URL("http://localhost/mcp");
    const transport = new StreamableHTTPClientTransport(url, {
      fetch: (address, init) => handler(new Request(address, init)),
    });
    const client = await connect(transport);
    const answer = await client.callTool({ name: "search_trainings", arguments: { query: "frete" } });
    expect(answer).toMatchObject({ content: [{ text: "[1] frete\nO frete é grátis." }] });
  });

  it("reports an outage without its details, which are logged", async () => {
    const { tool, embeddings } = await openCompanies(database);
    embeddings.embedQuery = () => Promise.reject(new Error("connect ECONNREFUSED 10.0.0.7"));
    const { client, logged } = await connectTo(tool);
    const answer = await client.callTool({ name: "search_trainings", arguments: { query: "frete" } });
    expect(answer).toMatchObject({ isError: true, content: [{ text: "The search failed" }] });
    expect(logged).toMatchObject([{ code: "EMBEDDING_FAILED" }]);
  });
});
