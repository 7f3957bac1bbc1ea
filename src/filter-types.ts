/** What a search compares metadata with. A `Date` stands for its ISO string, which is how metadata keeps it. */
export type FilterValue = string | number | boolean | Date;

/**
 * Comparisons of the value of one key; all of them have to be met. Values of another type than the given one are no
 * match, and neither is a key that is missing, save for `exists: false`.
 */
export interface FilterOperators {
  /** The same value. */
  eq?: FilterValue;
  $eq?: FilterValue;
  /** The key is there with another value, of whatever type. For rows without the key too, use `not`. */
  ne?: FilterValue;
  $ne?: FilterValue;
  /** As `ne`; the name that it has in PGVectorStore. */
  neq?: FilterValue;
  /** Greater: numbers as numbers, texts by the code points of their characters, `true` after `false`. */
  gt?: FilterValue;
  $gt?: FilterValue;
  /** Greater or the same. */
  gte?: FilterValue;
  $gte?: FilterValue;
  /** Less. */
  lt?: FilterValue;
  $lt?: FilterValue;
  /** Less or the same. */
  lte?: FilterValue;
  $lte?: FilterValue;
  /** One of these values. At least one. */
  in?: readonly FilterValue[];
  $in?: readonly FilterValue[];
  /** The key is there with none of these values. At least one. */
  notIn?: readonly FilterValue[];
  nin?: readonly FilterValue[];
  $nin?: readonly FilterValue[];
  /** From the first to the second, both of one type and both included. */
  between?: readonly [FilterValue, FilterValue];
  $between?: readonly [FilterValue, FilterValue];
  /** Whether the key is there, be it with `null`. */
  exists?: boolean;
  $exists?: boolean;
  /** A text of this pattern: `%` stands for any characters, `_` for one, `\` takes the meaning off the next. */
  like?: string;
  $like?: string;
  /** As `like`, without a difference between capital and small letters, as far as the database's locale knows them. */
  ilike?: string;
  $ilike?: string;
  /** A list that has one of these values. At least one. */
  arrayContains?: readonly FilterValue[];
  $arrayContains?: readonly FilterValue[];
}

/**
 * Conditions on the values of keys; all of them have to be met. `"autor.nome"` is the key of that name where the
 * metadata has one, else the key `nome` of the object under `autor`.
 */
export type MetadataFilter = Record<string, FilterValue | FilterOperators>;

/** Filters of filters. Beside conditions on keys in one object, all have to be met. */
export interface LogicalFilter {
  /** All of these. At least one. */
  and?: readonly Filter[];
  $and?: readonly Filter[];
  /** One of these, or more. At least one. */
  or?: readonly Filter[];
  $or?: readonly Filter[];
  /** All rows but those of this filter, or of any filter of this list (at least one); also rows without its keys. */
  not?: Filter | readonly Filter[];
  $not?: Filter | readonly Filter[];
}

/** What narrows a search by metadata: keys with values, operators, and combinations of those. At least one. */
export type Filter = MetadataFilter | LogicalFilter | (MetadataFilter & LogicalFilter);

/** Equality on metadata: a row matches when it has all of these keys with these values. At least one key. */
export type EqualityFilter = Record<string, string | number | boolean>;
