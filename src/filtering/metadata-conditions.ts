/** Conditions on the value of one metadata key. They raise no error whatever type the stored value has. */
import { canonicalMetadata, storableText } from "../text.js";
import type { BoundValue, Condition } from "./condition.js";
import { MAX_DEPTH, type Scalar } from "./filter-reader.js";

/** The comparison operators. */
export type Order = ">" | ">=" | "<" | "<=";

/** The key's value contains this one (`@>`). Uses the index on the metadata. */
export function contains(key: string, value: Scalar): Condition {
  return containment(key, "metadata @> $1::jsonb", (path) => [nested(path, value)]);
}

/** The key's value contains one of these values or lists (`@>`). Uses the index on the metadata. */
export function isOneOf(key: string, list: readonly (Scalar | readonly Scalar[])[]): Condition {
  return containment(key, "metadata @> ANY ($1::jsonb[])", (path) => [list.map((value) => nested(path, value))]);
}

/** The key exists and has none of these values. */
export function isNoneOf(key: string, list: readonly Scalar[]): Condition {
  const json = list.map((value) => JSON.stringify(value));
  return onValue(key, [json], (value, [given = ""]) => `${value} <> ALL (${given}::jsonb[])`);
}

/** The value has the type of the given ones and passes all comparisons. */
export function isOrdered(key: string, comparisons: readonly (readonly [Order, Scalar])[]): Condition {
  const type = typeof comparisons[0]?.[1];
  const given = comparisons.map(([, value]) => (typeof value === "string" ? value : JSON.stringify(value)));
  return onValue(key, given, (value, parameters) => {
    // Byte order: the same on every server, and right for ISO dates.
    const compared = type === "string" ? `(${value} #>> '{}') COLLATE "C"` : value;
    const tests = comparisons.map(
      ([order], index) => `${compared} ${order} ${parameters[index] ?? ""}::${type === "string" ? "text" : "jsonb"}`,
    );
    return `jsonb_typeof(${value}) = '${type}' AND ${tests.join(" AND ")}`;
  });
}

/** The value is a string that matches the pattern. */
export function isLike(key: string, operator: "LIKE" | "ILIKE", pattern: string): Condition {
  return onValue(key, [pattern], (value, [given = ""]) => {
    const text = operator === "LIKE" ? `(${value} #>> '{}') COLLATE "C"` : `(${value} #>> '{}')`;
    return `jsonb_typeof(${value}) = 'string' AND ${text} ${operator} ${given}::text`;
  });
}

/** The key exists, or does not. */
export function exists(key: string, shouldExist: boolean): Condition {
  return onValue(key, [], (value) => `${value} IS ${shouldExist ? "NOT NULL" : "NULL"}`);
}

/** The keys have these values. Uses the index on the metadata. */
export function containsAll(values: readonly (readonly [string, Scalar])[]): Condition {
  return {
    text: "metadata @> $1::jsonb",
    values: [canonicalMetadata(Object.fromEntries(values), "filter")],
  };
}

/** Whether a condition is one of {@link containsAll}, or several of them that must all be met. */
export function containsOnly({ text }: Condition): boolean {
  return /^\(?metadata @> \$\d+::jsonb(?: AND metadata @> \$\d+::jsonb)*\)?$/.test(text);
}

/**
 * Splits a key at its dots into a path through nested objects. A key with too many dots is not a path: each step adds a
 * level to the statement.
 */
export function pathOf(key: string): string[] {
  const path = storableText(key).split(".");
  return path.length > MAX_DEPTH ? [storableText(key)] : path;
}

function nested(path: readonly string[], value: Scalar | readonly Scalar[]): string {
  return JSON.stringify(path.reduceRight<unknown>((inner, key) => Object.fromEntries([[key, inner]]), value));
}

/** A containment test on the key itself, or, if the metadata does not have it, on the path that its dots describe. */
function containment(key: string, test: string, valuesOf: (path: readonly string[]) => BoundValue[]): Condition {
  const path = pathOf(key);
  const whole = storableText(key);
  if (path.length === 1) return { text: test, values: valuesOf(path) };
  return {
    text: `(${test} OR (${test.replace("$1", "$2")} AND (metadata -> $3::text) IS NULL))`,
    values: [...valuesOf([whole]), ...valuesOf(path), whole],
  };
}

/**
 * A test on the value of the key itself, or, if the metadata does not have it, of the path that its dots describe. `->`
 * with a text reads fields of objects, not items of lists.
 *
 * The planner has no statistics for such a condition: by default it assumes that one row in several hundred matches,
 * and then compares all rows. For a CASE it assumes half of the rows, and a CASE is never NULL.
 */
function onValue(
  key: string,
  given: readonly BoundValue[],
  test: (value: string, parameters: readonly string[]) => string,
): Condition {
  const path = pathOf(key);
  const whole = storableText(key);
  const keys = path.length === 1 ? [whole] : [whole, ...path];
  const steps = path.map((_, index) => ` -> $${index + 2}::text`).join("");
  const value = path.length === 1 ? "(metadata -> $1::text)" : `coalesce(metadata -> $1::text, metadata${steps})`;
  const parameters = given.map((_, index) => `$${keys.length + index + 1}`);
  return {
    text: `(CASE WHEN ${test(value, parameters)} THEN true ELSE false END)`,
    values: [...keys, ...given],
  };
}
