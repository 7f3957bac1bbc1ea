/** The list of trainings: pages and beginnings of ids, of every kind of ids, at a cost that does not grow with the index. */
import { TrainingIndex, type IdType, type TrainingId } from "langchain-training-index";
import { migrate } from "langchain-training-index/migrations";
import { expect, it } from "vitest";
import { listTrainings } from "../../src/console/trainings-page.js";
import { describeOnServerOrEmbedded, describeOnServer, uniqueName, type TestDatabase } from "../support/databases.js";
import { CountingEmbeddings, dropAtEnd, openTestIndex } from "../support/index.js";
import { recordingPool, type Statement } from "../support/recording-pool.js";

const signal = new AbortController().signal;
const UUIDS = [
  "8f14e45f-ceea-467a-9a36-dcc6a7d0b7f1",
  "8f14e45f-ceea-467a-9a36-dcc6a7d0b7f2",
  "8f000000-0000-0000-0000-000000000000",
  "9f14e45f-ceea-467a-9a36-dcc6a7d0b7f1",
];

async function openWith(database: TestDatabase, idType: IdType, ids: TrainingId[]): Promise<TrainingIndex> {
  const schema = uniqueName();
  dropAtEnd(database.owner, schema);
  await migrate(database.owner, { schema, idType, dimensions: 64 });
  const index = await TrainingIndex.initialize(new CountingEmbeddings(64), { pool: database.owner, schema });
  await index.upsertTrainings(ids.map((id) => ({ id, content: `Texto ${id}.` })));
  return index;
}

describeOnServerOrEmbedded("a page of the console's list", (database) => {
  it.each<[IdType, TrainingId[], string, string[]]>([
    ["text", ["a", "ab", "abc", "b", "á", "A", "a%", "a_b", "a\\"], "a", ["a", "a%", "a\\", "a_b", "ab", "abc"]],
    ["text", ["a%b", "aab"], "a%", ["a%b"]],
    ["text", ["a", "b"], "\0", []],
    ["text", ["a", "b"], "x".repeat(5000), []],
    ["bigint", [1, 12, 13, 120, 129, 130, 1200, -12, "9007199254740993"], "12", ["12", "120", "129", "1200"]],
    ["bigint", [1, 12, -1, -12, -120], "-1", ["-120", "-12", "-1"]],
    ["bigint", [90, "9007199254740993"], "900", ["9007199254740993"]],
    ["integer", [2, 20, 2147483647], "2", ["2", "20", "2147483647"]],
    ["integer", [1, 2], "99999999999", []],
    ["uuid", UUIDS, "8F14", UUIDS.slice(0, 2)],
    ["uuid", UUIDS, "8f", [UUIDS[2] ?? "", ...UUIDS.slice(0, 2)]],
  ])("finds the beginnings of ids: %s %j", async (idType, ids, prefix, expected) => {
    const index = await openWith(database, idType, ids);
    for (const limit of [1, 2, 100]) {
      const found: string[] = [];
      let after: string | undefined;
      do {
        const page = await listTrainings({ index, idType }, { prefix, after, limit }, signal);
        found.push(...page.trainings.map(({ id }) => String(id)));
        expect(page.trainings.length).toBeLessThanOrEqual(limit);
        after = page.next ?? undefined;
      } while (after !== undefined);
      expect(found, `pages of ${limit}`).toEqual(expected);
    }
  });
});

describeOnServer("a page of the console's list of many trainings", (database) => {
  it("reads along the primary key, wherever it begins", async () => {
    const { owner, schema, embeddings } = await openTestIndex(database);
    await owner.query(`INSERT INTO ${schema}.training (id, ticket, content_ticket, barrier, metadata)
      SELECT 'faq/' || lpad(n::text, 7, '0'), n, n, 0, '{}' FROM generate_series(1, 50000) n`);
    await owner.query(`ANALYZE ${schema}.training`);
    const { pool, statements } = recordingPool(owner);
    const index = await TrainingIndex.initialize(embeddings, { pool, schema });
    for (const request of [
      { prefix: "", after: undefined },
      { prefix: "", after: "faq/0049000" },
      { prefix: "faq/004", after: undefined },
      { prefix: "faq/004", after: "faq/0040500" },
      { prefix: "nada", after: undefined },
    ]) {
      statements.length = 0;
      const { trainings } = await listTrainings({ index, idType: "text" }, { ...request, limit: 25 }, signal);
      expect(trainings.length).toBe(request.prefix === "nada" ? 0 : 25);
      const pages = statements.map(toStatement).filter(({ text }) => text.includes("list-trainings"));
      expect(pages).toHaveLength(1);
      for (const { text, values } of pages) {
        const { rows } = await owner.query<{ "QUERY PLAN": [{ Plan: Plan }] }>(
          `EXPLAIN (ANALYZE, FORMAT JSON) ${text}`,
          values,
        );
        const scans = scansOf(rows[0]?.["QUERY PLAN"][0].Plan, "training");
        expect(scans.length).toBeGreaterThan(0);
        for (const scan of scans)
          expect(scan).toMatchObject({ "Node Type": expect.stringMatching(/^Index/) as string });
        const read = scans.map((scan) => scan["Actual Rows"] + (scan["Rows Removed by Filter"] ?? 0));
        expect(Math.max(...read)).toBeLessThan(100);
      }
    }
  });
});

/** A node of a plan. */
interface Plan {
  "Node Type": string;
  "Relation Name"?: string;
  "Actual Rows": number;
  "Rows Removed by Filter"?: number;
  Plans?: Plan[];
}

function scansOf(plan: Plan | undefined, table: string): Plan[] {
  if (!plan) return [];
  const own = plan["Relation Name"] === table ? [plan] : [];
  return [...own, ...(plan.Plans ?? []).flatMap((inner) => scansOf(inner, table))];
}

/** A recorded statement; a named one was sent as an object. */
function toStatement({ text, values }: Statement): { text: string; values: unknown[] } {
  return typeof text === "string" ? { text, values: values ?? [] } : text;
}
