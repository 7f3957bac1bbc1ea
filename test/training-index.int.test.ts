import { expect, it } from "vitest";
import { describeOnEach } from "./support/databases.js";
import { openTestIndex } from "./support/index.js";

describeOnEach("a training", (database) => {
  it("is found by what it says", async () => {
    const { index } = await openTestIndex(database);
    await index.upsertTraining({ id: "entregas", content: "O prazo de entrega é de três dias úteis." });
    const [hit] = await index.similar("prazo de entrega");
    expect(hit).toMatchObject({
      trainingId: "entregas",
      position: 0,
      content: "O prazo de entrega é de três dias úteis.",
    });
  });
});
