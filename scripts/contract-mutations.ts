/**
 * Checks that the contract's tests can fail: removes one mechanism at a time from a copy of the sources, and expects the
 * tests of its clause to fail.
 *
 *   npm run test:mutations [-- NAME]
 *
 * Needs the real server that `npm test` uses. Exits with 1 if a removal goes unnoticed.
 */
import { spawnSync } from "node:child_process";
import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { table } from "../tooling/table.js";

interface Mutation {
  /** The removed mechanism. */
  name: string;
  /** Files of `test/contract`, or paths of others, that must fail. */
  noticedBy: string[];
  file: string;
  from: string;
  to: string;
}

const mutations: Mutation[] = [
  {
    name: "the single transaction: each statement of a swap commits by itself",
    noticedBy: ["c01", "c04"],
    file: "postgres/database.ts",
    from: 'await client.query("BEGIN ISOLATION LEVEL READ COMMITTED");',
    to: "",
  },
  {
    name: "the replaced version: the fence admits newer calls, whatever version is stored",
    noticedBy: ["c02", "schedules"],
    file: "storing/fence-sql.ts",
    from: 'WHERE ${contentTicketOf("t")} IS NOT DISTINCT FROM excluded.replaced_ticket\n  AND',
    to: "WHERE",
  },
  {
    name: "the replaced version: it may have been deleted",
    noticedBy: ["c02"],
    file: "storing/fence-sql.ts",
    from: "WHERE (n.replaced_ticket IS NULL OR s.is_stored) AND",
    to: "WHERE",
  },
  {
    name: "the replaced version: chunks read before the lock are used, even if outdated",
    noticedBy: ["c02", "schedules"],
    file: "storing/swap.ts",
    from: "if (replaced !== null && replaced === stored?.contentTicket)",
    to: "if (replaced !== null && stored)",
  },
  {
    name: "the check of tickets: the call that ends last wins",
    noticedBy: ["c02", "schedules"],
    file: "storing/fence-sql.ts",
    from: "ELSE ${call}.ticket >= ${stored}.ticket END",
    to: "ELSE true END",
  },
  {
    name: "the check of revisions",
    noticedBy: ["c02", "schedules"],
    file: "storing/fence-sql.ts",
    from: "WHEN ${call}.revision < ${stored}.revision THEN false",
    to: "",
  },
  {
    name: "the barrier of calls without a revision",
    noticedBy: ["c02"],
    file: "storing/fence-sql.ts",
    from: "return `${call}.ticket >= ${stored}.barrier AND CASE",
    to: "return `CASE",
  },
  {
    name: "the order of calls within a process",
    noticedBy: ["c02"],
    file: "writing/ticket-order.ts",
    from: "const mine = mayWait ? Promise.allSettled([this.#takingForAll, ...earlier]).then(take) : take();",
    to: "const mine = take(); void earlier; void mayWait;",
  },
  {
    name: "the tombstone: a delete leaves no row",
    noticedBy: ["c03", "schedules"],
    file: "storing/removal.ts",
    from: "    return outcomes;\n",
    to: '    await database.query(`DELETE FROM "${layout.schema}".training WHERE deleted_at IS NOT NULL`);\n    return outcomes;\n',
  },
  {
    name: "embedding before the old version is deleted: its chunks are deleted first",
    noticedBy: ["c04"],
    file: "writing/batch-vectors.ts",
    from: "    if (missing.length === 0) return new Set();\n",
    to: '    if (missing.length === 0) return new Set();\n    await this.#parts.pool.query(`DELETE FROM "${this.#parts.target.layout.schema}".chunk_1`);\n',
  },
  {
    name: "the check of the number of vectors",
    noticedBy: ["c04"],
    file: "embedding/embedder.ts",
    from: "if (!isListLike(outcomes) || count !== expected) {",
    to: "if (!isListLike(outcomes)) {",
  },
  {
    name: "the fingerprint: every call counts as a change",
    noticedBy: ["c05"],
    file: "writing/batch-item.ts",
    from: "const same = unchangedSince != null && isWhole && state?.fingerprint === this.#plan.fingerprint;",
    to: "const same = false;",
  },
  {
    name: "the newer ticket of an unchanged training: it keeps the older one",
    noticedBy: ["c05"],
    file: "storing/write-sql.ts",
    from: "UPDATE ${training} t SET\n  ticket = n.ticket,",
    to: "UPDATE ${training} t SET",
  },
  {
    name: "the comparison by content hash: all chunks are rewritten",
    noticedBy: ["c06"],
    file: "storing/chunk-difference.ts",
    from: "const row = rows.claim(chunk);",
    to: "const row = undefined as StoredChunk | undefined;",
  },
  {
    name: "the line feeds: the hash is that of the text as given",
    noticedBy: ["c06"],
    file: "chunking/chunk-plan.ts",
    from: "const content = withLineFeeds(given);",
    to: "const content = given;",
  },
  {
    name: "the line breaks of a kept chunk: those of the previous version",
    noticedBy: ["c06"],
    file: "storing/chunk-difference.ts",
    from: "if (!hasSameLineBreaks(row, chunk)) difference.copied.push(identified);\n        else ",
    to: "",
  },
  {
    name: "the plan around an edit: the splitter moves every boundary after it",
    noticedBy: ["c06"],
    file: "writing/prepared-batch.ts",
    from: "if (chunks && newChunks(item, chunks) < newChunks(item, item.chunks)) item.chunks = chunks;",
    to: "void chunks;",
  },
  {
    name: "the text that a splitter leaves out at the end",
    noticedBy: ["c07"],
    file: "chunking/splitter.ts",
    from: "if (covered < text.length) coverRest(text, spans, covered);",
    to: "void coverRest;",
  },
  {
    name: "the return of a client to the pool",
    noticedBy: ["c08"],
    file: "postgres/database.ts",
    from: "client.release(broken);",
    to: "",
  },
  {
    name: "settings local to their statement",
    noticedBy: ["c08"],
    file: "search-sql/vector-search-sql.ts",
    from: "set_config('hnsw.ef_search', $2, true)",
    to: "set_config('hnsw.ef_search', $2, false)",
  },
  {
    name: "the order of locks: the fence takes them in any order",
    noticedBy: ["c03"],
    file: "storing/fence-sql.ts",
    from: 'FROM (SELECT * FROM ${given} ${inLockOrder(layout, "id")}) n',
    to: "FROM ${given} n",
  },
  {
    name: "the order of locks of repeats",
    noticedBy: ["c03"],
    file: "storing/write-sql.ts",
    from: "JOIN locked ON locked.id = n.id\n",
    to: "",
  },
  {
    name: "the end of a race between duplicates",
    noticedBy: ["c05"],
    file: "writing/prepared-batch.ts",
    from: "if (item.unchanged && !touched.has(item.training.key)) item.forceRewrite();",
    to: "if (item.unchanged && !touched.has(item.training.key)) throw new StalePreparation();",
  },
  {
    name: "the tickets after a repaired sequence",
    noticedBy: ["c02-ticket"],
    file: "storing/ticket-sequence.ts",
    from: "if (!taken.some(isBehind)) return taken;",
    to: "return taken;",
  },
  {
    name: "the end of the revision history at a delete",
    noticedBy: ["c03-revisions"],
    file: "storing/fence-sql.ts",
    from: "CASE WHEN excluded.revision IS NOT NULL THEN greatest(t.revision, excluded.revision) END",
    to: "greatest(t.revision, excluded.revision)",
  },
  {
    name: "the count of stored chunks",
    noticedBy: ["c05-damaged"],
    file: "writing/batch-item.ts",
    from: "const isWhole = state?.stored_chunks === state?.chunks;",
    to: "const isWhole = true;",
  },
  {
    name: "the claim in each write",
    noticedBy: ["c09"],
    file: "storing/fence-sql.ts",
    from: "  AND ${CLAIM_COLUMNS} = ${claim}::text[] FOR SHARE",
    to: "  AND ${claim}::text[] IS NOT NULL FOR SHARE",
  },
  {
    name: "the lock on the claim",
    noticedBy: ["c09"],
    file: "storing/fence-sql.ts",
    from: " = ${claim}::text[] FOR SHARE",
    to: " = ${claim}::text[]",
  },
  {
    name: "the recorded model",
    noticedBy: ["c09"],
    file: "opening/model-mismatch.ts",
    from: 'describeDifference("model", recorded?.model, profile.model),',
    to: "",
  },
  {
    name: "the version of the schema that each search reads",
    noticedBy: ["c09"],
    file: "searching/current-statements.ts",
    from: "ELSE pg_catalog.concat('${OTHER_SCHEMA}', version)::boolean END",
    to: "ELSE true END",
  },
  {
    name: "the active profile in each search: the one before a switch is searched",
    noticedBy: ["switch-load"],
    file: "schema/schema-state.ts",
    from: "return `SELECT ${versionColumn(chunkOid)} AS version\n    FROM ${namesOf(layout).profile} p WHERE p.id = ${layout.profileId} AND p.status = 'active'`;",
    to: "return `SELECT replace(${versionColumn(chunkOid)}, ' (retired)', '') AS version FROM ${namesOf(layout).profile} p WHERE p.id = ${layout.profileId}`;",
  },
  {
    name: "the record of what a switch has to build again",
    noticedBy: ["switch-load"],
    file: "switching/switch-sql.ts",
    from: "WHEN (OLD.content_ticket <> NEW.content_ticket OR",
    to: "WHEN (OLD.content_ticket < 0 OR",
  },
  {
    name: "the content ticket of what a switch has read",
    noticedBy: ["test/switching/switch-states"],
    file: "switching/build-sql.ts",
    from: "AND (CASE WHEN t.deleted_at IS NULL THEN t.content_ticket END) IS NOT DISTINCT FROM n.content_ticket",
    to: "AND (t.deleted_at IS NULL) = (n.content_ticket IS NOT NULL)",
  },
  {
    name: "the lock at the switch: writes that run are not waited for",
    noticedBy: ["test/switching/switch-states"],
    file: "switching/switch-sql.ts",
    from: "return `LOCK TABLE ${profile} IN EXCLUSIVE MODE`;",
    to: "return `SELECT FROM ${profile} LIMIT 0`;",
  },
  {
    name: "the filter on what is returned with a hit: neighbors, texts and the scores of the other search are read without it",
    noticedBy: ["c10"],
    file: "search-sql/visible-chunks.ts",
    from: 'if (this.#condition === undefined) return "";',
    to: 'if (this.#condition === undefined || use === "tests rows") return "";',
  },
  {
    name: "the filter of the index on searches",
    noticedBy: ["c10"],
    file: "searching/checked-search.ts",
    from: "condition: searchCondition(defaults.filter, options.filter),",
    to: "condition: searchCondition(undefined, options.filter),",
  },
  {
    name: "the filter of the index on lists",
    noticedBy: ["c10-tenants"],
    file: "inspecting/reader.ts",
    from: "const condition = searchCondition(this.#parts.filter, options.filter);\n    return { [Symbol",
    to: "const condition = searchCondition(undefined, options.filter);\n    return { [Symbol",
  },
  {
    name: "the filter of the index on counts",
    noticedBy: ["c10-tenants"],
    file: "inspecting/stored-sql.ts",
    from: "SELECT (SELECT count(*) FROM ${visibleTrainings(layout, condition, 1)})::text AS trainings,",
    to: "SELECT (SELECT count(*) FROM ${visibleTrainings(layout, undefined, 1)})::text AS trainings,",
  },
  {
    name: "the filter of the index on verify",
    noticedBy: ["c10-tenants"],
    file: "reconciling/check-sql.ts",
    from: "SELECT t.id, t.deleted_at IS NULL AND ${optionalFrom(3, condition)} AND",
    to: "SELECT t.id, t.deleted_at IS NULL AND (true OR ${optionalFrom(3, condition)}) AND",
  },
  {
    name: "the filter of the index on recall",
    noticedBy: ["c10-tenants"],
    file: "recall/recall-options.ts",
    from: "condition: searchCondition(filter, options.filter),",
    to: "condition: searchCondition(undefined, options.filter),",
  },
  {
    name: "the filter of an index on those that are narrowed from it",
    noticedBy: ["c10-tenants"],
    file: "filtering/index-filter.ts",
    from: "const both = own.condition ? allOf([own.condition, condition]) : condition;",
    to: "const both = condition;",
  },
  {
    name: "the filter of the host, if a caller has one too",
    noticedBy: ["c10-no-widening"],
    file: "searching/narrowed-search.ts",
    from: "return first && second ? { $and: [first, second] } : (first ?? second);",
    to: "return second ?? first;",
  },
  {
    name: "the refusal of unknown names",
    noticedBy: ["c10-no-widening"],
    file: "calls/checks.ts",
    from: "  if (unknown === undefined) return;\n",
    to: "  return;\n",
  },
  {
    name: "the filter of the index in the fence",
    noticedBy: ["c10"],
    file: "storing/fence-sql.ts",
    from: "CASE WHEN ${meets(stored, scope)} THEN",
    to: "CASE WHEN ${scope}::jsonb[] IS NOT NULL THEN",
  },
  {
    name: "the vector of each text: each chunk gets that of the next one",
    noticedBy: ["schedules.int", "schedules-processes"],
    file: "storing/swap-statement.ts",
    from: "rows.flatMap(({ chunk }) => vectors.get(chunk.hash) ?? []),",
    to: "rows.flatMap((_, place) => vectors.get(rows[(place + 1) % rows.length]!.chunk.hash) ?? []),",
  },
  {
    name: "the version that a delete sees: its fence admits a newer one, of which it does not see the chunks",
    noticedBy: ["c03-deletes"],
    file: "storing/fence-sql.ts",
    from: '\n  AND ${contentTicketOf("t")} IS NOT DISTINCT FROM excluded.replaced_ticket\nRETURNING t.id',
    to: "\nRETURNING t.id",
  },
  {
    name: "the filter of the index in the fence of deletes",
    noticedBy: ["c10", "schedules-processes"],
    file: "storing/fence-sql.ts",
    from: 'WHERE ${meets("t", "$5")}${stillMeets(condition)} AND',
    to: "WHERE $5::jsonb[] IS NOT NULL${stillMeets(condition)} AND",
  },
  {
    name: "the filter of a delete in its fence: what no longer matches is deleted",
    noticedBy: ["c03"],
    file: "storing/fence-sql.ts",
    from: 'WHERE ${meets("t", "$5")}${stillMeets(condition)} AND',
    to: 'WHERE ${meets("t", "$5")}${stillMeets(undefined)} AND',
  },
  {
    name: "the tombstone of another tenant: it blocks nothing",
    noticedBy: ["schedules-processes"],
    file: "storing/fence-sql.ts",
    from: "ELSE ${stored}.deleted_at IS NOT NULL END",
    to: "ELSE false END",
  },
  {
    name: "the quoting of names",
    noticedBy: ["c10"],
    file: "postgres/identifiers.ts",
    from: "name.replaceAll('\"', '\"\"')",
    to: "name",
  },
  {
    name: "errors classified by SQLSTATE",
    noticedBy: ["c11"],
    file: "postgres/error-table.ts",
    from: "if (sqlState === INSUFFICIENT_PRIVILEGE) return",
    to: 'if (sqlState === "never") return',
  },
  {
    name: "the channel of notices",
    noticedBy: ["c13"],
    file: "calls/notices.ts",
    from: "    publishNotice(notice);\n",
    to: "",
  },
  {
    name: "the notice of a slow pool",
    noticedBy: ["c13"],
    file: "postgres/bounded-database.ts",
    from: "this.#notifySlowPool();",
    to: "",
  },
];

const root = new URL("..", import.meta.url).pathname;
const copy = ".mutant";
const { positionals } = parseArgs({ allowPositionals: true });
const chosen = mutations.filter(({ name }) => positionals.every((word) => name.includes(word)));
const rows = chosen.map((mutation) => [mutation.name, mutation.noticedBy.join(", "), isNoticed(mutation)]);
rmSync(join(root, copy), { recursive: true, force: true });
console.log(table(["removed mechanism", "tests", "noticed"], rows, [74, 18, 9]));
if (rows.some(([, , noticed]) => noticed !== "yes")) process.exitCode = 1;

/** `yes` if each of the test files fails without the mechanism. */
function isNoticed({ name, noticedBy, file, from, to }: Mutation): string {
  rmSync(join(root, copy), { recursive: true, force: true });
  cpSync(join(root, "src"), join(root, copy), { recursive: true });
  const path = join(root, copy, file);
  const source = readFileSync(path, "utf8");
  if (source.split(from).length !== 2) throw new Error(`${file} must contain this exactly once: ${from}`);
  writeFileSync(
    path,
    source.replace(from, () => to),
  );
  const tsconfig = writeTsconfig();
  const missed = noticedBy.filter((test) => {
    const { status, stdout } = spawnSync(
      "npx",
      [
        "vitest",
        "run",
        "--project",
        "integration",
        test.includes("/") ? test : `test/contract/${test}`,
        "--bail",
        "1",
        "--reporter",
        "dot",
      ],
      {
        cwd: root,
        env: { ...process.env, CONTRACT_SOURCES: copy, CHILD_TSCONFIG: tsconfig },
        encoding: "utf8",
      },
    );
    // A run without tests proves nothing.
    if (!/Tests .*\d+ (passed|failed)/.test(stripColours(stdout))) throw new Error(`${name}: no test ran\n${stdout}`);
    return status === 0;
  });
  console.log(`${missed.length === 0 ? "noticed" : `MISSED by ${missed.join(", ")}`}: ${name}`);
  return missed.length === 0 ? "yes" : "NO";
}

/** Makes processes that tests start use the copy of the sources, too. */
function writeTsconfig(): string {
  const { paths } = (
    JSON.parse(readFileSync(join(root, "tsconfig.json"), "utf8")) as {
      compilerOptions: { paths: Record<string, string[]> };
    }
  ).compilerOptions;
  const copied = Object.entries(paths).map(([name, files]) => [name, files.map((file) => file.replace("./src", "."))]);
  const path = join(root, copy, "tsconfig.json");
  const options = {
    extends: "../tsconfig.json",
    compilerOptions: { paths: Object.fromEntries(copied) as unknown },
  };
  writeFileSync(path, JSON.stringify(options));
  return path;
}

function stripColours(text: string): string {
  // eslint-disable-next-line no-control-regex -- matches the escape character
  return text.replace(/\u001b\[\d+m/g, "");
}
