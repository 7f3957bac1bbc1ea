import type { BaseRetrieverInput } from "@langchain/core/retrievers";
import type { ToolRunnableConfig } from "@langchain/core/tools";
import type { JsonSchema7Type } from "@langchain/core/utils/json_schema";
import { checkFunction, checkList, checkNames, checkOptions, namesOfProperties } from "../calls/checks.js";
import { InvalidArgumentError, type DatabaseError, type EmbeddingError } from "../errors.js";
import { compileFilter } from "../filtering/filter.js";
import { isPlainObject } from "../filtering/filter-reader.js";
import { citedContext, FORMAT_OPTIONS, type FormatContextOptions } from "../prompting/context.js";
import { definedOf, type RetrieverSearch } from "../searching/narrowed-search.js";
import type { Filter } from "../types.js";
import { RETRIEVER_OPTIONS, retrieverSearch, type TrainingRetrieverOptions } from "./retriever.js";

/**
 * What a tool knows of the run that calls it: the config of the run, and in it the `context` that the host gave to
 * `agent.invoke`. In an agent it also has `state` and `toolCallId`. The model chooses none of `context`; `configurable` and
 * `state` may come from a client.
 */
export type TrainingToolRuntime<Context> = Omit<ToolRunnableConfig, "context"> & {
  context: Context;
  state?: unknown;
  toolCallId?: string | undefined;
};

/** The values of a metadata key that a model may choose from: all strings, all numbers, or all booleans. */
export type ToolFieldValues = readonly string[] | readonly number[] | readonly boolean[];

/** Options of `asTool`: what the model is told, and those of a retriever, which apply to every call. */
export interface TrainingToolOptions<Context = Record<string, unknown>> extends Omit<
  TrainingRetrieverOptions,
  "filter"
> {
  /** The tool's name, by which the model calls it: 1 to 64 letters, digits, `_` or `-`. */
  name: string;
  /** What the tool is for and when to call it, in the language of the prompt. */
  description: string;
  /**
   * Narrows every search, in addition to the filter of the index: a filter, or a function that returns one for each call, for
   * example of the context of the run. If the function throws or returns none, the call fails: nothing is searched.
   */
  filter?: Filter | ((runtime: TrainingToolRuntime<Context>) => Filter | Promise<Filter>) | undefined;
  /**
   * The metadata keys that the model may narrow a search by, each with the values that it may choose from, as in
   * `{ grupo: ["vendas", "suporte"] }`. A chosen value is ANDed with `filter`. Default: none.
   */
  fields?: Readonly<Record<string, ToolFieldValues>> | undefined;
  /** How passages are written for the model, as in `citedContext`; for example a `maxChars`. */
  format?: FormatContextOptions | undefined;
  /** What the model reads if nothing was found. Default `No passages were found.` */
  emptyText?: string | undefined;
  /**
   * Called if the embedder or the database fails: log the error, and return what the model reads instead of passages. The
   * message then has the status `error`. Without it the error is thrown. An aborted call always throws.
   */
  onOutage?: ((error: EmbeddingError | DatabaseError) => string) | undefined;
}

/** The options of a tool, checked, with every default filled in. */
export interface CheckedTool<Context> {
  /** LangChain's own options, for the run of the tool. */
  run: BaseRetrieverInput;
  /** Options of every search, without the filter. */
  search: RetrieverSearch;
  filter: TrainingToolOptions<Context>["filter"];
  fieldNames: string[];
  schema: JsonSchema7Type;
  format: FormatContextOptions;
  emptyText: string;
  onOutage: TrainingToolOptions<Context>["onOutage"];
}

const OWN_OPTIONS = namesOfProperties<Omit<TrainingToolOptions, keyof TrainingRetrieverOptions>>({
  name: true,
  description: true,
  fields: true,
  format: true,
  emptyText: true,
  onOutage: true,
});
/** What the APIs of the large models accept. */
const TOOL_NAME = /^[\w-]{1,64}$/;
const QUERY: JsonSchema7Type = { type: "string", description: "What to look for: a question, or a few words" };
const FIELD_TYPES = ["string", "number", "boolean"];

/** @throws {@link InvalidArgumentError} naming the option */
export function checkToolOptions<Context>(options: TrainingToolOptions<Context>): CheckedTool<Context> {
  checkOptions(options, [...RETRIEVER_OPTIONS, ...OWN_OPTIONS], "a tool");
  const { name, description, filter, fields = {}, format = {}, emptyText, onOutage, ...retriever } = options;
  if (typeof name !== "string" || !TOOL_NAME.test(name)) {
    throw new InvalidArgumentError("name", "must be 1 to 64 letters, digits, _ or -");
  }
  checkText("description", description);
  // A function's filter is checked when it is called.
  if (filter !== undefined && typeof filter !== "function") compileFilter(filter);
  checkNames(format, FORMAT_OPTIONS, "a tool", "format");
  citedContext([], format);
  if (emptyText !== undefined) checkText("emptyText", emptyText);
  const { callbacks, tags, metadata, verbose } = retriever;
  return {
    run: definedOf({ callbacks, tags, metadata, verbose }),
    search: retrieverSearch(retriever),
    filter,
    fieldNames: Object.keys(fields),
    schema: toSchema(fields),
    format: { ...format },
    emptyText: emptyText ?? "No passages were found.",
    onOutage: checkFunction("onOutage", onOutage),
  };
}

function checkText(option: string, text: unknown): void {
  if (typeof text !== "string" || text.trim() === "") throw new InvalidArgumentError(option, "must be a text");
}

/** The arguments of the model: a question, and a choice for each field. Any other argument is refused. */
function toSchema(fields: Readonly<Record<string, unknown>>): JsonSchema7Type {
  if (!isPlainObject(fields)) {
    throw new InvalidArgumentError("fields", 'must be an object of metadata keys and lists: { grupo: ["vendas"] }');
  }
  const choices = Object.entries(fields).map(([key, values]): [string, JsonSchema7Type] => [
    key,
    toChoice(key, values, `fields.${key}`),
  ]);
  return {
    type: "object",
    properties: Object.fromEntries<JsonSchema7Type>([["query", QUERY], ...choices]),
    required: ["query"],
    additionalProperties: false,
  };
}

function toChoice(key: string, values: unknown, option: string): JsonSchema7Type {
  if (key === "query") throw new InvalidArgumentError(option, "cannot be a field: query is the model's question");
  checkList(option, values);
  const list = [...(values as readonly (string | number | boolean)[])];
  const type = typeof list[0];
  if (!FIELD_TYPES.includes(type) || list.some((value) => typeof value !== type)) {
    throw new InvalidArgumentError(option, "must be a list of strings, of numbers, or of booleans, with at least one");
  }
  for (const value of list) compileFilter({ [key]: value }, "fields");
  return { type, enum: list } as JsonSchema7Type;
}
