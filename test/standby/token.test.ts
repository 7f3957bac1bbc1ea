import { InvalidArgumentError } from "langchain-training-index";
import { describe, expect, it } from "vitest";
import { endOfLastRecord } from "../../src/standby/log-position.js";
import { checkConsistency, decodeToken, encodeToken, laterToken, type LogPosition } from "../../src/standby/token.js";

const POSITION: LogPosition = { system: "7712667318868033554", timeline: 3, lsn: 22_313_512n };

describe("Tokens of writes", () => {
  it.each([
    { name: "some", position: POSITION },
    { name: "the lowest", position: { system: "0", timeline: 1, lsn: 0n } },
    {
      name: "the highest",
      position: { system: (2n ** 64n - 1n).toString(), timeline: 2 ** 32 - 1, lsn: 2n ** 64n - 1n },
    },
  ])("a token says exactly its position: $name", ({ position }) => {
    const token = encodeToken(position);
    expect(token).toMatch(/^[0-9a-z_]{1,45}$/);
    expect(decodeToken(token, "token")).toEqual(position);
  });

  it.each([
    ...[
      "",
      "lti1",
      "lti1_1_1",
      "lti1_1_1_1_1",
      "lti2_1_1_1",
      " lti1_1_1_1",
      "lti1_1_1_1\n",
      "LTI1_1_1_1",
      "lti1_1_0_1",
    ],
    ...[
      "lti1_1_zzzzzzz_1",
      "lti1_zzzzzzzzzzzzz_1_1",
      "lti1_1_1_zzzzzzzzzzzzz",
      "lti1_-1_1_1",
      "lti1__1_1",
      `lti1_${"1".repeat(999)}_1_1`,
    ],
    ...[undefined, null, 7, 7n, {}, [], encodeToken(POSITION).slice(0, -20), `${encodeToken(POSITION)}%`],
  ])("what is no token is refused, without repeating it: %s", (given) => {
    const refused = (): unknown => checkConsistency({ consistency: { after: [given as string] } }, "similar");
    expect(refused).toThrow(InvalidArgumentError);
    expect(refused).toThrow(
      /^consistency\.after\[0\] is not a token of this library: pass the token of a write's result/,
    );
  });

  it("the options are checked", () => {
    const after = encodeToken(POSITION);
    const check = (consistency: object, client?: object): unknown =>
      checkConsistency({ consistency: consistency as { after: string }, client }, "get");
    expect(check({ after })).toEqual({ after: [POSITION], timeoutMs: 1_000 });
    expect(check({ after: [after, after], timeoutMs: 0 })).toEqual({ after: [POSITION, POSITION], timeoutMs: 0 });
    expect(checkConsistency({}, "get")).toBeUndefined();
    expect(() => check({ after: [] })).toThrow(/^consistency\.after must be a token, or a list of 1 to 1000 tokens/);
    expect(() => check({ after: Array.from({ length: 1001 }, () => after) })).toThrow(/1 to 1000 tokens/);
    expect(() => check({})).toThrow(/^consistency\.after is not a token/);
    expect(() => check({ after, timeoutMs: -1 })).toThrow(/^consistency\.timeoutMs must be an integer from 0 to 60000/);
    expect(() => check({ after, timeoutMs: Infinity })).toThrow(/^consistency\.timeoutMs/);
    expect(() => check({ after, timeout: 1 })).toThrow(
      /^consistency\.timeout is not known to get: did you mean timeoutMs/,
    );
    expect(() => check({ after }, {})).toThrow(/^consistency cannot be combined with client/);
  });

  it("the later of two tokens is that of the later timeline, then of the later place", () => {
    const at = (timeline: number, lsn: bigint): string => encodeToken({ ...POSITION, timeline, lsn });
    expect(laterToken(at(1, 9n), at(1, 10n))).toBe(at(1, 10n));
    expect(laterToken(at(2, 9n), at(1, 10n))).toBe(at(2, 9n));
    expect(laterToken(undefined, at(1, 1n))).toBe(at(1, 1n));
    expect(laterToken(at(1, 1n), undefined)).toBe(at(1, 1n));
    expect(laterToken(undefined, undefined)).toBeUndefined();
  });

  it.each([
    [8192n + 24n, 8192n],
    [0x1000000n + 40n, 0x1000000n],
    [8192n + 25n, 8192n + 25n],
    [8192n + 48n, 8192n + 48n],
    [16_384n, 16_384n],
  ])("a page of the log that holds only its header has no record: %s", (insertLsn, end) => {
    expect(endOfLastRecord(insertLsn, 8192n)).toBe(end);
  });
});
