import { readFileSync } from "node:fs";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import type { SimilarityHandlerOptions } from "langchain-training-index/http";
import { expect } from "vitest";
import { parse } from "yaml";

interface Description {
  paths: Record<string, { post: { responses: Record<string, { $ref?: string }> } }>;
  components: { schemas: object };
}

const description = parse(
  readFileSync(new URL("../../docs/openapi.yaml", import.meta.url), "utf8"),
) as Description;
const { responses } = description.paths["/oraculo/similarity"]?.post ?? { responses: {} };

// OpenAPI's own words (`example`, `components`, ...) are none of JSON Schema's.
const ajv = new Ajv2020({ strict: false, allErrors: true });
ajv.addSchema(description, "openapi.yaml");

const answered = new Set<string>();

/** Checks an answer of the handler against `docs/openapi.yaml`: its status, its type, and its body. */
export function checkAgainstDescription(
  { status, headers }: Response,
  text: string,
  { fields, toResult }: SimilarityHandlerOptions = {},
): void {
  answered.add(status.toString());
  const described = responses[status];
  expect(described, `status ${status} in docs/openapi.yaml`).toBeDefined();
  expect(headers.get("content-type")).toBe("application/json");
  // The description is that of the default names.
  if (status === 200 && (fields ?? toResult)) return;
  const validate = schemaOf(status === 200 ? "Results" : "Failure");
  expect(validate(JSON.parse(text)), ajv.errorsText(validate.errors)).toBe(true);
}

/** The statuses of all answers that were checked so far. */
export function answeredStatuses(): string[] {
  return [...answered].sort();
}

/** The statuses that the page names. */
export function describedStatuses(): string[] {
  return Object.keys(responses).sort();
}

/** Whether a body is one that the page says callers can send. */
export function isDescribedRequest(body: unknown): boolean {
  return schemaOf("Search")(body);
}

function schemaOf(name: string): ValidateFunction {
  const validate = ajv.getSchema(`openapi.yaml#/components/schemas/${name}`);
  if (!validate) throw new Error(`no schema ${name} in docs/openapi.yaml`);
  return validate;
}
