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
  const { CsvError, parse } = await import("csv-parse");
  const parser = parse({
    delimiter,
    record_delimiter: ["\r\n", "\n"],
    skip_empty_lines: true,
    relax_column_count: true, // checked by the caller, who knows the columns
    max_record_size: MAX_RECORD_BYTES,
    info: true,
  });
  pipeline(Readable.from(text), parser, noop); // the iteration throws the errors of both
  try {
    for await (const { record: fields, info } of parser as AsyncIterable<{ record: string[]; info: Info }>) {
      const breaks = fields.reduce((sum, field) => sum + field.split("\n").length - 1, 0);
      yield { line: info.lines - breaks, fields };
    }
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    throw fail(error["lines"] as number, PROBLEMS[error.code] ?? "cannot be read as CSV");
  }
}

function noop(): void {
  // See above.
}
