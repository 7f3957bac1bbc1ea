import { InvalidArgumentError } from "../errors.js";
import { storableText } from "../text.js";
import type { Filter } from "../types.js";
import { allOf, anyOf, not, type Condition } from "./condition.js";
import { FilterReader, isPlainObject, type Scalar } from "./filter-reader.js";
import * as metadata from "./metadata-conditions.js";
import type { Order } from "./metadata-conditions.js";

/**
 * Combines the filter of the index and the filter of a search into one condition.
 *
 * @param own - the filter of the index, which always applies
 * @param option - the name of the search's filter in errors
 * @returns `undefined` if there is no filter
 * @throws {@link InvalidArgumentError} naming the part of the filter that is not understood
 */
export function searchCondition(
  own: Condition | undefined,
  filter: Filter | undefined,
  option = "filter",
): Condition | undefined {
  const asked = filter === undefined ? undefined : compileFilter(filter, option);
  return own && asked ? allOf([own, asked]) : (own ?? asked);
}

/**
 * Compiles a filter into a condition on the column `metadata`.
 *
 * @param option - the name of the filter in errors
 * @throws {@link InvalidArgumentError} naming the part of the filter that is not understood
 */
export function compileFilter(filter: Filter, option = "filter"): Condition {
  return filterCondition(new FilterReader(), filter, option, 1);
}

function filterCondition(reader: FilterReader, filter: unknown, path: string, depth: number): Condition {
  const equal = new Map<string, Scalar>();
  const conditions: Condition[] = [];
  for (const [key, value] of reader.entries(filter, path, depth)) {
    const place = `${path}.${key}`;
    const combine = combinationOf(key, value);
    if (combine) {
      conditions.push(combine(reader, value, place, depth));
    } else if (key.startsWith("$")) {
      throw new InvalidArgumentError(
        place,
        "is not known: use $and, $or, $not, or a metadata key that does not begin with $",
      );
    } else if (isPlainObject(value)) {
      conditions.push(...keyConditions(reader, key, value, place, depth));
    } else {
      const scalar = reader.scalar(value, place);
      const stored = storableText(key);
      // Two keys can be the same once stored. Both conditions then apply.
      if (metadata.pathOf(key).length > 1 || equal.has(stored)) conditions.push(metadata.contains(key, scalar));
      else equal.set(stored, scalar);
    }
  }
  if (equal.size > 0) conditions.unshift(metadata.containsAll([...equal]));
  return allOf(conditions);
}

type Combination = (reader: FilterReader, value: unknown, path: string, depth: number) => Condition;

/** The combination that a key stands for. Without a `$` it counts only if its value cannot belong to a metadata key. */
function combinationOf(key: string, value: unknown): Combination | undefined {
  const combination = COMBINATIONS.get(key.replace(/^\$/, ""));
  const isMeant = key.startsWith("$") || Array.isArray(value) || (combination === negate && isPlainObject(value));
  return isMeant ? combination : undefined;
}

const combineAll: Combination = (...given) => allOf(filterConditions(...given));
const combineAny: Combination = (...given) => anyOf(filterConditions(...given));
/** Negates a filter. Of a list, none may match, as in Python's langchain-postgres. */
const negate: Combination = (reader, value, path, depth) =>
  not(
    Array.isArray(value)
      ? anyOf(filterConditions(reader, value, path, depth))
      : filterCondition(reader, value, path, depth + 1),
  );

const COMBINATIONS: ReadonlyMap<string, Combination> = new Map([
  ["and", combineAll],
  ["or", combineAny],
  ["not", negate],
]);

function filterConditions(reader: FilterReader, value: unknown, path: string, depth: number): Condition[] {
  return reader
    .list(value, path)
    .map((filter, index) => filterCondition(reader, filter, `${path}[${index}]`, depth + 1));
}

function keyConditions(reader: FilterReader, key: string, operators: object, path: string, depth: number): Condition[] {
  return reader.entries(operators, path, depth).map(([operator, value]) => {
    const place = `${path}.${operator}`;
    const compile = OPERATORS.get(operator.replace(/^\$/, ""));
    if (!compile) {
      const names = [...OPERATORS.keys()].join(", ");
      throw new InvalidArgumentError(place, `must be one of ${names}, with or without a $`);
    }
    return compile(reader, key, value, place);
  });
}

type Operator = (reader: FilterReader, key: string, value: unknown, path: string) => Condition;

const equals: Operator = (reader, key, value, path) => metadata.contains(key, reader.scalar(value, path));
const differs: Operator = (reader, key, value, path) => metadata.isNoneOf(key, [reader.scalar(value, path)]);
const isIn: Operator = (reader, key, value, path) => metadata.isOneOf(key, reader.scalars(value, path));
const isNotIn: Operator = (reader, key, value, path) => metadata.isNoneOf(key, reader.scalars(value, path));
const containsAny: Operator = (reader, key, value, path) =>
  metadata.isOneOf(
    key,
    reader.scalars(value, path).map((item) => [item]),
  );
const exists: Operator = (reader, key, value, path) => metadata.exists(key, reader.boolean(value, path));
const isBetween: Operator = (reader, key, value, path) => {
  const [low, high] = reader.range(value, path);
  return metadata.isOrdered(key, [
    [">=", low],
    ["<=", high],
  ]);
};

function isOrdered(order: Order): Operator {
  return (reader, key, value, path) => metadata.isOrdered(key, [[order, reader.scalar(value, path)]]);
}

function isLike(operator: "LIKE" | "ILIKE"): Operator {
  return (reader, key, value, path) => metadata.isLike(key, operator, reader.pattern(value, path));
}

/** By their names without a `$`. A Map, because an object would also have `constructor` and other inherited names. */
const OPERATORS: ReadonlyMap<string, Operator> = new Map([
  ["eq", equals],
  ["ne", differs],
  ["neq", differs],
  ["gt", isOrdered(">")],
  ["gte", isOrdered(">=")],
  ["lt", isOrdered("<")],
  ["lte", isOrdered("<=")],
  ["in", isIn],
  ["notIn", isNotIn],
  ["nin", isNotIn],
  ["between", isBetween],
  ["exists", exists],
  ["like", isLike("LIKE")],
  ["ilike", isLike("ILIKE")],
  ["arrayContains", containsAny],
]);
