import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { InMemoryTransport } from "@modelcontextprotocol/sdk/inMemory.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import { expect, it, onTestFinished, vi } from "vitest";
import { mcpHandler, mcpServer, type ReadableIndex } from "../../examples/mcp/server.js";
import { describeOnServerOrEmbedded } from "../support/databases.js";
import { filledIndex, paragraph } from "../support/index.js";

const SECRET = "segredo da globex";
/** Longer than one answer of the tool. */
const LONG = Array.from({ length: 80 }, (_, place) => paragraph(`${place}.`)).join("\n\n");

async function connect(transport: Transport): Promise<Client> {
  const client = new Client({ name: "test", version: "1.0.0" });
  await client.connect(transport);
  onTestFinished(() => client.close());
  return client;
}

/** A client of a server in this process, and the errors that the server logs. */
async function connectTo(index: ReadableIndex): Promise<{ client: Client; logged: unknown[] }> {
  const logged: unknown[] = [];
  const [ofClient, ofServer] = InMemoryTransport.createLinkedPair();
  await mcpServer(index, (error) => logged.push(error)).connect(ofServer);
  return { client: await connect(ofClient), logged };
}

describeOnServerOrEmbedded("the recipe of an MCP server", (database) => {
  const companies = filledIndex(database, async ({ index }) => {
    for (const [empresa, content] of Object.entries({ acme: "O frete é grátis.", globex: `O frete é ${SECRET}.` })) {
      await index.upsertTraining({ id: empresa, content, metadata: { empresa, tag: "frete" } });
    }
    await index.upsertTraining({ id: "longo", content: LONG, metadata: { empresa: "acme" } });
  });
  const acme = (): ReadableIndex => companies().index.withFilter({ empresa: "acme" });

  it("lists two tools, which read, and finds passages with their sources", async () => {
    const { client } = await connectTo(acme());
    const { tools } = await client.listTools();
    expect(tools).toMatchObject([
      { name: "search_trainings", inputSchema: { required: ["query"] }, annotations: { readOnlyHint: true } },
      { name: "read_training", inputSchema: { required: ["id"] }, annotations: { readOnlyHint: true } },
    ]);
    const found = await client.callTool({ name: "search_trainings", arguments: { query: "frete grátis" } });
    expect(found).toMatchObject({
      content: [{ type: "text", text: expect.stringMatching(/^\[1\] frete\nO frete é grátis\./) as string }],
      structuredContent: { sources: [{ number: 1, trainingId: "acme", start: 0, end: 17 }, {}, {}] },
      isError: false,
    });
  });

  it("reads a training that was found, a long one in parts that have all of its text", async () => {
    const { client } = await connectTo(acme());
    const read = (args: object): ReturnType<Client["callTool"]> =>
      client.callTool({ name: "read_training", arguments: { ...args } });
    expect(await read({ id: "acme" })).toMatchObject({
      content: [{ type: "text", text: "[1] frete\nO frete é grátis." }],
      structuredContent: { trainingId: "acme", metadata: { tag: "frete" }, start: 0, end: 17, next: null },
      isError: false,
    });
    let whole = "";
    for (let from: number | null = 0, parts = 0; from !== null; parts += 1) {
      expect(parts).toBeLessThan(10);
      const { content, structuredContent } = await read({ id: "longo", from });
      const { start, end, next } = structuredContent as { start: number; end: number; next: number | null };
      const [{ text = "" } = {}] = content as { text?: string }[];
      expect(text.length).toBeLessThan(21_000);
      expect(text).toBe(`[1]\n${LONG.slice(start, end)}`);
      whole = whole.slice(0, start).padEnd(start) + LONG.slice(start, end);
      from = next;
    }
    expect(whole.replace(/\s+/g, " ")).toBe(LONG.replace(/\s+/g, " "));
  });

  it("gives a client nothing of another company, whatever its arguments", async () => {
    const { client, logged } = await connectTo(acme());
    const refused: [tool: string, args: Record<string, unknown>][] = [
      ["search_trainings", { query: "frete", empresa: "globex" }],
      ["search_trainings", { query: "frete", filter: { empresa: "globex" } }],
      ["search_trainings", { query: "frete", context: { empresa: "globex" } }],
      ["search_trainings", { query: "frete", k: 100 }],
      ["search_trainings", { query: 5 }],
      ["search_trainings", { query: " " }],
      ["search_trainings", {}],
      ["read_training", { id: "globex" }],
      ["read_training", { id: "unknown" }],
      ["read_training", { id: "acme", filter: { empresa: "globex" } }],
      ["read_training", { id: "acme", empresa: "globex" }],
      ["read_training", { id: ["globex"] }],
      ["read_training", { id: { $in: ["globex"] } }],
      ["read_training", { id: " " }],
      ["read_training", { id: "acme", from: -1 }],
      ["read_training", { id: "acme", from: "0" }],
      ["read_training", {}],
      ["delete_training", { id: "acme" }],
      ["__proto__", {}],
    ];
    for (const [name, args] of refused) {
      const answer = await client.callTool({ name, arguments: args });
      expect(answer.isError, JSON.stringify([name, args])).toBe(true);
      expect(JSON.stringify(answer)).not.toContain(SECRET);
    }
    const answers = [client.callTool({ name: "search_trainings", arguments: { query: SECRET } })];
    expect(JSON.stringify(await Promise.all(answers))).not.toContain("globex");
    const [other, none] = await Promise.all(
      ["globex", "unknown"].map((id) => client.callTool({ name: "read_training", arguments: { id } })),
    );
    expect(other).toEqual(none);
    expect(logged).toEqual([]);
  });

  it("serves the SDK's client over HTTP", async () => {
    const handler = mcpHandler(() => mcpServer(acme(), () => undefined));
    const url = new URL("http://localhost/mcp");
    const transport = new StreamableHTTPClientTransport(url, {
      fetch: (address, init) => handler(new Request(address, init)),
    });
    const client = await connect(transport);
    const answer = await client.callTool({ name: "read_training", arguments: { id: "acme" } });
    expect(answer).toMatchObject({ content: [{ text: "[1] frete\nO frete é grátis." }] });
  });

  it("reports an outage without its details, which are logged", async () => {
    const { client, logged } = await connectTo(acme());
    const embedQuery = vi.spyOn(companies().embeddings, "embedQuery");
    onTestFinished(() => {
      embedQuery.mockRestore();
    });
    embedQuery.mockRejectedValueOnce(new Error("connect ECONNREFUSED 10.0.0.7"));
    const answer = await client.callTool({ name: "search_trainings", arguments: { query: "frete" } });
    expect(answer).toMatchObject({ isError: true, content: [{ text: "search_trainings failed" }] });
    expect(logged).toMatchObject([{ code: "EMBEDDING_FAILED" }]);
  });
});
