import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Progress } from "../../src/cli/session/progress.js";
import { recordedOutput } from "./command-terminal.js";

describe("Progress", () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["performance"] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("draws a bar on a terminal, and removes it at the end", () => {
    const output = recordedOutput(true);
    const progress = new Progress(output, "stored", 200);
    progress.update(1);
    vi.advanceTimersByTime(100);
    progress.update(100, "7 chunks embedded");
    progress.update(101);
    progress.end();
    const bar = `[${"#".repeat(15)}${" ".repeat(15)}]`;
    expect(output.text).toBe(`\r\x1b[K${bar} stored 100 of 200, 7 chunks embedded\r\x1b[K`);
  });

  it("writes a line every five seconds elsewhere", () => {
    const output = recordedOutput();
    const progress = new Progress(output, "verified", undefined);
    for (let count = 1; count <= 12; count++) {
      vi.advanceTimersByTime(1_000);
      progress.update(count);
    }
    progress.end();
    expect(output.text).toBe("verified 5\nverified 10\n");
  });
});
