import { format } from "node:util";
import { vi } from "vitest";

/** What a program that ran in this process printed, and its result. */
export interface Printed<Result> {
  result: Result;
  stdout: string;
  stderr: string;
}

/** Runs a program in this process, without the seconds that it takes to start one and to load the packages. */
export async function capturePrinted<Result>(program: () => Promise<Result>): Promise<Printed<Result>> {
  const printed = { stdout: "", stderr: "" };
  const spies = [
    vi.spyOn(console, "log").mockImplementation((...values) => {
      printed.stdout += `${format(...values)}\n`;
    }),
    vi.spyOn(console, "error").mockImplementation((...values) => {
      printed.stderr += `${format(...values)}\n`;
    }),
  ];
  try {
    const result = await program();
    return { result, ...printed };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}
