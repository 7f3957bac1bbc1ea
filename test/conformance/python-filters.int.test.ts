/**
 * The filters of the tests of Python's langchain-postgres (tests/unit_tests/fixtures/filtering_test_cases.py), on other data.
 */
import type { Filter } from "langchain-training-index";
import { expect, it } from "vitest";
import { describeOnServer } from "../support/databases.js";
import { openTestIndex } from "../support/index.js";

const METADATA = [
  { numero: 1, nome: "ana", ativo: true, altura: 10, nota: 0.9, peso: 0.1, tags: ["a", "b"] },
  { numero: 2, nome: "bia", ativo: false, altura: 5.7, nota: 0.8, peso: 0.1, tags: ["b", "c"] },
  { numero: 3, nome: "caio", ativo: true, altura: 2.4, nota: null, tags: ["b", "d"] }, // no peso
];

const CASES: [Filter, number[]][] = [
  [{ numero: 1 }, [1]],
  [{ nome: "ana" }, [1]],
  [{ ativo: true }, [1, 3]],
  [{ ativo: false }, [2]],
  [{ numero: 1, ativo: true }, [1]],
  [{ numero: 1, ativo: false }, []],
  [{ numero: { $eq: 1 } }, [1]],
  [{ numero: { $ne: 1 } }, [2, 3]],
  [{ numero: { $gt: 1 } }, [2, 3]],
  [{ numero: { $gte: 1 } }, [1, 2, 3]],
  [{ numero: { $lt: 1 } }, []],
  [{ numero: { $lte: 1 } }, [1]],
  [{ nome: "bia" }, [2]],
  [{ nome: { $eq: "ana" } }, [1]],
  [{ nome: { $ne: "ana" } }, [2, 3]],
  [{ nome: { $gt: "caio" } }, []],
  [{ nome: { $gte: "caio" } }, [3]],
  [{ nome: { $lt: "caio" } }, [1, 2]],
  [{ nome: { $lte: "caio" } }, [1, 2, 3]],
  [{ ativo: { $eq: true } }, [1, 3]],
  [{ ativo: { $ne: true } }, [2]],
  [{ altura: { $gt: 5 } }, [1, 2]],
  [{ altura: { $gte: 5 } }, [1, 2]],
  [{ altura: { $lt: 5 } }, [3]],
  [{ altura: { $lte: 5.8 } }, [2, 3]],
  [{ $or: [{ numero: 1 }, { numero: 2 }] }, [1, 2]],
  [{ $or: [{ numero: 1 }, { nome: "bia" }] }, [1, 2]],
  [{ $and: [{ numero: 1 }, { numero: 2 }] }, []],
  [{ $and: [{ ativo: true }, { numero: { $gt: 1 } }] }, [3]],
  [{ $or: [{ numero: 1 }, { numero: 2 }, { numero: 3 }] }, [1, 2, 3]],
  [{ $not: { numero: 1 } }, [2, 3]],
  [{ $not: [{ numero: 1 }] }, [2, 3]],
  [{ $not: { nome: "ana" } }, [2, 3]],
  [{ $not: [{ nome: "ana" }] }, [2, 3]],
  [{ $not: { ativo: true } }, [2]],
  [{ $not: [{ ativo: true }] }, [2]],
  [{ $not: { altura: { $gt: 5 } } }, [3]],
  [{ $not: [{ altura: { $gt: 5 } }] }, [3]],
  // $not with a list: none of its filters may match.
  [{ $not: [{ numero: 1 }, { numero: 2 }] }, [3]],
  [{ $not: [{ numero: 1 }, { ativo: true }] }, [2]],
  [{ not: [{ numero: 1 }, { $and: [{ ativo: true }, { numero: 3 }] }] }, [2]],
  [{ $not: [{ $not: [{ numero: 1 }] }] }, [1]],
  [{ ativo: true, $not: [{ numero: 1 }] }, [3]],
  [{ numero: { $between: [1, 2] } }, [1, 2]],
  [{ numero: { $between: [1, 1] } }, [1]],
  [{ nome: { $in: ["ana", "bia"] } }, [1, 2]],
  [{ numero: { $in: [1, 2] } }, [1, 2]],
  [{ nome: { $nin: ["ana", "bia"] } }, [3]],
  [{ numero: { $nin: [1, 2] } }, [3]],
  [{ nome: { $like: "a%" } }, [1]],
  [{ nome: { $like: "%i%" } }, [2, 3]],
  [{ nome: { $ilike: "%A" } }, [1, 2]],
  [{ nota: { $exists: false } }, []],
  [{ nota: { $exists: true } }, [1, 2, 3]],
  [{ peso: { $exists: false } }, [3]],
  [{ peso: { $exists: true } }, [1, 2]],
];

describeOnServer("filters of Python's langchain-postgres", (database) => {
  it("find the same documents", async () => {
    const { index } = await openTestIndex(database);
    for (const metadata of METADATA)
      await index.upsertTraining({ id: `t${metadata.numero}`, content: `loja ${metadata.numero}`, metadata });
    for (const [filter, numbers] of CASES) {
      const found = await index.similar("loja", { filter });
      expect(found.map(({ metadata }) => metadata["numero"] as number).sort(), JSON.stringify(filter)).toEqual(numbers);
    }
    const documents = await index.vectorStore.similaritySearch("loja", 10, { $not: [{ numero: 1 }] });
    expect(documents.map(({ metadata }) => metadata["numero"] as number).sort()).toEqual([2, 3]);
  });
});
