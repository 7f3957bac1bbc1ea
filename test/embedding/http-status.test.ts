import { describe, expect, it } from "vitest";
import { httpStatusOf, isFinalStatus } from "../../src/embedding/http-status.js";

describe("isFinalStatus", () => {
  it.each([400, 401, 404, 413, 499])("is true for %d, which a repeat of the request would get again", (status) => {
    expect(isFinalStatus(status)).toBe(true);
  });

  it.each([0, 200, 399, 408, 429, 500, 503])("is false for %d, which may be transient", (status) => {
    expect(isFinalStatus(status)).toBe(false);
  });
});

describe("httpStatusOf", () => {
  it.each([
    [{ status: 400 }, 400],
    [{ status_code: 401 }, 401],
    [{ status_code: 404, status: 500 }, 404],
    [{ status_code: "404", status: 500 }, 500],
    [{ status: "404" }, undefined],
    [{}, undefined],
    [new Error("fetch failed"), undefined],
    ["404", undefined],
    [null, undefined],
    [undefined, undefined],
  ])("of %j is %s", (error, status) => {
    expect(httpStatusOf(error)).toBe(status);
  });
});
