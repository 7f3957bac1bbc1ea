import { setTimeout as sleep } from "node:timers/promises";
import { TrainingIndex } from "langchain-training-index";
import { expect, it } from "vitest";
import { observedPool } from "../support/contract.js";
import { describeOnEach } from "../support/databases.js";
import { CountingEmbeddings, DIMENSIONS, migratedSchema } from "../support/index.js";

describeOnEach("A call whose signal fires while one of its statements runs", (database) => {
  it.each([
    ["upsert", 2],
    ["delete", 6],
  ] as const)("has stored its %s exactly if it succeeds", async (operation, statements) => {
    const schema = await migratedSchema(database);
    let onSuccess = (): Promise<void> | void => undefined;
    const pool = observedPool(database.pool, { after: () => onSuccess() });
    const index = await TrainingIndex.initialize(new CountingEmbeddings(DIMENSIONS), { pool, schema });
    await index.upsertTraining({ id: "first", content: "A loja." }); // claims the schema
    const outcomes: [succeeded: boolean, done: boolean][] = [];
    for (let number = 1; number <= statements; number++) {
      const id = `${operation} ${number}`;
      if (operation === "delete") await index.upsertTraining({ id, content: "O frete." });
      const controller = new AbortController();
      let succeededStatements = 0;
      onSuccess = () => {
        if (++succeededStatements !== number) return;
        controller.abort();
        return sleep(20); // the library learns of it a moment later
      };
      const { signal } = controller;
      const call =
        operation === "upsert"
          ? index.upsertTraining({ id, content: "O frete." }, { signal })
          : index.deleteTraining(id, { signal });
      const succeeded = await call.then(
        () => true,
        () => false,
      );
      onSuccess = () => undefined;
      const isStored = (await index.get(id)) !== undefined;
      outcomes.push([succeeded, isStored === (operation === "upsert")]);
    }
    expect(outcomes.map(([, done]) => done)).toEqual(outcomes.map(([succeeded]) => succeeded));
  });
});
