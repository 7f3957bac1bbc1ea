/** A value to compare metadata with. A `Date` is compared as its ISO string, the form in which metadata stores it. */
export type FilterValue = string | number | boolean | Date;

/** The same names with a `$` in front. */
type WithDollar<Names> = { [Name in keyof Names as `$${Name & string}`]: Names[Name] };

/**
 * Comparisons of one key's value; a row must meet all of them. A value of another type than the given one does not match,
 * except with `ne` and `notIn`; a missing key matches only `exists: false`. Each operator can also be written with a `$`.
 */
export interface FilterOperators extends PlainOperators, WithDollar<PlainOperators> {}

/** The operators. */
interface PlainOperators {
  /** Equal. */
  eq?: FilterValue;
  /** The key exists with another value, of any type. To match rows without the key, too, use `not`. */
  ne?: FilterValue;
  /** Same as `ne`, by its name in PGVectorStore. */
  neq?: FilterValue;
  /** Greater than. Numbers are compared as numbers, texts by code points, and `true` is greater than `false`. */
  gt?: FilterValue;
  /** Greater than or equal. */
  gte?: FilterValue;
  /** Less than. */
  lt?: FilterValue;
  /** Less than or equal. */
  lte?: FilterValue;
  /** Equal to one of these values. The list must not be empty. */
  in?: readonly FilterValue[];
  /** The key exists with a value other than these. The list must not be empty. */
  notIn?: readonly FilterValue[];
  nin?: readonly FilterValue[];
  /** From the first to the second value, both included. Both must have the same type. */
  between?: readonly [FilterValue, FilterValue];
  /** Whether the key exists, even if its value is `null`. */
  exists?: boolean;
  /** A text that matches the pattern: `%` matches any characters, `_` a single one, `\` escapes the next one. */
  like?: string;
  /** Like `like`, but case-insensitive, according to the database's locale. */
  ilike?: string;
  /** A list that contains at least one of these values. The given list must not be empty. */
  arrayContains?: readonly FilterValue[];
}

/**
 * Conditions on the values of keys; a row must meet all of them. `"autor.nome"` is the key of that name if the metadata has
 * it, otherwise the key `nome` of the object under `autor`.
 */
export type MetadataFilter = Record<string, FilterValue | FilterOperators>;

/** Combinations of filters. If an object has conditions on keys, too, a row must meet all of them. */
export interface LogicalFilter extends PlainLogic, WithDollar<PlainLogic> {}

/** The combinations. */
interface PlainLogic {
  /** Rows that match all of these filters. The list must not be empty. */
  and?: readonly Filter[];
  /** Rows that match at least one of these filters. The list must not be empty. */
  or?: readonly Filter[];
  /** Rows that do not match the filter, or any filter of the list (not empty). Rows without its keys are included. */
  not?: Filter | readonly Filter[];
}

/** Narrows a search by metadata: keys with values or operators, and combinations of filters. Must not be empty. */
export type Filter = MetadataFilter | LogicalFilter | (MetadataFilter & LogicalFilter);

/** Equality on metadata: a row matches if it has all of these keys with these values. At least one key is required. */
export type EqualityFilter = Record<string, string | number | boolean>;
