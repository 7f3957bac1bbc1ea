import { pipeline, Readable } from "node:stream";
import type { Info } from "csv-parse";

/** A record of a CSV file. */
export interface CsvRecord {
  /** The line that it begins on, from 1. */
  line: number;
  fields: string[];
}

/** A quote that is never closed would read the rest of a file into one record. */
const MAX_RECORD_BYTES = 100 * 1024 * 1024;

/** What is wrong with a record. The messages of the parser quote the file. */
const PROBLEMS: Readonly<Record<string, string>> = {
  CSV_QUOTE_NOT_CLOSED: "has a quote that is never closed",
  CSV_INVALID_CLOSING_QUOTE: "has text behind a closing quote",
  INVALID_OPENING_QUOTE:
    "has a quote inside a field that does not begin with one: write the field in quotes, and quotes in it twice",
  CSV_MAX_RECORD_SIZE: "is longer than 100 MB: is a quote before it not closed?",
};

/**
 * Splits CSV (RFC 4180) into records: fields in double quotes can contain delimiters, line breaks and doubled quotes. Empty lines are left out.
 *
 * @param text - in parts of any length
 * @param fail - makes the error for a line, from 1
 */
export async function* readCsv(
  text: AsyncIterable<string>,
  delimiter: string,
  fail: (line: number, problem: string) => Error,
): AsyncGenerator<CsvRecord, void, undefined> {
  const { parse } = await import("csv-parse");
  let problem: { line: number; code: string } | undefined;
  const parser = parse({
    delimiter,
    record_delimiter: ["\r\n", "\n"],
    skip_empty_lines: true,
    relax_column_count: true, // checked by the caller, who knows the columns
    max_record_size: MAX_RECORD_BYTES,
    info: true,
    // A stream that fails discards the records before: the caller would not hear that the first line has no such column.
    skip_records_with_error: true,
    on_skip: (error) => {
      if (error) problem ??= { line: Number(error["lines"]), code: error.code };
      return undefined;
    },
  });
  pipeline(Readable.from(text), parser, noop); // the iteration throws errors of the source
  for await (const { record: fields, info } of parser as AsyncIterable<{ record: string[]; info: Info }>) {
    if (problem && info.lines > problem.line) break;
    const breaks = fields.reduce((sum, field) => sum + field.split("\n").length - 1, 0);
    yield { line: info.lines - breaks, fields };
  }
  if (problem) throw fail(problem.line, PROBLEMS[problem.code] ?? "cannot be read as CSV");
}

function noop(): void {
  // See above.
}
