import type { CallToolResult, Tool } from "@modelcontextprotocol/sdk/types.js";
import { formatContext, InvalidArgumentError, type TrainingIndex } from "langchain-training-index";

/** The tool that reads a training whose id a search has returned. */
export const readTool: Tool = {
  name: "read_training",
  description: "Reads the text of a training whose id a search has returned. A long one comes in several parts.",
  inputSchema: {
    type: "object",
    properties: {
      id: { type: "string", description: "A trainingId of the search's sources" },
      from: { type: "integer", minimum: 0, description: "To go on: the `next` of the part before" },
    },
    required: ["id"],
    additionalProperties: false,
  },
};

/** How much text one call returns: about 5,000 tokens. A passage is never cut. */
const MAX_CHARS = 20_000;

/** Reads a training, or a part of it. @throws InvalidArgumentError for arguments that the tool does not have */
export async function readTraining(
  index: Pick<TrainingIndex, "get" | "chunks">,
  args: Record<string, unknown>,
  signal: AbortSignal,
): Promise<CallToolResult> {
  const { id, from } = readArguments(args);
  const [training, chunks] = await Promise.all([index.get(id, { signal }), index.chunks(id, { signal })]);
  // The same for what other groups have.
  if (!training) return { content: [{ type: "text", text: "There is no such training" }], isError: true };
  let chars = 0;
  const rest = chunks.filter(({ position }) => position >= from);
  const part = rest.filter(({ content }, place) => (chars += content.length) <= MAX_CHARS || place === 0);
  const next = rest[part.length]?.position ?? null;
  return {
    content: [{ type: "text", text: formatContext(part) }],
    structuredContent: {
      trainingId: id,
      metadata: training.metadata,
      start: part[0]?.start ?? 0,
      end: part.at(-1)?.end ?? 0,
      next,
    },
    isError: false,
  };
}

function readArguments({ id, from = 0, ...others }: Record<string, unknown>): { id: string; from: number } {
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) throw new InvalidArgumentError(unknown, "is not an argument: there are id and from");
  if (typeof id !== "string") throw new InvalidArgumentError("id", "must be a string");
  if (!(Number.isSafeInteger(from) && (from as number) >= 0)) {
    throw new InvalidArgumentError("from", "must be an integer of 0 or more");
  }
  return { id, from: from as number };
}
