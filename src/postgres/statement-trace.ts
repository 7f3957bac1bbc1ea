import type { QueryResult } from "../calls/host-database.js";
import { statementChannel, traced, type StatementTrace } from "../calls/tracing.js";
import { nameOfStatement } from "./statement-names.js";

/** Publishes a statement while it runs. Every statement goes through this function. */
export function traceStatement(
  statement: string | { text: string },
  run: () => Promise<QueryResult>,
): Promise<QueryResult> {
  return traced(
    statementChannel,
    (): StatementTrace => {
      const text = typeof statement === "string" ? statement : statement.text;
      return { name: nameOfStatement(text), text };
    },
    run,
    (trace, result) => {
      trace.rows = (result as Partial<QueryResult> | undefined)?.rowCount ?? undefined;
    },
  );
}
