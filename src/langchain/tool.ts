import type { CallbackManagerForToolRun } from "@langchain/core/callbacks/manager";
import type { Document } from "@langchain/core/documents";
import type { ToolMessage } from "@langchain/core/messages/tool";
import { patchConfig, Runnable } from "@langchain/core/runnables";
import type {
  DynamicStructuredTool,
  StructuredToolCallInput,
  StructuredToolInterface,
  ToolReturnType,
  ToolRunnableConfig,
} from "@langchain/core/tools";
import type { JsonSchema7Type } from "@langchain/core/utils/json_schema";
import { awaitHostCode, runHostCode } from "../calls/host-code.js";
import { DatabaseError, EmbeddingError, InvalidArgumentError } from "../errors.js";
import { compileFilter } from "../filtering/filter.js";
import { citedContext, type Citation } from "../prompting/context.js";
import { allOf, definedOf } from "../searching/narrowed-search.js";
import type { Filter, Metadata } from "../types.js";
import type { RetrievedMetadata } from "./hit-document.js";
import { TrainingRetriever, type SearchableIndex } from "./retriever.js";
import {
  checkToolOptions,
  type CheckedTool,
  type TrainingToolOptions,
  type TrainingToolRuntime,
} from "./tool-options.js";

/** What a model calls a {@link TrainingTool} with: a question, and a choice for each of the `fields` that the host opened. */
export interface TrainingToolInput {
  query: string;
  [field: string]: string | number | boolean;
}

/** The `artifact` of a tool message: what the model does not read. */
export interface TrainingToolArtifact<OwnMetadata extends object = Metadata> {
  /** The documents that were found, best first, as a retriever returns them. */
  documents: Document<RetrievedMetadata<OwnMetadata>>[];
  /** The passage behind each number of the message's text. */
  citations: Citation[];
}

type LoadedTool = DynamicStructuredTool<JsonSchema7Type, TrainingToolInput, TrainingToolInput, string>;
type ToolInput = StructuredToolCallInput<JsonSchema7Type, TrainingToolInput>;

/**
 * A LangChain tool that searches a `TrainingIndex`, for `createAgent`, `ToolNode` and `bindTools`. A tool call returns a
 * message: its content are the numbered passages, its artifact a {@link TrainingToolArtifact}. Arguments that are not in the
 * schema are refused. The search is a retriever's, traced as a child of the tool's run; the `signal` of a call ends it.
 *
 * It does not extend LangChain's `StructuredTool`, but makes one at its first call: importing that class would add a sixth to the
 * time that this library takes to import.
 *
 * @example
 * ```ts
 * const tool = index.asTool<{ empresa: string }>({
 *   name: "search_trainings",
 *   description: "Finds passages of the company's knowledge base.",
 *   filter: ({ context }) => ({ empresa: context.empresa }),
 * });
 * const agent = createAgent({ model, tools: [tool] });
 * await agent.invoke({ messages }, { context: { empresa: "acme" } });
 * ```
 */
export class TrainingTool<Context = Record<string, unknown>>
  extends Runnable<ToolInput, string | ToolMessage>
  implements StructuredToolInterface<JsonSchema7Type, TrainingToolInput, string>
{
  static override lc_name(): string {
    return "TrainingTool";
  }

  override lc_namespace = ["langchain_training_index", "tools"];
  override readonly name: string;
  readonly description: string;
  /** The arguments of the model, as a JSON schema. */
  readonly schema: JsonSchema7Type;
  readonly returnDirect = false;
  readonly responseFormat = "content_and_artifact";
  readonly #index: SearchableIndex<object>;
  readonly #settings: CheckedTool<Context>;
  readonly #efSearch: number;
  #tool: Promise<LoadedTool> | undefined;

  /**
   * @param efSearch - the index's default `efSearch`, which caps that of calls
   * @throws {@link InvalidArgumentError} for an unknown or unusable option
   */
  constructor(index: SearchableIndex<object>, options: TrainingToolOptions<Context>, efSearch: number) {
    super();
    this.#settings = checkToolOptions(options);
    this.#index = index;
    this.#efSearch = efSearch;
    this.name = options.name;
    this.description = options.description;
    this.schema = this.#settings.schema;
  }

  /**
   * Searches. A tool call returns a `ToolMessage`; plain arguments return its content.
   *
   * @throws `ToolInputParsingException` of LangChain for arguments that do not match the schema
   * @throws {@link InvalidArgumentError} for a blank query, and if the host's `filter` throws or returns no filter
   * @throws {@link EmbeddingError} | {@link DatabaseError}, unless `onOutage` is set; {@link AbortError}
   */
  override async invoke<Input extends ToolInput, Config extends ToolRunnableConfig | undefined>(
    input: Input,
    config?: Config,
  ): Promise<ToolReturnType<Input, Config, string>> {
    this.#tool ??= this.#load();
    return (await this.#tool).invoke(input, config);
  }

  /** @deprecated LangChain's older name of {@link invoke}. */
  async call<Input extends ToolInput, Config extends ToolRunnableConfig | undefined>(
    input: Input,
    config?: Config,
  ): Promise<ToolReturnType<Input, Config, string>> {
    return this.invoke(input, config);
  }

  async #load(): Promise<LoadedTool> {
    const [{ DynamicStructuredTool }, { ToolMessage }] = await Promise.all([
      import("@langchain/core/tools"),
      import("@langchain/core/messages/tool"),
    ]);
    return new DynamicStructuredTool({
      ...this.#settings.run,
      name: this.name,
      description: this.description,
      schema: this.schema,
      responseFormat: this.responseFormat,
      verboseParsingErrors: true, // so that the model reads which argument is wrong
      func: async (
        input: TrainingToolInput,
        runManager?: CallbackManagerForToolRun,
        config: ToolRunnableConfig = {},
      ) => {
        const answer = await this.#search(input, runManager, config).catch((error: unknown) => {
          const content = this.#textOfOutage(error);
          const id = config.toolCall?.id;
          const message = { content, status: "error", name: this.name } as const;
          return [id === undefined ? content : new ToolMessage({ ...message, tool_call_id: id }), undefined];
        });
        return answer as unknown as string; // to LangChain's types a tool returns what `invoke` resolves to: the content
      },
    });
  }

  async #search(
    { query, ...chosen }: TrainingToolInput,
    runManager: CallbackManagerForToolRun | undefined,
    config: ToolRunnableConfig,
  ): Promise<[content: string, artifact: TrainingToolArtifact<object>]> {
    const { search, fieldNames, format, emptyText } = this.#settings;
    const choices = fieldNames.flatMap((name): Filter[] => {
      const value = chosen[name];
      return value === undefined ? [] : [{ [name]: value }];
    });
    const filter = [await this.#hostFilter(config), ...choices].reduce(allOf);
    const retriever = new TrainingRetriever(this.#index, { ...search, filter }, this.#efSearch);
    const childConfig = patchConfig(config, definedOf({ callbacks: runManager?.getChild() }));
    const documents = await retriever.invoke(query, childConfig);
    const { text, citations } = citedContext(documents, format);
    return [documents.length === 0 ? emptyText : text, { documents, citations }];
  }

  /** The host's filter for this call. One that is missing, such as `undefined`, must not mean "everything". */
  async #hostFilter(config: ToolRunnableConfig): Promise<Filter | undefined> {
    const { filter } = this.#settings;
    if (typeof filter !== "function") return filter;
    const runtime = config as TrainingToolRuntime<Context>;
    const returned = await awaitHostCode("filter", async () => filter(runtime));
    compileFilter(returned);
    return returned;
  }

  /** What the model reads during an outage. @throws the error itself, unless it is one that the host handles */
  #textOfOutage(error: unknown): string {
    const { onOutage } = this.#settings;
    // A question that is too long is the model's fault, which it can correct.
    const isOutage = DatabaseError.is(error) || (EmbeddingError.is(error) && error.code !== "TEXT_TOO_LONG");
    if (!onOutage || !isOutage) throw error;
    const text: unknown = runHostCode("onOutage", () => onOutage(error));
    if (typeof text !== "string") throw new InvalidArgumentError("onOutage", "must return a text", error);
    return text;
  }
}
