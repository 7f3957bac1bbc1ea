import { describe, expect, it } from "vitest";
import { readOptions, UsageError } from "../../eval/options.js";
import { headerOf, splitOf, variantsOf } from "../../eval/variants.js";

describe("readOptions", () => {
  it("has defaults", () => {
    expect(readOptions(["set"])).toEqual({
      source: "set",
      language: "portuguese",
      modes: ["vector", "text", "hybrid"],
      questions: ["clean"],
      models: ["environment"],
      splits: ["auto"],
      headers: ["none"],
      seed: 1,
    });
  });

  it("reads lists, each value once", () => {
    const args = [
      "set",
      "--models",
      "hashing, use,hashing",
      "--split",
      "auto,recursive:500:75",
      "--headers",
      "none,title",
    ];
    expect(readOptions([...args, "--questions", "clean,phone", "--modes", "text", "--seed", "9"])).toMatchObject({
      models: ["hashing", "use"],
      splits: ["auto", "recursive:500:75"],
      headers: ["none", "title"],
      questions: ["clean", "phone"],
      modes: ["text"],
      seed: 9,
    });
  });

  it.each([
    [[], ""],
    [["set", "other"], "One set at a time"],
    [["set", "--modes", "fuzzy"], '--modes does not take "fuzzy"'],
    [["set", "--questions", "clean,"], '--questions does not take ""'],
    [["set", "--split", "recursive:75:500"], '--split does not take "recursive:75:500"'],
    [["set", "--headers", "constructor"], '--headers does not take "constructor"'],
    [["set", "--seed", "-1"], "--seed"],
    [["set", "--colour"], "--colour"],
  ])("refuses %j", (args, problem) => {
    expect(() => readOptions(args)).toThrow(UsageError);
    expect(() => readOptions(args)).toThrow(problem);
  });
});

describe("variants", () => {
  it("are all combinations; the first has the first value of each option", () => {
    const variants = variantsOf({ models: ["a", "b"], splits: ["auto"], headers: ["none", "title"] });
    expect(variants.map(({ model, header }) => `${model} ${header}`)).toEqual([
      "a none",
      "a title",
      "b none",
      "b title",
    ]);
  });

  it("split with LangChain's splitters", async () => {
    const chunks = await splitOf("recursive:20:0")?.splitter?.splitText("A loja abre cedo. Fecha às seis.");
    expect(chunks).toEqual(["A loja abre cedo.", "Fecha às seis."]);
    const markdown = splitOf("markdown:30:0")?.splitter;
    expect(await markdown?.splitText("Abre cedo. Fecha.\n\n## Frete\n\nCusta doze.")).toEqual([
      "Abre cedo. Fecha.",
      "## Frete\n\nCusta doze.",
    ]);
    expect(splitOf("passages")).toEqual({ split: "passages" });
  });

  it("have the title of a text as its header", () => {
    const { header } = headerOf("title") ?? {};
    expect(header?.({ id: 1, content: "texto", metadata: { title: "Frete" } })).toBe("Frete");
    expect(header?.({ id: 1, content: "texto" })).toBe("");
    expect(headerOf("none")).toEqual({});
  });
});
