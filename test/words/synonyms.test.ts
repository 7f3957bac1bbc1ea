import { InvalidArgumentError, portugueseSynonyms } from "langchain-training-index";
import { describe, expect, it } from "vitest";
import { compileSynonyms, withSynonyms } from "../../src/words/synonyms.js";

describe("synonyms", () => {
  it("replace words of a question, whatever their case and accents", () => {
    const synonyms = compileSynonyms({ Vç: "você", celular: "celular telefone" });
    expect(withSynonyms("VC, vç ou vçs: o CELULAR?", "english", synonyms)).toBe(
      "você, você ou vçs: o celular telefone?",
    );
    expect(withSynonyms("a$&b $1", "english", compileSynonyms({ b: "$&$1" }))).toBe("a$&$&$1 $1");
  });

  it("are those of Portuguese chats by default, in Portuguese only", () => {
    expect(withSynonyms("vc tbm aceita pix hj?", "portuguese", undefined)).toBe("você também aceita pix hoje?");
    expect(withSynonyms("vc tbm aceita pix hj?", "english", undefined)).toBe("vc tbm aceita pix hj?");
    expect(withSynonyms("vc", "portuguese", compileSynonyms({}))).toBe("vc");
    expect(compileSynonyms(portugueseSynonyms)?.get("vc")).toBe("você");
  });

  it.each([
    [null, "synonyms"],
    [["vc"], "synonyms"],
    ["vc", "synonyms"],
    [{ "por favor": "pf" }, 'synonyms["por favor"]'],
    [{ "": "x" }, 'synonyms[""]'],
    [{ "p/": "para" }, 'synonyms["p/"]'],
    [{ vc: 1 }, 'synonyms["vc"]'],
    [{ vc: undefined }, 'synonyms["vc"]'],
  ])("refuses %j", (synonyms, option) => {
    expect(() => compileSynonyms(synonyms)).toThrow(InvalidArgumentError);
    expect(() => compileSynonyms(synonyms)).toThrow(option);
  });
});
