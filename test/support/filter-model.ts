/** Filters as docs/filters.md describes them, evaluated in JavaScript instead of SQL. */
import type { Filter, Metadata } from "langchain-training-index";

/** Whether metadata matches a filter. */
export function matches(metadata: Metadata, filter: Filter): boolean {
  return Object.entries(filter).every(([key, given]) => {
    if (/^\$?and$/.test(key) && Array.isArray(given))
      return (given as Filter[]).every((part) => matches(metadata, part));
    if (/^\$?or$/.test(key) && Array.isArray(given)) return (given as Filter[]).some((part) => matches(metadata, part));
    if (/^\$?not$/.test(key) && Array.isArray(given))
      return !(given as Filter[]).some((part) => matches(metadata, part));
    if (/^\$?not$/.test(key) && isObject(given)) return !matches(metadata, given);
    const value = valueAt(metadata, key);
    if (!isObject(given)) return value === scalarOf(given);
    return Object.entries(given).every(([operator, operand]) => meets(value, operator.replace(/^\$/, ""), operand));
  });
}

function meets(value: unknown, operator: string, operand: unknown): boolean {
  const isThere = value !== undefined;
  const list = (Array.isArray(operand) ? operand : [operand]).map(scalarOf);
  const [first, second] = list;
  switch (operator) {
    case "eq":
    case "in":
      return list.includes(value);
    case "ne":
    case "neq":
    case "nin":
    case "notIn":
      return isThere && !list.includes(value);
    case "gt":
      return compare(value, first) > 0;
    case "gte":
      return compare(value, first) >= 0;
    case "lt":
      return compare(value, first) < 0;
    case "lte":
      return compare(value, first) <= 0;
    case "between":
      return compare(value, first) >= 0 && compare(value, second) <= 0;
    case "exists":
      return isThere === operand;
    case "like":
      return typeof value === "string" && patternOf(operand as string, "su").test(value);
    case "ilike":
      return typeof value === "string" && patternOf(operand as string, "siu").test(value);
    case "arrayContains":
      return Array.isArray(value) && list.some((item) => value.includes(item));
    default:
      throw new Error(`no operator ${operator}`);
  }
}

/** Negative, 0 or positive; NaN, for which every comparison is false, if the types differ. */
function compare(left: unknown, right: unknown): number {
  if (typeof left !== typeof right || typeof left === "object") return NaN;
  const [low, high] = [left, right] as [string, string];
  return low < high ? -1 : low > high ? 1 : 0;
}

function valueAt(metadata: Metadata, key: string): unknown {
  if (Object.hasOwn(metadata, key)) return metadata[key];
  return key
    .split(".")
    .reduce<unknown>(
      (value, step) => (isObject(value) && Object.hasOwn(value, step) ? (value as Metadata)[step] : undefined),
      metadata,
    );
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

function scalarOf(value: unknown): unknown {
  return value instanceof Date ? value.toISOString() : value;
}

function patternOf(pattern: string, flags: string): RegExp {
  const source = [...pattern.matchAll(/\\(.)|(%)|(_)|(.)/gsu)]
    .map(([, escaped, any, one, plain]) => {
      if (any) return ".*";
      return one ? "." : (escaped ?? plain ?? "").replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");
    })
    .join("");
  return new RegExp(`^${source}$`, flags);
}
