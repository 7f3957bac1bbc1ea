import { readFileSync } from "node:fs";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import type { SimilarityHandlerOptions } from "langchain-training-index/http";
import { expect } from "vitest";
import { parse } from "yaml";

interface DescribedHeader {
  required?: boolean;
  schema: object;
}

interface DescribedResponse {
  headers?: Record<string, DescribedHeader>;
  content?: Record<string, { schema: object }>;
}

interface Description {
  paths: Record<string, Record<string, { responses: Record<string, DescribedResponse> }>>;
}

/** An operation of the description. */
type Operation = readonly [path: string, method: string];
const SEARCH: Operation = ["/oraculo/similarity", "post"];
/** The operation of `healthHandler`. */
export const HEALTH: Operation = ["/health", "get"];

const description = parse(readFileSync(new URL("../../docs/openapi.yaml", import.meta.url), "utf8")) as Description;
const responsesOf = ([path, method]: Operation): Record<string, DescribedResponse> =>
  description.paths[path]?.[method]?.responses ?? {};

// OpenAPI has keywords that JSON Schema does not (`example`, `components`, ...).
const ajv = new Ajv2020({ strict: false, allErrors: true });
ajv.addSchema(description, "openapi.yaml");

/** Headers that the HTTP server adds to every answer. */
const TRANSPORT_HEADERS = new Set(["content-type", "content-length", "connection", "keep-alive", "date"]);

const answered = new Map<Operation, Set<string>>([SEARCH, HEALTH].map((operation) => [operation, new Set()]));

/** Checks an answer of a search against `docs/openapi.yaml`: its status, its type, and its body. */
export function checkAgainstDescription(
  response: Response,
  text: string,
  { fields, toResult }: SimilarityHandlerOptions = {},
): void {
  // The description uses the default field names.
  checkAnswer(SEARCH, response, response.status === 200 && (fields ?? toResult) ? undefined : text);
}

/** Checks an answer against `docs/openapi.yaml`: its status, its headers, and unless it is `undefined` its body. */
export function checkAnswer(operation: Operation, { status, headers }: Response, text: string | undefined): void {
  answered.get(operation)?.add(status.toString());
  const described = responsesOf(operation)[status];
  expect(described, `status ${status} in docs/openapi.yaml`).toBeDefined();
  checkHeaders(headers, described?.headers ?? {});
  const type = headers.get("content-type") ?? "";
  expect(Object.keys(described?.content ?? {})).toEqual([type]);
  if (text === undefined) return;
  const validate = validatorAt("paths", ...operation, "responses", status, "content", type, "schema");
  expect(validate(JSON.parse(text)), ajv.errorsText(validate.errors)).toBe(true);
}

/** Checks that the described headers match, and that there are no others. */
function checkHeaders(headers: Headers, described: Record<string, DescribedHeader>): void {
  for (const [name, { required = false, schema }] of Object.entries(described)) {
    const value = headers.get(name);
    if (required) expect(value, name).not.toBeNull();
    if (value !== null) expect(ajv.validate(schema, /^\d+$/.test(value) ? Number(value) : value), name).toBe(true);
  }
  const named = Object.keys(described).map((name) => name.toLowerCase());
  const others = [...headers.keys()].filter((name) => !named.includes(name) && !TRANSPORT_HEADERS.has(name));
  expect(others).toEqual([]);
}

/** The schema at a path of the description. */
function validatorAt(...path: (string | number)[]): ValidateFunction {
  const pointer = path.map((part) => part.toString().replaceAll("~", "~0").replaceAll("/", "~1")).join("/");
  const validate = ajv.getSchema(`openapi.yaml#/${pointer}`);
  if (!validate) throw new Error(`no schema at ${pointer} in docs/openapi.yaml`);
  return validate;
}

/** The statuses of all answers of an operation checked so far. */
export function answeredStatuses(operation = SEARCH): string[] {
  return [...(answered.get(operation) ?? [])].sort();
}

/** The statuses in the description of an operation. */
export function describedStatuses(operation = SEARCH): string[] {
  return Object.keys(responsesOf(operation)).sort();
}

/** Whether a request body matches the description. */
export function isDescribedRequest(body: unknown): boolean {
  return validatorAt("components", "schemas", "Search")(body);
}
