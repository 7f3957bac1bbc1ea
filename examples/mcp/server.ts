import { ToolInputParsingException } from "@langchain/core/tools";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { WebStandardStreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js";
import { CallToolRequestSchema, ListToolsRequestSchema, type CallToolResult } from "@modelcontextprotocol/sdk/types.js";
import { InvalidArgumentError, type TrainingTool, type TrainingToolArtifact } from "langchain-training-index";

/**
 * An MCP server with one tool, which searches and writes nothing. What the tool's filter leaves out, no client can reach.
 *
 * @param log - gets the errors that clients do not see
 */
export function mcpServer(tool: TrainingTool, log: (error: unknown) => void): McpServer {
  const mcp = new McpServer({ name: "langchain-training-index", version: "0.1.0" }, { capabilities: { tools: {} } });
  const { server } = mcp; // takes the tool's JSON schema as it is; `registerTool` wants one of zod
  server.setRequestHandler(ListToolsRequestSchema, () => ({
    tools: [
      {
        name: tool.name,
        description: tool.description,
        inputSchema: tool.schema as { type: "object" },
        annotations: { readOnlyHint: true, openWorldHint: false },
      },
    ],
  }));
  server.setRequestHandler(CallToolRequestSchema, async ({ params }, { signal }): Promise<CallToolResult> => {
    const { name, arguments: args = {} } = params;
    if (name !== tool.name) return failure(`There is no tool ${JSON.stringify(name)}`);
    try {
      const message = await tool.invoke({ name, args, id: "mcp", type: "tool_call" }, { signal });
      const { citations = [] } = (message.artifact ?? {}) as Partial<TrainingToolArtifact>;
      const sources = citations.map(({ number, trainingId, start, end }) => ({
        ...{ number, start, end },
        trainingId: String(trainingId), // it can be a bigint, which JSON does not have
      }));
      return {
        content: [{ type: "text", text: message.text }],
        structuredContent: { sources },
        isError: message.status === "error",
      };
    } catch (error) {
      if (error instanceof ToolInputParsingException || InvalidArgumentError.is(error)) return failure(error.message);
      log(error);
      return failure("The search failed");
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
