/** Leaves out the tests that cannot be on a Citus cluster, and says why. */
import { beforeEach } from "vitest";

/** By the end of the full title, the reason. */
const EXCLUDED_TESTS: Readonly<Record<string, string>> = {};

beforeEach((context) => {
  const names: string[] = [];
  for (
    let task: { name: string; suite?: { name: string } | undefined } | undefined = context.task;
    task;
    task = task.suite
  )
    names.unshift(task.name);
  const reason = EXCLUDED_TESTS[names.slice(-1)[0] ?? ""];
  if (reason !== undefined) context.skip(`on Citus: ${reason}`);
});
