import { TrainingIndex, type Training } from "langchain-training-index";
import { expect, it } from "vitest";
import { compileFilter } from "../../src/filtering/filter.js";
import type { Condition } from "../../src/filtering/condition.js";
import { encodeTextArray } from "../../src/postgres/codec.js";
import * as sql from "../../src/reconciling/check-sql.js";
import { listStoredOnShards } from "../../src/reconciling/sharded-check-sql.js";
import { digestOf } from "../../src/reconciling/training-rows.js";
import type { Layout } from "../../src/schema/layout.js";
import { describeOnServerOrEmbedded, type TestDatabase } from "../support/databases.js";
import { CountingEmbeddings, DIMENSIONS, FIVE_PARAGRAPHS } from "../support/index.js";
import { spreadSchema } from "../support/spread-schema.js";

/** In an order that a collation other than that of bytes would change. */
const IDS = ["Z", "a", "b", "c", "d", "e", "f", "g", "h", "é"];
const MISSING = "y";

const TRAININGS: Training[] = IDS.map((id, place) => ({
  id,
  content: FIVE_PARAGRAPHS.replaceAll("loja", `loja ${id}`),
  metadata: { grupo: place % 2 === 0 ? "par" : "impar" },
  revision: 3,
}));

/** Damage by hand, each of one training; `S` stands for the schema. */
const DAMAGES = [
  `DELETE FROM S.chunk_1 c USING S.indexed_1 i WHERE c.training_id = 'a' AND i.training_id = 'a' AND c.id = i.chunk_ids[2]`,
  `UPDATE S.chunk_1 SET content = translate(content, 'aeo', 'eoa') WHERE training_id = 'b'`,
  `UPDATE S.training SET metadata = '{"grupo": "outro"}' WHERE id = 'c'`,
  `DELETE FROM S.indexed_1 WHERE training_id = 'd'`,
  `UPDATE S.indexed_1 SET ends[2] = NULL WHERE training_id = 'e'`,
  `UPDATE S.chunk_1 SET embedding = array_fill(0, ARRAY[${DIMENSIONS}])::real[]::public.vector WHERE training_id = 'f'`,
];

/** A row of a list of trainings. */
interface Page {
  keys: string | null;
  last: string | null;
}

interface Stored {
  schema: string;
  local: Layout;
  spread: Layout;
  rows: <Row>(text: string, values: unknown[]) => Promise<Row[]>;
}

async function stored(database: TestDatabase): Promise<Stored> {
  const made = await spreadSchema(database);
  const { pool } = database;
  const index = await TrainingIndex.initialize(new CountingEmbeddings(), { pool, schema: made.schema });
  await index.upsertTrainings(TRAININGS);
  await index.deleteTraining("g");
  const quoted = `"${made.schema.replaceAll('"', '""')}"`;
  for (const damage of DAMAGES) await database.owner.query(damage.replaceAll("S.", () => `${quoted}.`));
  return {
    schema: quoted,
    local: (await made.local()).layout,
    spread: (await made.spread()).layout,
    rows: async <Row>(text: string, values: unknown[]) => (await pool.query(text, values)).rows as Row[],
  };
}

const CONDITIONS: [string, Condition | undefined][] = [
  ["without a filter", undefined],
  ["with a filter", compileFilter({ grupo: "par" })],
  ["with a filter that matches nothing", compileFilter({ grupo: { $in: ["x", "y"] } })],
];

describeOnServerOrEmbedded("the checks of spread trainings, run on one server", (database) => {
  it.each(CONDITIONS)("list the trainings that those for one server list, %s", async (_, condition) => {
    const { local, spread, rows } = await stored(database);
    const values = condition?.values ?? [];
    for (const after of [null, "", "a", "f", "é"]) {
      for (const ticket of [null, "0", "4", "1000"]) {
        const given = [after, ticket, ...values];
        const found = await rows(sql.listStored(spread, condition?.text), given);
        expect(found).toEqual(await rows(sql.listStored(local, condition?.text), given));
        expect(found).toHaveLength(1);
      }
    }
  });

  it("list page after page in the order of the ids' bytes, with tombstones between them", async () => {
    const { spread, rows } = await stored(database);
    const text = listStoredOnShards(spread, undefined, 3);
    const pages: (string | null)[] = [];
    let after: string | null | undefined = null;
    do {
      const page: Page | undefined = (await rows<Page>(text, [after, null]))[0];
      after = page?.last;
      if (after) pages.push(page?.keys ?? null);
    } while (after);
    expect(pages).toEqual(['["Z", "a", "b"]', '["c", "d", "e"]', '["f", "h"]', '["é"]']);
  });

  it.each(CONDITIONS)("find the damage that those for one server find, %s", async (_, condition) => {
    const { local, spread, rows, schema } = await stored(database);
    const keys = [...IDS.toReversed(), MISSING];
    const chunks = await rows<{ key: string; fingerprint: string; start: number; end: number; hash: string }>(
      `SELECT i.training_id AS key, encode(i.fingerprint, 'hex') AS fingerprint, p.start_at AS start, p.end_at AS end,
        encode(c.content_hash, 'hex') AS hash
      FROM ${schema}.indexed_1 i, unnest(i.chunk_ids, i.starts, i.ends) WITH ORDINALITY AS p (id, start_at, end_at, place)
      JOIN ${schema}.chunk_1 c ON c.id = p.id WHERE c.training_id = i.training_id ORDER BY place`,
      [],
    );
    const expectedOf = (key: string): string => {
      const own = chunks.filter((chunk) => chunk.key === key);
      const metadata = TRAININGS.find(({ id }) => id === key)?.metadata;
      return JSON.stringify({ fingerprint: own[0]?.fingerprint ?? "", metadata, digest: digestOf(own) });
    };
    const sound = new Set<string>();
    for (const revision of ["", "3", "4"]) {
      for (const ticket of [null, "4", "1000"]) {
        for (const expected of [keys.map(() => ""), keys.map(expectedOf), keys.map(() => expectedOf("h"))]) {
          const given = [keys, keys.map(() => revision), expected].map(encodeTextArray);
          const values = [given[0], given[1], ticket, given[2], DIMENSIONS, ...(condition?.values ?? [])];
          const found = await rows<Record<"missing" | "others", string | null>>(
            sql.findUnsettled(spread, condition?.text),
            values,
          );
          expect(found).toEqual(await rows(sql.findUnsettled(local, condition?.text), values));
          const unsettled = new Set(
            [found[0]?.missing, found[0]?.others].flatMap((places) => JSON.parse(places ?? "[]") as number[]),
          );
          // Trainings that are newer than the check are left out of both lists.
          if (ticket !== "4") keys.filter((_key, place) => !unsettled.has(place)).forEach((key) => sound.add(key));
        }
      }
    }
    if (condition === undefined) expect([...sound].sort()).toEqual(["Z", "h", "é"]);
  });

  it.each(CONDITIONS)("read the rows that those for one server read, %s", async (_, condition) => {
    const { local, spread, rows } = await stored(database);
    const keys = [...IDS.toReversed(), MISSING, "a"];
    for (const revision of [null, "2", "3", "4"]) {
      for (const ticket of [null, "4"]) {
        const values = [keys, keys.map(() => revision), ticket, ...(condition?.values ?? [])];
        const found = await rows(sql.readStored(spread, condition?.text), values);
        expect(found).toHaveLength(keys.length);
        expect(found).toEqual(await rows(sql.readStored(local, condition?.text), values));
      }
    }
  });

  it("read the vectors that those for one server read, and perhaps more of the same trainings", async () => {
    const { local, spread, rows, schema } = await stored(database);
    const chunks = await rows<{ key: string; id: string }>(
      `SELECT training_id AS key, id FROM ${schema}.chunk_1 WHERE training_id IN ('Z', 'h') ORDER BY id LIMIT 6`,
      [],
    );
    const values = [chunks.map(({ key }) => key), chunks.map(({ id }) => id)];
    const found = await rows(sql.readVectors(spread), values);
    expect(found).toEqual(expect.arrayContaining(await rows(sql.readVectors(local), values)));
    expect(found).toHaveLength(6); // the ids of chunks are unique
  });
});
