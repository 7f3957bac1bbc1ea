/** Helpers of the C11 tests: what an error must contain, and what it must not. */
import * as library from "langchain-training-index";
import { TrainingIndexError } from "langchain-training-index";
import { expect } from "vitest";
import { paragraph } from "./texts.js";

/** Occurs in texts, passwords and addresses of these tests. No error message may contain it. */
export const SECRET = "segredo";
const SECRETS = [SECRET, "0.123456", "127.0.0.1", "localhost", "postgres://", "postgresql://"];
/** A training whose text no error message may contain. */
export const TRAINING = { id: "a", content: paragraph(SECRET) };

/** Expects an error without secrets and with everything that a handler branches on. */
export function expectTyped(error: TrainingIndexError, expected: object): void {
  expect(error).toMatchObject(expected);
  expect(error).toBeInstanceOf(Error);
  expect(error).toBeInstanceOf(TrainingIndexError);
  expect(Object.entries(library).filter(([, value]) => value === error.constructor)).toEqual([
    [error.name, error.constructor],
  ]);
  expect(error.message).not.toBe("");
  expect(typeof error.retryable).toBe("boolean");
  expect(Object.keys(error)).not.toContain("cause"); // the cause may contain secrets, so it must not be serialized
  const texts = [error.message, String(error), JSON.stringify(error), error.stack?.split("\n    at ")[0] ?? ""];
  for (const text of texts) {
    for (const secret of SECRETS) expect(text).not.toContain(secret);
  }
}
