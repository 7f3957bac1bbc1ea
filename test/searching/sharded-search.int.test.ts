import { TrainingIndex, type DocumentsTraining, type Filter } from "langchain-training-index";
import { expect, it } from "vitest";
import { compileFilter } from "../../src/filtering/filter.js";
import { encodeTextArray } from "../../src/postgres/codec.js";
import { NamedStatements } from "../../src/postgres/named-statements.js";
import { SchemaChanged } from "../../src/schema/schema-change.js";
import type { SchemaState } from "../../src/schema/schema-state.js";
import { CurrentStatements } from "../../src/searching/current-statements.js";
import type { FoundChunk } from "../../src/searching/hits.js";
import {
  searchByVector,
  searchExactly,
  type SearchTarget,
  type VectorSearch,
} from "../../src/searching/vector-search.js";
import { describeOnServerOrEmbedded, type TestDatabase } from "../support/databases.js";
import { CountingEmbeddings, DIMENSIONS, paragraph } from "../support/index.js";
import { spreadSchema, type SpreadSchema } from "../support/spread-schema.js";

type Options = Partial<Omit<VectorSearch, "condition">> & { filter?: Filter };

/**
 * Trainings with several chunks each, whose ids and metadata are in part those of other trainings, and some of one chunk with the same text.
 */
const TRAININGS: DocumentsTraining[] = [
  ...Array.from({ length: 12 }, (_, place) => ({
    id: `t${place}`,
    documents: Array.from({ length: 8 }, (_unused, number) => ({
      id: `c${number}`,
      pageContent: paragraph(`${place} ${number}`),
      metadata: { parte: number % 4, raro: place === 3 && number === 5, ...(number % 2 === 1 && { dono: "parte" }) },
    })),
    split: false as const,
    metadata: { grupo: place % 2 === 0 ? "par" : "impar", dono: "todo" },
  })),
  ...["u1", "u2", "u3", "u4", "u5", "u6"].map((id) => ({
    id,
    documents: [{ pageContent: "O mesmo texto.", metadata: {} }],
    split: false as const,
  })),
];

async function filled(database: TestDatabase): Promise<SpreadSchema> {
  const made = await spreadSchema(database);
  const index = await TrainingIndex.initialize(new CountingEmbeddings(), { pool: database.pool, schema: made.schema });
  await index.upsertTrainings(TRAININGS);
  return made;
}

function targetOf(database: TestDatabase, state: SchemaState): SearchTarget {
  return {
    statements: new CurrentStatements(new NamedStatements(database.pool), state),
    dimensions: DIMENSIONS,
    state,
    synonyms: undefined,
    notify: () => undefined,
  };
}

async function searchFor(question: string, { filter, ...options }: Options): Promise<VectorSearch> {
  return {
    vector: Float32Array.from(await new CountingEmbeddings().embedQuery(question)),
    strategy: "chunks",
    k: 5,
    perTraining: undefined,
    neighbors: undefined,
    efSearch: 200,
    rerankFactor: 10,
    condition: filter && compileFilter(filter),
    ...options,
  };
}

/** As if the tables were large, so that searches use the vector index and ask for plans. */
function asLarge(state: SchemaState): SchemaState {
  return { ...state, pages: 100_000, chunks: 100_000 };
}

const SEARCHES: Options[] = [
  { k: 1 },
  { k: 3 },
  { k: 7 },
  { k: 30 },
  { k: 200 },
  { k: 5, filter: { grupo: "par" } },
  { k: 5, filter: { raro: true } },
  { k: 30, filter: { parte: { $in: [1, 2] } } },
  { k: 5, filter: { parte: 7 } },
  { k: 5, neighbors: { before: 1, after: 2 } },
  { k: 30, neighbors: { before: 2, after: 1 }, filter: { parte: { $ne: 0 } } },
  { k: 6, perTraining: 1 },
  { k: 6, perTraining: 2, neighbors: { before: 0, after: 1 } },
  { k: 25, perTraining: 3, filter: { grupo: "impar" } },
  { k: 3, strategy: "trainings" },
  { k: 30, strategy: "trainings" },
  { k: 3, strategy: "trainings", perTraining: 2, neighbors: { before: 1, after: 0 } },
  { k: 4, strategy: "trainings", filter: { parte: 2 } },
  { k: 4, strategy: "trainings", filter: { dono: "parte" } },
  { k: 4, strategy: "trainings", filter: { dono: "todo" } },
];
const OF_CHUNKS = SEARCHES.filter(({ strategy, perTraining }) => strategy === undefined && perTraining === undefined);

type Find = (target: SearchTarget, search: VectorSearch) => Promise<FoundChunk[]>;

describeOnServerOrEmbedded("searches of spread trainings, run on one server", (database) => {
  it.each([
    ["by vector in small tables", SEARCHES, searchByVector],
    ["with the vectors of the chunks", OF_CHUNKS, (target, search) => searchByVector(target, search, true)],
    ["exactly", OF_CHUNKS, searchExactly],
    [
      "by vector in large tables",
      SEARCHES,
      (target, search) => searchByVector(targetOf(database, asLarge(target.state)), search),
    ],
  ] satisfies [string, Options[], Find][])("find %s what those for one server find", async (_, searches, find) => {
    const made = await filled(database);
    const [local, spread] = [targetOf(database, await made.local()), targetOf(database, await made.spread())];
    const found: FoundChunk[] = [];
    for (const options of searches) {
      for (const question of [paragraph("3 5"), "entrega", "O mesmo texto."]) {
        const search = await searchFor(question, options);
        const hits = await find(spread, search);
        expect(hits, JSON.stringify({ question, ...options })).toEqual(await find(local, search));
        found.push(...hits);
      }
    }
    expect(found.length).toBeGreaterThan(500);
  });

  it("return nothing of a training that the filter excludes, except what it shares with a chunk that was found", async () => {
    const made = await filled(database);
    const search = await searchFor(paragraph("3 5"), { strategy: "trainings", k: 1, filter: { raro: true } });
    const [found] = await searchByVector(targetOf(database, await made.spread()), search);
    expect(found?.hit).toMatchObject({ trainingId: "t3", position: 5, metadata: { dono: "parte" } });
    expect(found?.trainingMetadata).toEqual({ grupo: "impar" });
  });

  it.each([{ k: 5 }, { k: 5, perTraining: 1 }, { k: 30 }])(
    "fail in an index that knows another version of the schema: %j",
    async (options) => {
      const made = await filled(database);
      const state = { ...(await made.spread()), acceptedVersions: encodeTextArray(["0"]) };
      const search = await searchFor("entrega", options);
      await expect(searchByVector(targetOf(database, state), search)).rejects.toThrow(SchemaChanged);
    },
  );
});
