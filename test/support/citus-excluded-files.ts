/** Test files that do not run on a Citus cluster, each with the reason. */
export const EXCLUDED: Readonly<Record<string, string>> = {};

/** As patterns. */
export const EXCLUDED_FILES = Object.keys(EXCLUDED);
