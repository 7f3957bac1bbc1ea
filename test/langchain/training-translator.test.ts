import { type BasicTranslator, Comparison, Operation, StructuredQuery } from "@langchain/core/structured_query";
import { InvalidArgumentError, TrainingTranslator } from "langchain-training-index";
import { describe, expect, it } from "vitest";

const translator = new TrainingTranslator();
const recent = new Comparison("gte", "ano", 2024);
const group = new Comparison("eq", "grupo", "vasos");
const own = { bot: { $eq: "a" } };
const generated = { ano: { $gte: 2024 } };

describe("TrainingTranslator", () => {
  it("returns no filter for a question without one", () => {
    expect(translator.visitStructuredQuery(new StructuredQuery("loja"))).toEqual({});
  });

  it.each(["eq", "ne", "gt", "gte", "lt", "lte"] as const)("translates %s", (comparator) => {
    const query = new StructuredQuery("loja", new Comparison(comparator, "ano", 2024));
    expect(translator.visitStructuredQuery(query)).toEqual({ filter: { ano: { [`$${comparator}`]: 2024 } } });
  });

  it("translates combinations, including not", () => {
    const either = new Operation("or", [recent, group]);
    const query = new StructuredQuery("loja", new Operation("and", [new Operation("not", [either]), recent]));
    expect(translator.visitStructuredQuery(query)).toEqual({
      filter: {
        $and: [{ $not: { $or: [{ ano: { $gte: 2024 } }, { grupo: { $eq: "vasos" } }] } }, { ano: { $gte: 2024 } }],
      },
    });
  });

  it.each([new Operation("and", []), new Operation("or"), new Operation("not", [recent, group])])(
    "refuses the ambiguous %j",
    (operation) => {
      expect(() => translator.visitOperation(operation)).toThrow(InvalidArgumentError);
    },
  );

  it("refuses unknown comparisons and operations", () => {
    expect(() => translator.visitComparison(new Comparison("like" as never, "grupo", "v%"))).toThrow();
    expect(() => translator.visitOperation(new Operation("nor" as never, [recent]))).toThrow();
  });

  it.each([
    ["both", own, generated, undefined, { $and: [own, generated] }],
    ["both", own, generated, "and" as const, { $and: [own, generated] }],
    ["either", own, generated, "or" as const, { $or: [own, generated] }],
    ["the model's in place of the caller's", own, generated, "replace" as const, generated],
    ["the model's if the caller has none", undefined, generated, "and" as const, generated],
    ["none if there are none", undefined, undefined, "and" as const, undefined],
  ])("merges filters: %s", (_name, given, asked, type, merged) => {
    expect(translator.mergeFilters(given, asked, type)).toEqual(merged);
  });

  it.each(["and", "or", "replace"] as const)(
    "keeps the caller's filter if the model asks for none, with %s",
    (type) => {
      for (const none of [undefined, {}])
        for (const force of [true, false])
          expect((translator as BasicTranslator).mergeFilters(own, none, type, force)).toEqual(own);
    },
  );
});
