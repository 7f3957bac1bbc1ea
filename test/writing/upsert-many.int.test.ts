import type { Training, UpsertResult } from "langchain-training-index";
import { expect, it } from "vitest";
import { describeOnServer } from "../support/databases.js";
import { collect, failureOf, holdEmbedding } from "../support/contract.js";
import { gateOf, openTestIndex, smallTraining, until } from "../support/index.js";

/** The trainings of one batch; their texts contain its name. */
function batchOf(name: string): Training[] {
  return Array.from({ length: 100 }, (_, place) => smallTraining(`${name}${place}`));
}

/** A source that records how many trainings were taken from it, and whether it was closed. */
class Source {
  taken = 0;
  closed = false;
  readonly #trainings: readonly Training[];

  constructor(trainings: readonly Training[]) {
    this.#trainings = trainings;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Training, void, undefined> {
    try {
      for (const training of this.#trainings) {
        await Promise.resolve();
        this.taken += 1;
        yield training;
      }
    } finally {
      this.closed = true;
    }
  }
}

describeOnServer("batches of trainings", (database) => {
  it("are processed concurrently, at most as many as concurrency allows", async () => {
    const test = await openTestIndex(database);
    const first = holdEmbedding(test.embeddings, "a loja a0");
    const second = holdEmbedding(test.embeddings, "a loja b0");
    const third = holdEmbedding(test.embeddings, "a loja c0");
    const source = new Source([...batchOf("a"), ...batchOf("b"), ...batchOf("c")]);
    const results = collect(test.index.upsertTrainings(source, { concurrency: 2 }));
    await Promise.all([first.reached, second.reached]);
    expect(source.taken).toBe(200);
    let isThirdReached = false;
    void third.reached.then(() => (isThirdReached = true));
    second.release();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(isThirdReached).toBe(false);
    expect(source.taken).toBe(200);
    first.release();
    await third.reached;
    third.release();
    const ids = [...batchOf("a"), ...batchOf("b"), ...batchOf("c")].map(({ id }) => id);
    expect((await results).map(({ id }) => id)).toEqual(ids);
    expect(await test.index.similar("loja", { k: 1000 })).toHaveLength(300);
  });

  it("are processed one after the other with concurrency: 1", async () => {
    const test = await openTestIndex(database);
    const first = holdEmbedding(test.embeddings, "a loja a0");
    const source = new Source([...batchOf("a"), ...batchOf("b")]);
    const results = collect(test.index.upsertTrainings(source, { concurrency: 1 }));
    await first.reached;
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(source.taken).toBe(100);
    first.release();
    expect(await results).toHaveLength(200);
  });

  it("with a common id are not processed concurrently, and the later version is stored", async () => {
    const test = await openTestIndex(database);
    const later = [{ id: "a0", content: "a loja mudou" }, ...batchOf("b").slice(1)];
    const results = await collect(test.index.upsertTrainings([...batchOf("a"), ...later], { concurrency: 4 }));
    expect(results.filter(({ id }) => id === "a0").map(({ status }) => status)).toEqual(["indexed", "indexed"]);
    const [nearest] = await test.index.similar("a loja mudou", { k: 1 });
    expect(nearest).toMatchObject({ trainingId: "a0", content: "a loja mudou" });
  });

  it("are reported once stored, even if the source is slow to yield the next", async () => {
    const test = await openTestIndex(database);
    const open = gateOf();
    const told: UpsertResult[] = [];
    async function* slowly(): AsyncGenerator<Training> {
      yield* batchOf("a");
      await open.promise;
      yield smallTraining("b");
    }
    const work = (async () => {
      for await (const result of test.index.upsertTrainings(slowly())) told.push(result);
    })();
    await until(() => told.length === 100);
    open.resolve();
    await work;
    expect(told.at(-1)).toMatchObject({ id: "b", status: "indexed" });
  });

  it("that are complete are stored when the source fails after them", async () => {
    const test = await openTestIndex(database);
    async function* failing(): AsyncGenerator<Training> {
      yield* batchOf("a");
      await Promise.resolve();
      throw new Error("a fila caiu");
    }
    const told: UpsertResult[] = [];
    const work = (async () => {
      for await (const result of test.index.upsertTrainings(failing(), { concurrency: 3 })) told.push(result);
    })();
    await expect(work).rejects.toThrow("a fila caiu");
    expect(told).toHaveLength(100);
    expect(await test.index.similar("loja", { k: 1000 })).toHaveLength(100);
  });

  it("after one that fails are stopped, and the source is closed", async () => {
    const test = await openTestIndex(database);
    const second = holdEmbedding(test.embeddings, "a loja b0");
    const embedding = test.embeddings.before;
    test.embeddings.before = async (texts) => {
      if (texts.some((text) => text.includes("a loja a0"))) {
        await second.reached;
        throw new Error("o modelo caiu");
      }
      return embedding(texts);
    };
    const source = new Source([...batchOf("a"), ...batchOf("b"), ...batchOf("c")]);
    const failure = await failureOf(collect(test.index.upsertTrainings(source, { concurrency: 2 })));
    expect(failure).toMatchObject({ code: "EMBEDDING_FAILED" });
    expect(source.closed).toBe(true);
    second.release();
    expect(await test.index.similar("loja", { k: 1000 })).toEqual([]);
  });

  it("are stopped when the caller leaves the loop, and when the signal fires", async () => {
    const test = await openTestIndex(database);
    const source = new Source([...batchOf("a"), ...batchOf("b"), ...batchOf("c"), ...batchOf("d")]);
    for await (const { id } of test.index.upsertTrainings(source, { concurrency: 2 })) {
      expect(id).toBe("a0");
      break;
    }
    expect(source.closed).toBe(true);
    expect(source.taken).toBeLessThanOrEqual(300);

    const controller = new AbortController();
    const open = gateOf();
    async function* endless(): AsyncGenerator<Training> {
      yield smallTraining("x");
      await open.promise;
    }
    const work = collect(test.index.upsertTrainings(endless(), { signal: controller.signal }));
    controller.abort();
    expect(await failureOf(work)).toMatchObject({ code: "ABORTED" });
    open.resolve();
  });
});
