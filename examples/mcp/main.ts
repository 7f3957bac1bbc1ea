/**
 * An MCP server (stdio and HTTP) that searches and reads the trainings of one group, fixed at its start.
 *
 *   npm run example -- mcp                        asks itself over both, with the SDK's client, and ends
 *   npm run --silent example -- mcp --stdio       serves over stdio
 *   npm run example -- mcp --serve                serves over HTTP; PORT sets the port
 *
 * `--grupo` sets the group.
 */
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { serve, type ServerType } from "@hono/node-server";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import { openShop } from "../support/shop.js";
import { mcpHandler, mcpServer } from "./server.js";

const { values } = parseArgs({
  options: {
    stdio: { type: "boolean", default: false },
    serve: { type: "boolean", default: false },
    grupo: { type: "string", default: "financeiro" },
  },
});
const { index, close } = await openShop();
const log = (error: unknown): void => {
  console.error(error); // stdout belongs to the protocol
};
const ofGroup = index.withFilter({ grupo: values.grupo });

if (values.stdio) {
  const transport = new StdioServerTransport();
  await mcpServer(ofGroup, log).connect(transport);
  process.stdin.once("end", () => void close()); // the client has gone
} else {
  const handler = mcpHandler(() => mcpServer(ofGroup, log));
  const port = Number(process.env["PORT"] ?? (values.serve ? 3000 : 0));
  const server: ServerType = serve({ fetch: handler, port, hostname: "127.0.0.1" });
  await once(server, "listening");
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`);
  console.log(`listening on ${url.href}`);
  const stop = async (): Promise<void> => {
    server.close();
    await close();
  };
  if (values.serve) {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => void stop());
  } else {
    const run = fileURLToPath(new URL("../run.ts", import.meta.url));
    const args = ["--import", "tsx", run, "mcp", "--stdio", "--grupo", values.grupo];
    await ask("HTTP", new StreamableHTTPClientTransport(url));
    await ask("stdio", new StdioClientTransport({ command: process.execPath, args }));
    await stop();
  }
}

/** Asks the server some things, with the SDK's own client. */
async function ask(name: string, transport: Transport): Promise<void> {
  const client = new Client({ name: "example", version: "0.1.0" });
  await client.connect(transport);
  const { tools } = await client.listTools();
  console.log(`${name}: ${tools.map((each) => each.name).join(", ")}`);
  const query = "Tem desconto no Pix?";
  for (const call of [
    { name: "search_trainings", arguments: { query } },
    { name: "search_trainings", arguments: { query, grupo: "jardinagem" } },
    { name: "read_training", arguments: { id: "pagamentos" } },
    { name: "read_training", arguments: { id: "cuidados" } }, // of another group
  ]) {
    const { content, structuredContent, isError } = await client.callTool(call);
    const [{ text = "" } = {}] = content as { text?: string }[];
    console.log(`  ${isError === true ? "refused" : "found"}: ${text.split("\n")[0] ?? ""}`);
    if (structuredContent) console.log(`  ${JSON.stringify(structuredContent)}`);
  }
  await client.close();
}
