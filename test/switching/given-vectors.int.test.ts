import { TrainingIndex } from "langchain-training-index";
import { expect, it } from "vitest";
import { failureOf } from "../support/contract.js";
import { describeOnServerOrEmbedded } from "../support/databases.js";
import { otherModel } from "../support/other-model.js";
import { openSwitching } from "../support/switching.js";

const document = (pageContent: string): never => ({ pageContent, metadata: {} }) as never;

describeOnServerOrEmbedded("Vectors that the caller gives to an index with several models", (database) => {
  it("are taken with the name of the model in use, before and after a switch, and never compared with others", async () => {
    const { both, switching, next, embeddings } = await openSwitching(database);
    const [before, after] = [await embeddings.embedQuery("loja"), await next.embedQuery("loja")];
    const [old, other] = [embeddings.profile.model, next.profile.model];
    expect(await both.similar(before, { model: old })).toEqual(await both.similar("loja"));
    expect(await failureOf(both.similar(after, { model: other }))).toMatchObject({ code: "PROFILE_RETIRED" });
    expect(await failureOf(both.similar(before))).toMatchObject({ code: "INVALID_ARGUMENT", option: "query" });
    const { vectorStore } = both;
    await vectorStore.addVectors([before], [document("Com vetor.")], { ids: ["v"], model: old });
    await switching.switchModel(next, { sample: 0 });
    // This process has not noticed the switch yet.
    expect((await both.similar(after, { model: other })).length).toBeGreaterThan(0);
    expect(await both.similar(after, { model: other })).toEqual(await both.similar("loja"));
    expect(await failureOf(both.similar(before, { model: old }))).toMatchObject({
      code: "PROFILE_RETIRED",
      retryable: true,
    });
    const late = vectorStore.addVectors([before], [document("Tarde.")], { ids: ["w"], model: old });
    expect(await failureOf(late)).toMatchObject({ code: "PROFILE_RETIRED" });
    expect(await both.get("w")).toBeUndefined();
    await vectorStore.addVectors([after], [document("Novo.")], { ids: ["n"], model: other });
    expect(await both.similar(after, { model: other, k: 1 })).toMatchObject([{ trainingId: "n", score: 1 }]);
  });

  it("are refused under a name that the index does not have, with a text, and where two models have the name", async () => {
    const { both, index, embeddings, pool, schema } = await openSwitching(database, ["a"]);
    const vector = await embeddings.embedQuery("loja");
    const model = embeddings.profile.model;
    expect(await failureOf(both.similar(vector, { model: "third" }))).toMatchObject({ option: "model" });
    expect(await failureOf(both.similar(vector, { model: " " }))).toMatchObject({ option: "model" });
    expect(await failureOf(both.similar("loja", { model }))).toMatchObject({ option: "model" });
    expect(await failureOf(both.similar(vector.slice(1), { model }))).toMatchObject({ option: "query" });
    expect(await index.similar(vector)).toEqual(await index.similar(vector, { model }));
    expect(await failureOf(index.similar(vector, { model: "third" }))).toMatchObject({ option: "model" });
    const [alike, smaller] = [otherModel(64, model), otherModel(32, model)];
    const sameSize = await TrainingIndex.initialize([alike, embeddings], { pool, schema });
    expect(await failureOf(sameSize.similar(vector, { model }))).toMatchObject({ option: "query" });
    const sizes = await TrainingIndex.initialize([embeddings, smaller], { pool, schema });
    expect(await sizes.similar(vector, { model })).toHaveLength(1);
    const ofOther = sizes.similar(await smaller.embedQuery("loja"), { model });
    expect(await failureOf(ofOther)).toMatchObject({ code: "PROFILE_RETIRED" });
  });

  it("are refused if the switch comes between their check and their write", async () => {
    const { both, switching, embeddings, schema, owner } = await openSwitching(database, ["a"]);
    const sameSize = otherModel(64);
    const pool = database.pool;
    const several = await TrainingIndex.initialize([embeddings, sameSize], { pool, schema });
    const vector = await embeddings.embedQuery("loja");
    await switching.switchModel(sameSize, { sample: 0 });
    const adding = several.vectorStore.addVectors([vector], [document("Velho.")], {
      ids: ["v"],
      model: embeddings.profile.model,
    });
    expect(await failureOf(adding)).toMatchObject({ code: "PROFILE_RETIRED" });
    expect((await owner.query(`SELECT FROM ${schema}.training WHERE id = 'v'`)).rows).toEqual([]);
    expect(both).toBeDefined();
  });
});
