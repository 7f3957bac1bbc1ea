import Table from "cli-table3";
import type { TestCase, TestModule } from "vitest/node";
import type { Reporter } from "vitest/reporters";

/** `C2 Ordered, on the server database`; a suite that proves several clauses names them all. */
const CLAUSE = /^((?:C\d+ )+)(.*?)(?:, on .*)?$/;

interface ClauseCount {
  name: string;
  passed: number;
  failed: number;
  skipped: number;
}

/** Prints, after a run of `test/contract`, what was found of each clause of the contract. */
export class ContractReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const clauses = new Map<string, ClauseCount>();
    for (const module of modules) {
      if (!module.moduleId.includes("/test/contract/")) continue;
      for (const test of module.children.allTests()) count(clauses, test);
    }
    if (clauses.size === 0) return;
    const table = new Table({
      head: ["clause", "", "tests", "passed", "failed", "left out", "result"],
      style: { head: [], border: [] },
      chars: { mid: "", "left-mid": "", "mid-mid": "", "right-mid": "" },
    });
    const numbered = [...clauses].sort(([left], [right]) => Number(left.slice(1)) - Number(right.slice(1)));
    for (const [clause, { name, passed, failed, skipped }] of numbered) {
      const result = failed > 0 ? "BROKEN" : passed > 0 ? "holds" : "not tested";
      table.push([clause, name, passed + failed + skipped, passed, failed, skipped, result]);
    }
    console.log(`\nThe contract, clause by clause:\n${table.toString()}`);
  }
}

function count(clauses: Map<string, ClauseCount>, test: TestCase): void {
  const match = CLAUSE.exec(suiteTitle(test));
  if (!match) return;
  const [, numbers = "", name = ""] = match;
  for (const clause of numbers.trim().split(" ")) {
    const known = clauses.get(clause) ?? { name, passed: 0, failed: 0, skipped: 0 };
    // A clause is called after the suite that proves it alone.
    if (numbers.trim() === clause) known.name = name;
    clauses.set(clause, known);
    const { state } = test.result();
    if (state === "passed" || state === "failed" || state === "skipped") known[state] += 1;
    else known.failed += 1; // it did not come to an end
  }
}

function suiteTitle(test: TestCase): string {
  let { parent } = test;
  while (parent.type === "suite" && parent.parent.type === "suite") parent = parent.parent;
  return parent.type === "suite" ? parent.name : "";
}
