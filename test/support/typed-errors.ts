/** What the tests of C11 share: what an error of the library may not say, and what it has to. */
import * as library from "langchain-training-index";
import { TrainingIndexError } from "langchain-training-index";
import { expect } from "vitest";
import { paragraph } from "./texts.js";

/** In texts, passwords, vectors and addresses of these tests; no message may hold one of them. */
export const SECRET = "segredo";
const SECRETS = [SECRET, "0.123456", "127.0.0.1", "localhost", "postgres://", "postgresql://"];
/** A training whose text no message may hold. */
export const TRAINING = { id: "a", content: paragraph(SECRET) };

/** An error as its reader gets it: no secrets, and all that a handler branches on. */
export function expectTyped(error: TrainingIndexError, expected: object): void {
  expect(error).toMatchObject(expected);
  expect(error).toBeInstanceOf(Error);
  expect(error).toBeInstanceOf(TrainingIndexError);
  expect(Object.entries(library).filter(([, value]) => value === error.constructor)).toEqual([
    [error.name, error.constructor],
  ]);
  expect(error.message).not.toBe("");
  expect(typeof error.retryable).toBe("boolean");
  expect(Object.keys(error)).not.toContain("cause"); // which may hold what the message leaves out
  const texts = [
    error.message,
    String(error),
    JSON.stringify(error),
    error.stack?.split("\n    at ")[0] ?? "",
  ];
  for (const text of texts) {
    for (const secret of SECRETS) expect(text).not.toContain(secret);
  }
}
