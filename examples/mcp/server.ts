import { ToolInputParsingException } from "@langchain/core/tools";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { WebStandardStreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js";
import {
  CallToolRequestSchema,
  ListToolsRequestSchema,
  type CallToolResult,
  type Tool,
} from "@modelcontextprotocol/sdk/types.js";
import { InvalidArgumentError, type TrainingIndex, type TrainingToolArtifact } from "langchain-training-index";
import { readTool, readTraining } from "./read-training.js";

/** The part of a `TrainingIndex` that the server uses: nothing of it writes. */
export type ReadableIndex = Pick<TrainingIndex, "asTool" | "get" | "chunks">;

/**
 * An MCP server with two tools, which search and read. What the filter of the index leaves out, no client can reach.
 *
 * @param log - gets the errors that clients do not see
 */
export function mcpServer(index: ReadableIndex, log: (error: unknown) => void): McpServer {
  const search = index.asTool({
    name: "search_trainings",
    description: "Finds passages of the shop's knowledge base.",
    k: 3,
    format: { maxChars: 10_000 },
    emptyText: "Nothing was found.",
  });
  const find = async (args: Record<string, unknown>, signal: AbortSignal): Promise<CallToolResult> => {
    const message = await search.invoke({ name: search.name, args, id: "mcp", type: "tool_call" }, { signal });
    const { citations = [] } = (message.artifact ?? {}) as Partial<TrainingToolArtifact>;
    const sources = citations.map(({ number, trainingId, start, end }) => ({
      ...{ number, start, end },
      trainingId: String(trainingId), // it can be a bigint, which JSON does not have
    }));
    return { content: [{ type: "text", text: message.text }], structuredContent: { sources }, isError: false };
  };
  const searchTool: Tool = {
    name: search.name,
    description: search.description,
    inputSchema: search.schema as Tool["inputSchema"],
  };
  const calls = new Map([
    [search.name, find],
    [readTool.name, (args: Record<string, unknown>, signal: AbortSignal) => readTraining(index, args, signal)],
  ]);

  const mcp = new McpServer({ name: "langchain-training-index", version: "0.1.0" }, { capabilities: { tools: {} } });
  const { server } = mcp; // takes JSON schemas as they are; `registerTool` wants those of zod
  server.setRequestHandler(ListToolsRequestSchema, () => ({
    tools: [searchTool, readTool].map((tool) => ({
      ...tool,
      annotations: { readOnlyHint: true, openWorldHint: false },
    })),
  }));
  server.setRequestHandler(CallToolRequestSchema, async ({ params }, { signal }): Promise<CallToolResult> => {
    const { name, arguments: args = {} } = params;
    const call = calls.get(name);
    if (!call) return failure(`There is no tool ${JSON.stringify(name)}`);
    try {
      return await call(args, signal);
    } catch (error) {
      if (error instanceof ToolInputParsingException || InvalidArgumentError.is(error)) return failure(error.message);
      log(error);
      return failure(`${name} failed`);
    }
  });
  return mcp;
}

function failure(text: string): CallToolResult {
  return { content: [{ type: "text", text }], isError: true };
}

/** The same server over HTTP, for anything that uses `Request` and `Response`. Without sessions: each request is complete. */
export function mcpHandler(makeServer: () => McpServer): (request: Request) => Promise<Response> {
  return async (request) => {
    const transport = new WebStandardStreamableHTTPServerTransport({ enableJsonResponse: true });
    await makeServer().connect(transport);
    return transport.handleRequest(request);
  };
}
