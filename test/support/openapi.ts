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
  headers?: Record<string, DescribedHeader | Reference>;
  content?: Record<string, { schema: object }>;
}

/** To a part of the description: `#/components/responses/Invalid`. */
interface Reference {
  $ref: string;
}

interface Description {
  paths: Record<string, Record<string, { responses: Record<string, DescribedResponse | Reference> }>>;
}

/** An operation of the description. */
type Operation = readonly [path: string, method: string];
const SEARCH: Operation = ["/oraculo/similarity", "post"];
/** The operation of `healthHandler`. */
export const HEALTH: Operation = ["/health", "get"];
/** The operations of `trainingsHandler`. */
export const TRAININGS = {
  list: ["/trainings", "get"],
  get: ["/trainings/{id}", "get"],
  put: ["/trainings/{id}", "put"],
  delete: ["/trainings/{id}", "delete"],
} as const satisfies Record<string, Operation>;

const description = parse(readFileSync(new URL("../../docs/openapi.yaml", import.meta.url), "utf8")) as Description;
const responsesOf = ([path, method]: Operation): Record<string, DescribedResponse | Reference> =>
  description.paths[path]?.[method]?.responses ?? {};

// OpenAPI has keywords that JSON Schema does not (`example`, `components`, ...).
const ajv = new Ajv2020({ strict: false, allErrors: true, formats: { "date-time": isDateTime } });
ajv.addSchema(description, "openapi.yaml");

function isDateTime(text: string): boolean {
  return !Number.isNaN(Date.parse(text)) && new Date(text).toISOString() === text;
}

/** Headers that the HTTP server adds to every answer. */
const TRANSPORT_HEADERS = new Set(["content-type", "content-length", "connection", "keep-alive", "date"]);

const answered = new Map<Operation, Set<string>>(
  [SEARCH, HEALTH, ...Object.values(TRAININGS)].map((operation) => [operation, new Set()]),
);

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
  const [described, pointer] = resolve<DescribedResponse>(
    responsesOf(operation)[status],
    `#/${["paths", ...operation, "responses", status.toString()].map(escaped).join("/")}`,
  );
  expect(described, `status ${status} in docs/openapi.yaml`).toBeDefined();
  checkHeaders(headers, described?.headers ?? {});
  const type = headers.get("content-type") ?? "";
  expect(Object.keys(described?.content ?? {})).toEqual([type]);
  if (text === undefined) return;
  const validate = validatorAt(`${pointer}/content/${escaped(type)}/schema`);
  expect(validate(JSON.parse(text)), ajv.errorsText(validate.errors)).toBe(true);
}

/** Checks that the described headers match, and that there are no others. */
function checkHeaders(headers: Headers, described: Record<string, DescribedHeader | Reference>): void {
  for (const [name, given] of Object.entries(described)) {
    const [{ required = false, schema } = { schema: {} }] = resolve<DescribedHeader>(given, "");
    const value = headers.get(name);
    if (required) expect(value, name).not.toBeNull();
    if (value !== null) expect(ajv.validate(schema, /^\d+$/.test(value) ? Number(value) : value), name).toBe(true);
  }
  const named = Object.keys(described).map((name) => name.toLowerCase());
  const others = [...headers.keys()].filter((name) => !named.includes(name) && !TRANSPORT_HEADERS.has(name));
  expect(others).toEqual([]);
}

/** What a part of the description is or refers to, and its pointer. */
function resolve<Part extends object>(
  part: Part | Reference | undefined,
  pointer: string,
): [part: Part | undefined, pointer: string] {
  if (!part || !("$ref" in part)) return [part, pointer];
  const place = part.$ref.split("/").slice(1);
  const found = place.reduce<unknown>((outer, key) => (outer as Record<string, unknown>)[key], description);
  return [found as Part, part.$ref];
}

function escaped(part: string): string {
  return part.replaceAll("~", "~0").replaceAll("/", "~1");
}

/** The schema at a pointer of the description. */
function validatorAt(pointer: string): ValidateFunction {
  const validate = ajv.getSchema(`openapi.yaml${encodeURI(pointer)}`);
  if (!validate) throw new Error(`no schema at ${pointer} in docs/openapi.yaml`);
  return validate;
}

/** The statuses of all answers of an operation checked so far. */
export function answeredStatuses(operation: Operation = SEARCH): string[] {
  return [...(answered.get(operation) ?? [])].sort();
}

/** The statuses in the description of an operation. */
export function describedStatuses(operation: Operation = SEARCH): string[] {
  return Object.keys(responsesOf(operation)).sort();
}

/** Whether a request body matches a schema of the description. */
export function isDescribedRequest(body: unknown, schema = "Search"): boolean {
  return validatorAt(`#/components/schemas/${schema}`)(body);
}
