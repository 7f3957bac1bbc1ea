import Table from "cli-table3";

/** A table for the terminal, without colours, so that it reads the same in a log. */
export function table(head: string[], rows: (string | number)[][], widths?: number[]): string {
  const printed = new Table({
    head,
    style: { head: [], border: [] },
    chars: { mid: "", "left-mid": "", "mid-mid": "", "right-mid": "" },
    wordWrap: true,
    ...(widths ? { colWidths: widths } : {}),
  });
  printed.push(...rows);
  return printed.toString();
}
