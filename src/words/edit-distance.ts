/**
 * How many errors turn one word into another: letters that are missing, added or wrong, and neighboring letters that are swapped
 * (optimal string alignment).
 *
 * @param left - in UTF-16 units, as `right`
 * @param most - counting stops above it
 * @returns the number of errors, or `Infinity` if it is more than `most`
 */
export function editDistance(left: string, right: string, most: number): number {
  if (Math.abs(left.length - right.length) > most) return Infinity;
  const [from, to] = [left.split(""), right.split("")];
  let beforeLast: number[] = [];
  let last = [0, ...to.map((_, index) => index + 1)];
  for (const [row, letter] of from.entries()) {
    const current = [row + 1];
    let lowest = row + 1;
    for (const [column, other] of to.entries()) {
      let errors = Math.min(
        (last[column + 1] ?? 0) + 1,
        (current[column] ?? 0) + 1,
        (last[column] ?? 0) + (letter === other ? 0 : 1),
      );
      const isSwapped = row > 0 && column > 0 && letter === to[column - 1] && from[row - 1] === other;
      if (isSwapped) errors = Math.min(errors, (beforeLast[column - 1] ?? 0) + 1);
      current.push(errors);
      lowest = Math.min(lowest, errors);
    }
    // Not conclusive from one row: a swap looks back two.
    if (lowest > most && Math.min(...last) > most) return Infinity;
    [beforeLast, last] = [last, current];
  }
  const errors = last.at(-1) ?? 0;
  return errors <= most ? errors : Infinity;
}
