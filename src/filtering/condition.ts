/** A value bound to a parameter of a condition. */
export type BoundValue = string | readonly string[];

/**
 * A condition on the metadata of a row that is true or false, never `NULL`. Keys and values are always bound, so the
 * text depends only on the shape of a filter, and filters of the same shape share a statement.
 */
export interface Condition {
  /** SQL whose parameters are numbered from `$1`. */
  text: string;
  values: readonly BoundValue[];
}

const PARAMETER = /\$(\d+)/g;

/** The SQL of a condition with its parameters numbered from `first`. */
export function numberedFrom(first: number, text: string): string {
  return text.replace(PARAMETER, (_, number: string) => `$${Number(number) + first - 1}`);
}

/** As {@link numberedFrom}; true without a condition. */
export function optionalFrom(first: number, text: string | undefined): string {
  return text === undefined ? "true" : numberedFrom(first, text);
}

/** @param conditions - at least one */
export function allOf(conditions: readonly Condition[]): Condition {
  return join(conditions, " AND ");
}

/** @param conditions - at least one */
export function anyOf(conditions: readonly Condition[]): Condition {
  return join(conditions, " OR ");
}

/** The negation of a condition. */
export function not({ text, values }: Condition): Condition {
  return { text: `(NOT ${text})`, values };
}

function join(conditions: readonly Condition[], operator: string): Condition {
  const [first] = conditions;
  // An empty list must not become a condition that every row meets.
  if (!first) throw new RangeError("no conditions");
  if (conditions.length === 1) return first;
  const values: BoundValue[] = [];
  const texts = conditions.map((condition) => {
    const text = numberedFrom(values.length + 1, condition.text);
    // Not `push(...values)`: a call takes about 100,000 arguments at most.
    for (const value of condition.values) values.push(value);
    return text;
  });
  return { text: `(${texts.join(operator)})`, values };
}
