/** A record of a CSV file. */
export interface CsvRecord {
  /** The line that it begins on, from 1. */
  line: number;
  fields: string[];
}

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
  let state: "start" | "plain" | "quoted" | "closed" = "start";
  let field = "";
  let record: CsvRecord = { line: 1, fields: [] };
  let line = 1;
  for await (const part of text) {
    for (const character of part) {
      if (character === "\n") line += 1;
      if (state === "quoted") {
        if (character === '"') state = "closed";
        else field += character;
      } else if (character === '"' && state === "start") {
        state = "quoted";
      } else if (character === '"' && state === "closed") {
        field += character;
        state = "quoted";
      } else if (character === delimiter || character === "\n") {
        const isEmptyLine = character === "\n" && state === "start" && record.fields.length === 0;
        record.fields.push(field);
        field = "";
        state = "start";
        if (character === "\n") {
          if (!isEmptyLine) yield record;
          record = { line, fields: [] };
        }
      } else if (character !== "\r") {
        if (state === "closed") throw fail(line, "has text behind a closing quote");
        field += character;
        state = "plain";
      }
    }
  }
  if (state === "quoted") throw fail(record.line, "has a quote that is never closed");
  if (state !== "start" || record.fields.length > 0) yield { ...record, fields: [...record.fields, field] };
}
