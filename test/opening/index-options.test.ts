import { describe, expect, it } from "vitest";
import { InvalidArgumentError } from "../../src/errors.js";
import { checkIndexOptions } from "../../src/opening/index-options.js";

const refusal = (option: string, problem: string): InvalidArgumentError => new InvalidArgumentError(option, problem);

describe("checkIndexOptions", () => {
  const embed = (): never => {
    throw new Error("is not called");
  };
  const embeddings = { embedDocuments: embed, embedQuery: embed };
  const pool = { connect: embed, query: embed };

  it("accepts any object that can embed documents and queries", () => {
    expect(() => {
      checkIndexOptions(embeddings, { pool });
    }).not.toThrow();
  });

  it.each([undefined, null, {}, { embedDocuments: embed }, { embedQuery: embed }, "mxbai", { pool }, pool])(
    "refuses %o instead of embeddings, and shows the right call",
    (given) => {
      expect(() => {
        checkIndexOptions(given, { pool });
      }).toThrow(
        refusal(
          "embeddings",
          "must be LangChain Embeddings, given before the options: initialize(embeddings, { pool })",
        ),
      );
    },
  );

  it("hints at the mistake when given a pool as options, or a promise as embeddings", () => {
    expect(() => {
      checkIndexOptions(embeddings, pool);
    }).toThrow("initialize(embeddings, { pool })");
    expect(() => {
      checkIndexOptions(Promise.resolve(embeddings), { pool });
    }).toThrow(refusal("embeddings", "is a promise: await it first"));
  });
});
