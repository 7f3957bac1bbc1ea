import { HashingEmbeddings } from "langchain-training-index/testing";
import { expect, it } from "vitest";
import { Models } from "../../src/models/models.js";
import type { SchemaState } from "../../src/schema/schema-state.js";

const given = [
  { embeddings: new HashingEmbeddings({ dimensions: 16 }), profile: { model: "a" } },
  { embeddings: new HashingEmbeddings({ dimensions: 16 }), profile: { model: "b" } },
];
const models = new Models({ given, splitter: undefined, notify: () => undefined });
const unused = { query: () => Promise.reject(new Error("no statement is needed")) };

function stateWith(model: string | undefined, dimensions = 16): SchemaState {
  const recorded = model === undefined ? undefined : { model, queryPrefix: "", documentPrefix: "" };
  const layout = { schema: "s", idType: "text", extensionSchema: "public", profileId: 1 } as const;
  return { layout, dimensions, recorded } as unknown as SchemaState;
}

it("the model in use is the recorded one, and in an empty schema the last", async () => {
  for (const [recorded, chosen] of [
    ["a", "a"],
    ["b", "b"],
    [undefined, "b"],
  ] as const) {
    const own = await models.choose(stateWith(recorded), unused);
    expect(own.model).toBe(chosen);
    expect(models.of({ own }).profile).toBe(own);
  }
});
