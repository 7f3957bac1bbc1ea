import { describe, expect, it } from "vitest";
import { InvalidArgumentError } from "../../src/errors.js";
import { normalizeTraining } from "../../src/chunking/training-input.js";
import { requireScope } from "../../src/writing/scope.js";

const refusal = (option: string, problem: string): InvalidArgumentError => new InvalidArgumentError(option, problem);

describe("requireScope", () => {
  const scope = ['{"ativo":true,"grupo":"suporte"}', '{"nivel":2}'];
  const meeting = { grupo: "suporte", ativo: true, nivel: 2, tag: "entregas" };

  it("returns a training that has all values of the filter", () => {
    const training = normalizeTraining({ id: "1", content: "Olá", metadata: meeting }, "text");
    expect(requireScope(training, scope)).toBe(training);
  });

  it("accepts any training if the index has no filter", () => {
    const training = normalizeTraining({ id: "1", content: "Olá" }, "text");
    expect(requireScope(training, [])).toBe(training);
  });

  it.each([
    ["grupo", { ...meeting, grupo: "vendas" }],
    ["grupo", { ativo: true, nivel: 2 }],
    ["grupo", { ...meeting, grupo: ["suporte"] }],
    ["ativo", { ...meeting, ativo: "true" }],
    ["nivel", { ...meeting, nivel: "2" }],
  ])("refuses a training without the filter's value of %s", (key, metadata) => {
    const training = normalizeTraining({ id: "1", content: "Olá", metadata }, "text");
    expect(() => requireScope(training, scope, "trainings[4]")).toThrow(
      refusal("trainings[4].metadata", `must have the same value of "${key}" as the filter of this index`),
    );
  });

  it("refuses a document whose own metadata does not match the filter", () => {
    const documents = [{ pageContent: "a" }, { pageContent: "b", metadata: { nivel: 3 } }];
    const training = normalizeTraining({ id: "1", documents, metadata: meeting }, "text");
    expect(() => requireScope(training, scope)).toThrow(
      refusal("training.documents[1].metadata", 'must have the same value of "nivel" as the filter of this index'),
    );
  });

  it("does not mistake inherited properties for metadata", () => {
    const training = normalizeTraining({ id: "1", content: "Olá" }, "text");
    expect(() => requireScope(training, ['{"constructor":"a"}'])).toThrow(
      refusal("training.metadata", 'must have the same value of "constructor" as the filter of this index'),
    );
  });
});
