/** What is bound to a parameter of a condition. */
export type BoundValue = string | readonly string[];

/**
 * A condition on the metadata of a row, which is met or not met and never `NULL`. The text depends on the shape of a
 * filter alone, and so filters of one shape are one statement: keys and values only ever travel as bound values.
 */
export interface Condition {
  /** SQL whose parameters are numbered from `$1`. */
  text: string;
  values: readonly BoundValue[];
}

const PARAMETER = /\$(\d+)/g;

/** The SQL of a condition in a statement where its parameters are numbered from another number. */
export function numberedFrom(first: number, text: string): string {
  return text.replace(PARAMETER, (_, number: string) => `$${Number(number) + first - 1}`);
}

/** @param conditions - at least one */
export function allOf(conditions: readonly Condition[]): Condition {
  return join(conditions, " AND ");
}

/** @param conditions - at least one */
export function anyOf(conditions: readonly Condition[]): Condition {
  return join(conditions, " OR ");
}

/** Whatever does not meet the condition. */
export function noneOf({ text, values }: Condition): Condition {
  return { text: `(NOT ${text})`, values };
}

function join(conditions: readonly Condition[], operator: string): Condition {
  const [first] = conditions;
  // An empty list of conditions must not become a condition that all rows meet.
  if (!first) throw new RangeError("no conditions");
  if (conditions.length === 1) return first;
  const values: BoundValue[] = [];
  const texts = conditions.map((condition) => {
    const text = numberedFrom(values.length + 1, condition.text);
    // Not `push(...values)`: a call takes some 100,000 arguments.
    for (const value of condition.values) values.push(value);
    return text;
  });
  return { text: `(${texts.join(operator)})`, values };
}
