/** Conditions on the value of one metadata key. No value of the metadata, of whatever type, makes them fail. */
import { canonicalMetadata, storableText } from "../text.js";
import type { BoundValue, Condition } from "./condition.js";
import { MAX_DEPTH, type Scalar } from "./filter-reader.js";

/** How values are put in order. */
export type Order = ">" | ">=" | "<" | "<=";

/** The key has a value that contains this one. Served by the index on the metadata. */
export function contains(key: string, value: Scalar): Condition {
  return containment(key, "metadata @> $1::jsonb", (path) => [nested(path, value)]);
}

/** The key has one of these values, or a list with all of one of these lists. Served by the index on the metadata. */
export function isOneOf(key: string, list: readonly (Scalar | readonly Scalar[])[]): Condition {
  return containment(key, "metadata @> ANY ($1::jsonb[])", (path) => [
    list.map((value) => nested(path, value)),
  ]);
}

/** The key is there with none of these values. */
export function isNoneOf(key: string, list: readonly Scalar[]): Condition {
  const json = list.map((value) => JSON.stringify(value));
  return onValue(key, [json], (value, [given = ""]) => `${value} <> ALL (${given}::jsonb[])`);
}

/** The value comes before or after all of these, and is of their type. */
export function isOrdered(key: string, comparisons: readonly (readonly [Order, Scalar])[]): Condition {
  const type = typeof comparisons[0]?.[1];
  const given = comparisons.map(([, value]) => (typeof value === "string" ? value : JSON.stringify(value)));
  return onValue(key, given, (value, parameters) => {
    // The same order on every server, and that of dates in ISO form.
    const compared = type === "string" ? `(${value} #>> '{}') COLLATE "C"` : value;
    const tests = comparisons.map(
      ([order], index) =>
        `${compared} ${order} ${parameters[index] ?? ""}::${type === "string" ? "text" : "jsonb"}`,
    );
    return `jsonb_typeof(${value}) = '${type}' AND ${tests.join(" AND ")}`;
  });
}

/** The value is a text of this pattern. */
export function isLike(key: string, operator: "LIKE" | "ILIKE", pattern: string): Condition {
  return onValue(key, [pattern], (value, [given = ""]) => {
    const text = operator === "LIKE" ? `(${value} #>> '{}') COLLATE "C"` : `(${value} #>> '{}')`;
    return `jsonb_typeof(${value}) = 'string' AND ${text} ${operator} ${given}::text`;
  });
}

/** The key is there, or is not. */
export function exists(key: string, isThere: boolean): Condition {
  return onValue(key, [], (value) => `${value} IS ${isThere ? "NOT NULL" : "NULL"}`);
}

/** The keys have these values. Served by the index on the metadata. */
export function containsAll(values: readonly (readonly [string, Scalar])[]): Condition {
  return {
    text: "metadata @> $1::jsonb",
    values: [canonicalMetadata(Object.fromEntries(values), "filter")],
  };
}

/**
 * The keys of the objects that a key with dots leads through. A text of so many dots that it can hardly be meant as a
 * path is a key and nothing else: each step is a level of the statement.
 */
export function pathOf(key: string): string[] {
  const path = storableText(key).split(".");
  return path.length > MAX_DEPTH ? [storableText(key)] : path;
}

function nested(path: readonly string[], value: Scalar | readonly Scalar[]): string {
  return JSON.stringify(path.reduceRight<unknown>((inner, key) => Object.fromEntries([[key, inner]]), value));
}

/** Of the key itself, else of where its dots lead. */
function containment(
  key: string,
  test: string,
  valuesOf: (path: readonly string[]) => BoundValue[],
): Condition {
  const path = pathOf(key);
  const whole = storableText(key);
  if (path.length === 1) return { text: test, values: valuesOf(path) };
  return {
    text: `(${test} OR (${test.replace("$1", "$2")} AND (metadata -> $3::text) IS NULL))`,
    values: [...valuesOf([whole]), ...valuesOf(path), whole],
  };
}

/**
 * Of the key itself, else of where its dots lead: `->` with a text goes through objects only, not into lists.
 *
 * The planner knows nothing about such a condition, and takes it by default to let one row in some hundreds through; it
 * then compares all rows. A CASE is taken to let half of them through, and is never NULL.
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
  const value =
    path.length === 1 ? "(metadata -> $1::text)" : `coalesce(metadata -> $1::text, metadata${steps})`;
  const parameters = given.map((_, index) => `$${keys.length + index + 1}`);
  return {
    text: `(CASE WHEN ${test(value, parameters)} THEN true ELSE false END)`,
    values: [...keys, ...given],
  };
}
