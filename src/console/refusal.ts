import { AbortError, InvalidArgumentError, TrainingIndexError, type ErrorCode } from "../errors.js";
import { HttpError } from "../http/request.js";

/** What the console itself refuses, as a constant that the page has a text for. */
export const refusalCodes = [
  "TOKEN_MISSING",
  "FOREIGN_REQUEST",
  "READ_ONLY",
  "ID_TAKEN",
  "ID_INVALID",
  "TEXT_INVALID",
  "METADATA_INVALID",
  "QUESTION_INVALID",
  "CHANGED",
  "GONE",
  "HOST_ROW_MISSING",
  "DAMAGED_TRAINING",
  "IN_PARTS",
  "TOO_LARGE",
  "BAD_REQUEST",
  "UNEXPECTED",
] as const;

/** One of {@link refusalCodes}. */
export type RefusalCode = (typeof refusalCodes)[number];

/** A request that the console does not serve. */
export class Refusal extends Error {
  readonly code: RefusalCode;

  constructor(code: RefusalCode) {
    super(code);
    this.code = code;
  }
}

/** Why a request failed, and the status of the response. */
export interface Failure {
  code: RefusalCode | ErrorCode;
  status: number;
}

const STATUSES: Partial<Record<string, number>> = {
  TOKEN_MISSING: 401,
  FOREIGN_REQUEST: 403,
  READ_ONLY: 403,
  GONE: 404,
  CHANGED: 409,
  ID_TAKEN: 409,
  TOO_LARGE: 413,
  UNEXPECTED: 500,
};

/** The option of an {@link InvalidArgumentError}, and what the page says about it. */
const ARGUMENTS: readonly (readonly [option: RegExp, code: RefusalCode])[] = [
  [/^(?:training\.)?(?:id|after)\b/, "ID_INVALID"],
  [/^(?:training\.)?content\b/, "TEXT_INVALID"],
  [/^(?:training\.)?metadata\b/, "METADATA_INVALID"],
  [/^query\b/, "QUESTION_INVALID"],
];

/** What a request failed with. The messages of errors are for logs: the page has texts of its own. */
export function failureOf(error: unknown): Failure {
  if (error instanceof Refusal) return { code: error.code, status: STATUSES[error.code] ?? 400 };
  if (error instanceof HttpError) {
    return { code: error.status === 413 ? "TOO_LARGE" : "BAD_REQUEST", status: error.status };
  }
  if (InvalidArgumentError.is(error)) {
    const [, code = "BAD_REQUEST"] = ARGUMENTS.find(([option]) => option.test(error.option)) ?? [];
    return { code, status: 400 };
  }
  if (AbortError.is(error)) return { code: "TIMEOUT", status: 504 };
  if (TrainingIndexError.is(error)) return { code: error.code, status: error.retryable ? 503 : 500 };
  return { code: "UNEXPECTED", status: 500 };
}
