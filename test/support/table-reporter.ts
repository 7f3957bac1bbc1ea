import Table from "cli-table3";
import type { TestCase, TestModule } from "vitest/node";
import type { Reporter } from "vitest/reporters";

/** The content of a table, and how its lines follow from the titles of suites. */
interface TableKind {
  /** The folder of the counted tests. */
  folder: string;
  title: string;
  /** The heads of the columns that name a line. */
  head: readonly string[];
  /** The result of a line if all of its tests passed, and if one failed. */
  results: readonly [string, string];
  /** The first columns of each line to which a suite counts. */
  linesOf: (suite: string) => string[][];
  compare: (left: string, right: string) => number;
}

/** A line of a table, with its tests on all databases. */
interface Line {
  columns: string[];
  /** The number of tests on each database; every database has the same cases. */
  cases: Map<string, number>;
  passed: number;
  failed: number;
  skipped: number;
}

/** `C2 Ordered`; a suite that proves several clauses names them all. */
const CLAUSE = /^((?:C\d+ )+)(.*)$/;

/** The results of `test/contract`, clause by clause. */
export const contractTable: TableKind = {
  folder: "/test/contract/",
  title: "The contract, clause by clause",
  head: ["clause", ""],
  results: ["holds", "BROKEN"],
  linesOf: (suite) => {
    const [, numbers = "", name = ""] = CLAUSE.exec(suite) ?? [];
    const clauses = numbers.split(" ").filter(Boolean);
    // The name of a clause is in the title of a suite that proves it alone.
    return clauses.map((clause) => (clauses.length === 1 ? [clause, name] : [clause]));
  },
  compare: (left, right) => Number(left.slice(1)) - Number(right.slice(1)),
};

/** The results of `test/conformance`, suite by suite. */
export const conformanceTable: TableKind = {
  folder: "/test/conformance/",
  title: "The cases of other projects' suites",
  head: ["suite"],
  results: ["conforms", "DIFFERS"],
  linesOf: (suite) => [[suite]],
  compare: (left, right) => left.localeCompare(right),
};

/** Prints, after a run, a table of the tests in one folder. */
export class TableReporter implements Reporter {
  readonly #kind: TableKind;

  constructor(kind: TableKind) {
    this.#kind = kind;
  }

  onTestRunEnd(modules: readonly TestModule[]): void {
    const { folder, title, head, results, compare } = this.#kind;
    const lines = new Map<string, Line>();
    for (const module of modules) {
      if (!module.moduleId.includes(folder)) continue;
      for (const test of module.children.allTests()) this.#count(lines, test);
    }
    if (lines.size === 0) return;
    const table = new Table({
      head: [...head, "cases", "tests", "passed", "failed", "left out", "result"],
      style: { head: [], border: [] },
      chars: { mid: "", "left-mid": "", "mid-mid": "", "right-mid": "" },
    });
    for (const [, line] of [...lines].sort(([left], [right]) => compare(left, right))) {
      const { columns, cases, passed, failed, skipped } = line;
      const result = failed > 0 ? results[1] : passed > 0 ? results[0] : "not tested";
      const names = head.map((_, place) => columns[place] ?? "");
      table.push([...names, Math.max(...cases.values()), passed + failed + skipped, passed, failed, skipped, result]);
    }
    console.log(`\n${title}:\n${table.toString()}`);
  }

  #count(lines: Map<string, Line>, test: TestCase): void {
    const { suite, database } = placeOf(test);
    for (const columns of this.#kind.linesOf(suite)) {
      const [key = ""] = columns;
      const line: Line = lines.get(key) ?? { columns, cases: new Map(), passed: 0, failed: 0, skipped: 0 };
      if (columns.length > line.columns.length) line.columns = columns;
      lines.set(key, line);
      line.cases.set(database, (line.cases.get(database) ?? 0) + 1);
      const { state } = test.result();
      if (state === "passed" || state === "failed" || state === "skipped") line[state] += 1;
      else line.failed += 1; // it did not finish
    }
  }
}

/** Splits the title of a test's outermost suite, `C2 Ordered, on the server database`, into suite and database. */
function placeOf(test: TestCase): { suite: string; database: string } {
  let { parent } = test;
  while (parent.type === "suite" && parent.parent.type === "suite") parent = parent.parent;
  const title = parent.type === "suite" ? parent.name : "";
  const [suite = "", database = ""] = title.split(", on the ");
  return { suite, database };
}
