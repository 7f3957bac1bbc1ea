import { DatabaseError } from "langchain-training-index";
import { describe, expect, it } from "vitest";
import type { Notice } from "../../src/calls/notices.js";
import { translateError } from "../../src/postgres/database.js";
import { GUARD } from "../../src/search-sql/sharded-search-sql.js";
import type { StatementName } from "../../src/postgres/statement-names.js";
import type { SchemaState } from "../../src/schema/schema-state.js";
import { CurrentStatements } from "../../src/searching/current-statements.js";
import { searchShards, type ShardedSearchOptions } from "../../src/searching/sharded-search.js";
import type { SearchTarget, VectorSearch } from "../../src/searching/vector-search.js";
import { SPREAD_STATE } from "../support/spread-state.js";

/** A chunk in some shard. */
interface Chunk {
  key: string;
  id: string;
  distance: number;
  version?: string;
}

interface Sent {
  name: StatementName;
  text: string;
  values: unknown[];
}

/** Answers statements that find chunks with rows, and those that read passages with what it has of them. */
interface Shards {
  /** The rows of the n-th statement that finds chunks; an error makes it fail. Default: none. */
  near: ((sent: Sent, place: number) => readonly Chunk[] | Error) | readonly Chunk[];
  /** The stored chunks when passages are read for the n-th time. Default: those that were found last. */
  stored?: (place: number, found: readonly Chunk[]) => readonly Chunk[];
  explain?: (text: string) => Promise<string>;
}

const LARGE: SchemaState = { ...SPREAD_STATE, pages: 1_000, chunks: 1_000_000 };

const SEARCH: VectorSearch = {
  vector: Float32Array.of(1, 0.5),
  strategy: "chunks",
  k: 3,
  perTraining: undefined,
  neighbors: undefined,
  efSearch: 40,
  rerankFactor: 5,
  condition: undefined,
};
const CONDITION = { text: "metadata ->> $1 = $2", values: ["bot", "it's $1"] };

function passageOf(chunk: Chunk): object {
  return { ...chunk, content: `${chunk.key} ${chunk.id}`, metadata: "{}", position: "0", start: "0", end: "1" };
}

interface Run {
  /** The found chunks, as `key id`. */
  found: (search?: Partial<VectorSearch>, options?: Partial<ShardedSearchOptions>) => Promise<string[]>;
  /** Statements that find chunks. */
  searches: Sent[];
  /** Statements that read passages. */
  reads: Sent[];
  explained: string[];
  notices: Notice[];
}

/** Searches against shards that answer as given. */
function searching({ near, stored, explain }: Shards, given: SchemaState = SPREAD_STATE): Run {
  const state = { ...given }; // what searches learn belongs to it
  const [searches, reads, explained, notices]: [Sent[], Sent[], string[], Notice[]] = [[], [], [], []];
  let last: readonly Chunk[] = [];
  const answer = (sent: Sent): unknown[] => {
    if (sent.name === "read-passages") {
      reads.push(sent);
      return (stored?.(reads.length, last) ?? last).map(passageOf);
    }
    searches.push(sent);
    const rows = typeof near === "function" ? near(sent, searches.length) : near;
    if (rows instanceof Error) throw rows;
    last = rows;
    // A statement for whole passages returns the same columns, and their content.
    return sent.text.includes("c.content") ? rows.map(passageOf) : rows.map((row) => ({ ...row }));
  };
  const statements = new CurrentStatements(
    {
      areKept: false,
      query: async <Row>(name: StatementName, text: string, values: unknown[]) =>
        Promise.resolve().then(() => answer({ name, text, values }) as Row[]),
      explain: (text) => {
        explained.push(text);
        return explain?.(text) ?? Promise.reject(new Error("no plan was to be asked for"));
      },
    },
    state,
  );
  const target: SearchTarget = {
    statements,
    state,
    dimensions: 2,
    synonyms: undefined,
    notify: (notice) => notices.push(notice),
  };
  return {
    found: async (search, options) => {
      const given = { withEmbedding: false, exactly: false, ...options };
      const rows = await searchShards(target, { ...SEARCH, ...search }, given);
      return rows.map(({ key, id }) => `${key} ${id}`);
    },
    ...{ searches, reads, explained, notices },
  };
}

function limitOf(sent: Sent | undefined): number {
  return Number(/LIMIT (\d+)\s*$/.exec(sent?.text ?? "")?.[1]);
}

const isExact = (sent: Sent | undefined): boolean => sent?.text.includes(") + 0\n") === true;

/** Chunks of different trainings, the nearest first. */
function chunks(count: number): Chunk[] {
  return Array.from({ length: count }, (_, place) => ({
    key: `t${place.toString().padStart(4, "0")}`,
    id: "c",
    distance: place / count,
    version: "7",
  }));
}

describe("The nearest chunks of all shards", () => {
  it("are merged by their distance, whatever the order in which shards answer", async () => {
    const { found, searches } = searching({
      near: [
        { key: "b", id: "1", distance: 0.3 },
        { key: "a", id: "1", distance: 0.25 },
        { key: "d", id: "1", distance: 0.1 },
        { key: "c", id: "1", distance: 0.9 },
      ],
    });
    expect(await found()).toEqual(["d 1", "a 1", "b 1"]);
    expect(searches).toHaveLength(1);
  });

  it.each([
    ["text", ["10", "9", "é"]],
    ["bigint", ["9", "10", "11"]],
  ] as const)(
    "that are equally near are those of the first trainings, in the order of %s ids",
    async (idType, keys) => {
      const state = { ...SPREAD_STATE, layout: { ...SPREAD_STATE.layout, idType } };
      const rows = keys.toReversed().map((key) => ({ key, id: "c", distance: 0.5 }));
      const { found } = searching({ near: rows }, state);
      expect(await found({ k: 2 })).toEqual([`${keys[0]} c`, `${keys[1]} c`]);
    },
  );

  it("are chosen among more if one that is left out is as near as the last", async () => {
    const equal = (key: string): Chunk => ({ key, id: "c", distance: 0.5 });
    const { found, searches } = searching({
      // Each shard returns any of its equally near ones: that of the first training comes only with a higher limit.
      near: (sent) => (limitOf(sent) === 4 ? ["m", "n", "o", "p"] : ["m", "n", "o", "p", "a"]).map(equal),
    });
    expect(await found()).toEqual(["a c", "m c", "n c"]);
    expect(searches.map(limitOf)).toEqual([4, 150]);
  });

  it("are read once more only for a tie at the end, and never beyond the limit for ties", async () => {
    const early = searching({ near: chunks(4).map((chunk, place) => ({ ...chunk, distance: place < 2 ? 0 : place })) });
    expect(await early.found()).toHaveLength(3);
    expect(early.searches).toHaveLength(1);
    const many = searching({ near: chunks(200).map((chunk) => ({ ...chunk, distance: 0 })) });
    expect(await many.found({ k: 149 })).toHaveLength(149);
    expect(many.searches.map(limitOf)).toEqual([150]);
  });

  it("come with their passages in one statement if they are few", async () => {
    const { found, searches, reads } = searching({ near: chunks(30) });
    expect(await found({ k: 20 })).toHaveLength(20);
    expect([searches.length, reads.length]).toEqual([1, 0]);
    // Each shard would send the texts of all that are hardly ever returned.
    expect(await found({ k: 21 })).toHaveLength(21);
    expect([searches.length, reads.length]).toEqual([2, 1]);
    expect(searches[1]?.text).not.toContain("content,");
    expect(reads[0]?.values[1]).toHaveLength(21);
  });

  it("come with their vectors in a second statement, for the chunks that are returned", async () => {
    const { found, searches, reads } = searching({ near: chunks(4) });
    expect(await found({}, { withEmbedding: true })).toEqual(["t0000 c", "t0001 c", "t0002 c"]);
    expect(searches[0]?.text).not.toContain("AS embedding");
    expect(reads[0]?.text).toContain("AS embedding");
    expect(reads[0]?.values.slice(0, 2)).toEqual([
      ["t0000", "t0001", "t0002"],
      ["c", "c", "c"],
    ]);
  });

  it("of a bit index are compared by their full vectors: as many of each shard as on one server", async () => {
    const rows = chunks(40).toReversed();
    const { found, searches } = searching({ near: rows }, { ...LARGE, type: "bit" });
    expect(await found()).toEqual(["t0000 c", "t0001 c", "t0002 c"]);
    expect(limitOf(searches[0])).toBe(40); // efSearch, which is more than k times the factor
    expect(await found({ k: 20 })).toHaveLength(20);
    expect(limitOf(searches[1])).toBe(100);
  });
});

describe("A training that is replaced between the two statements of a search", () => {
  const withVersion = (version: string) => (chunk: Chunk) => ({ ...chunk, version });

  it("makes the search begin again, and the host is told", async () => {
    const { found, searches, notices } = searching({
      near: (_, place) => chunks(4).map(withVersion(place === 1 ? "7" : "8")),
      stored: () => chunks(4).map(withVersion("8")),
    });
    expect(await found({}, { withEmbedding: true })).toHaveLength(3);
    expect(searches).toHaveLength(2);
    expect(notices).toMatchObject([{ code: "RETRY" }]);
  });

  it("is noticed by a chunk that is gone, too", async () => {
    const { found, searches } = searching({
      near: chunks(4),
      stored: (place, last) => (place === 1 ? last.slice(1) : last),
    });
    expect(await found({}, { withEmbedding: true })).toHaveLength(3);
    expect(searches).toHaveLength(2);
  });

  it("fails the search after ten attempts, with an error that can be retried", async () => {
    const { found, searches, notices } = searching({ near: chunks(4), stored: () => [] });
    const failure: unknown = await found({}, { withEmbedding: true }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(DatabaseError);
    expect(failure).toMatchObject({ code: "CONFLICT", retryable: true });
    expect(searches).toHaveLength(10);
    expect(notices).toHaveLength(9);
  });
});

describe("A search of large shards", () => {
  it("compares all chunks if their vector index finds too few, and from then on at once", async () => {
    const { found, searches, notices } = searching({ near: (sent) => (isExact(sent) ? chunks(4) : chunks(2)) }, LARGE);
    expect(await found()).toHaveLength(3);
    expect(searches.map(isExact)).toEqual([false, true]);
    expect(notices).toMatchObject([{ code: "EXACT_SEARCH" }]);
    expect(await found()).toHaveLength(3);
    expect(searches.map(isExact)).toEqual([false, true, true]);
    expect(notices).toHaveLength(2);
    expect(await found({ k: 2 })).toHaveLength(2);
    expect(searches.slice(3).map(isExact)).toEqual([false]); // another search, which has not given up
  });

  it("returns fewer than asked for if there are no more, after it has compared all", async () => {
    const { found, searches } = searching({ near: chunks(2) }, LARGE);
    expect(await found()).toHaveLength(2);
    expect(searches.map(isExact)).toEqual([false, true]);
  });

  it("compares all chunks if the vector index is damaged", async () => {
    const damage = translateError(Object.assign(new Error("índice"), { severity: "ERROR", code: "22000" }));
    const { found, searches, notices } = searching({ near: (sent) => (isExact(sent) ? chunks(2) : damage) }, LARGE);
    expect(await found()).toHaveLength(2);
    expect(searches.map(isExact)).toEqual([false, true]); // once: there are no more
    expect(notices).toMatchObject([{ code: "EXACT_SEARCH", cause: damage }]);
  });

  it("throws any other error", async () => {
    const refused = translateError(Object.assign(new Error("recusado"), { severity: "ERROR", code: "53200" }));
    const { found, searches } = searching({ near: () => refused }, LARGE);
    await expect(found()).rejects.toBe(refused);
    expect(searches).toHaveLength(1);
  });

  it("reads the passages separately when it compares all chunks, exactly as asked", async () => {
    const { found, searches, reads } = searching({ near: chunks(4) }, LARGE);
    expect(await found({}, { exactly: true })).toHaveLength(3);
    expect(searches.map(isExact)).toEqual([true]);
    expect(reads).toHaveLength(1);
  });

  const FEW_MATCH = `Custom Scan (Citus Adaptive)  (cost=0.00..0.00 rows=0 width=0)
  ->  Task
        ->  Limit  (cost=1.00..9.00 rows=4 width=8)
              ->  Index Scan using chunk_1_embedding_102008 on chunk_1_102008 chunk_1  (cost=1.00..900.00 rows=50 width=8)`;
  const BY_FILTER = `->  Bitmap Heap Scan on chunk_1_102008 chunk_1  (cost=4.10..9.30 rows=50 width=4)
        ->  Bitmap Index Scan on chunk_1_metadata_102008  (cost=0.00..4.00 rows=50 width=0)`;

  it("asks for the plan of a filter once, and compares all matches if they are few", async () => {
    const explain = (text: string): Promise<string> =>
      Promise.resolve(text.includes(") + 0\n") ? BY_FILTER : FEW_MATCH);
    const { found, searches, explained } = searching({ near: chunks(4), explain }, LARGE);
    expect(await found({ condition: CONDITION })).toHaveLength(3);
    expect(await found({ condition: CONDITION })).toHaveLength(3);
    expect(explained).toHaveLength(2);
    expect(searches.map(isExact)).toEqual([true, true]);
    expect(searches[0]?.values.slice(2, 4)).toEqual(["bot", "it's $1"]);
  });

  it("asks with the values in the text, since Citus asks a shard without those that are bound", async () => {
    const explain = (): Promise<string> => Promise.resolve("Seq Scan on chunk_1");
    const { found, explained, searches } = searching({ near: chunks(4), explain }, LARGE);
    await found({ condition: CONDITION });
    expect(explained[0]).toContain("metadata ->> 'bot' = 'it''s $1'");
    expect(explained[0]).toContain(`'[1,0.5]'::"public".vector`);
    expect(explained[0]).not.toContain(GUARD);
    expect(searches.map(isExact)).toEqual([false]); // each shard is planned for itself
  });

  it("asks again after it could not be told", async () => {
    let asked = 0;
    const explain = (): Promise<string> =>
      asked++ === 0 ? Promise.reject(new Error("sem resposta")) : Promise.resolve("Seq Scan on chunk_1");
    const { found } = searching({ near: chunks(4), explain }, LARGE);
    await expect(found({ condition: CONDITION })).rejects.toThrow("sem resposta");
    expect(await found({ condition: CONDITION })).toHaveLength(3);
  });

  it("asks for no plan in small shards", async () => {
    const { found, explained } = searching({ near: chunks(4) });
    await found({ condition: CONDITION });
    expect(explained).toEqual([]);
  });
});

/** Chunks of few trainings: `perTraining` of each, one training after the other. */
function chunksOfTrainings(trainings: number, perTraining: number): Chunk[] {
  return Array.from({ length: trainings * perTraining }, (_, place) => ({
    key: `t${Math.floor(place / perTraining)}`,
    id: `c${place.toString().padStart(4, "0")}`,
    distance: place / 10_000,
    version: "7",
  }));
}

describe("A search with a limit for each training", () => {
  it("takes the nearest ones of each training, of all shards together", async () => {
    const rows: Chunk[] = [
      { key: "a", id: "1", distance: 0.4 },
      { key: "b", id: "1", distance: 0.2 },
      { key: "a", id: "2", distance: 0.1 },
      { key: "b", id: "2", distance: 0.3 },
      { key: "a", id: "3", distance: 0.5 },
    ];
    const { found, reads } = searching({ near: rows });
    expect(await found({ perTraining: 1 })).toEqual(["a 2", "b 1"]);
    expect(await found({ perTraining: 2, k: 3 })).toEqual(["a 2", "b 1", "b 2"]);
    expect(reads[1]?.values[0]).toEqual(["a", "b"]); // each training once
  });

  it("examines more chunks while they are of too few trainings, and all of them in the end", async () => {
    const all = chunksOfTrainings(4, 600);
    const { found, searches, notices } = searching(
      { near: (sent) => (sent.name === "search-exactly" ? firstOfEach(all, 1) : all.slice(0, limitOf(sent))) },
      LARGE,
    );
    expect(await found({ perTraining: 1 })).toEqual(["t0 c0000", "t1 c0600", "t2 c1200"]);
    expect(searches.map(limitOf)).toEqual([100, 1000, 3]);
    expect(notices).toMatchObject([{ code: "EXACT_SEARCH" }]);
  });

  it("stops as soon as the page is full", async () => {
    const all = chunksOfTrainings(50, 10);
    const { found, searches } = searching({ near: (sent) => all.slice(0, limitOf(sent)) }, LARGE);
    expect(await found({ perTraining: 2, k: 5 })).toEqual(["t0 c0000", "t0 c0001", "t1 c0010", "t1 c0011", "t2 c0020"]);
    expect(searches.map(limitOf)).toEqual([100]);
  });

  it("examines of the candidates of a bit index only the nearest, as on one server", async () => {
    const all = chunksOfTrainings(3, 60);
    const { found, searches } = searching({ near: all }, { ...LARGE, type: "bit" });
    // The third training begins with the 121st chunk.
    expect(await found({ perTraining: 1, k: 2 })).toEqual(["t0 c0000", "t1 c0060"]);
    expect(searches.map(limitOf)).toEqual([500]);
    expect(await found({ perTraining: 1, k: 3 })).toEqual(["t0 c0000", "t1 c0060", "t2 c0120"]);
    expect(searches.slice(1, 3).map(limitOf)).toEqual([500, 5000]);
  });

  it("of trainings returns the best chunks of the best trainings", async () => {
    const rows: Chunk[] = [
      { key: "far", id: "1", distance: 0.3 },
      { key: "near", id: "1", distance: 0.1 },
      { key: "near", id: "2", distance: 0.9 },
      { key: "next", id: "1", distance: 0.2 },
      { key: "near", id: "3", distance: 0.4 },
      { key: "near", id: "4", distance: 0.95 },
    ];
    const { found, reads } = searching({ near: rows });
    expect(await found({ strategy: "trainings", k: 2 })).toEqual(["near 1", "next 1", "near 3", "near 2"]);
    expect(reads[0]?.text).toContain("AS training_metadata");
    expect(await found({ strategy: "trainings", k: 2, perTraining: 1 })).toEqual(["near 1", "next 1"]);
  });

  it("compares all chunks at once if that is asked for", async () => {
    const { found, searches, notices } = searching({ near: chunksOfTrainings(3, 1) }, LARGE);
    expect(await found({ perTraining: 2, k: 3 }, { exactly: true })).toHaveLength(3);
    expect(await found({ perTraining: 2, k: 3, strategy: "trainings" }, { exactly: true })).toHaveLength(3);
    expect(searches.map(({ name }) => name)).toEqual(["search-exactly", "search-exactly"]);
    expect(searches.map(limitOf)).toEqual([3, 6]); // two of each of the three trainings
    expect(notices).toEqual([]);
  });
});

function firstOfEach(rows: readonly Chunk[], count: number): Chunk[] {
  return rows.filter((row, place) => rows.slice(0, place).filter(({ key }) => key === row.key).length < count);
}
