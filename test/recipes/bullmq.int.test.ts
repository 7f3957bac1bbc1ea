import { TrainingIndex } from "langchain-training-index";
import { Worker } from "bullmq";
import { expect, it } from "vitest";
import { collectDeadLetters, putBack, readDeadLetters } from "../../examples/bullmq/dead-letters.js";
import { trainingEvents } from "../../examples/bullmq/producer.js";
import { TRAININGS, type TrainingJob } from "../../examples/bullmq/queues.js";
import { describeOnServer } from "../support/databases.js";
import { chunksOf, FIVE_PARAGRAPHS, openTestIndex, until } from "../support/index.js";
import { randomOf } from "../../tooling/random.js";
import { ATTEMPTS, useRedis, openTestQueues, stored, untilIdle } from "./training-queues.js";

const redis = useRedis();

/** Saves and deletes in order: each event of an id has a higher revision. */
function randomHistory(random: () => number, length: number): TrainingJob[] {
  const revisions = new Map<string, number>();
  return Array.from({ length }, () => {
    const id = `treinamento-${Math.floor(random() * 6)}`;
    const revision = (revisions.get(id) ?? 0) + 1;
    revisions.set(id, revision);
    if (random() < 0.3) return { type: "deleted", id, revision };
    const paragraphs = FIVE_PARAGRAPHS.split("\n\n").filter(() => random() < 0.5);
    const metadata = { grupo: random() < 0.5 ? "loja" : "entregas" };
    return { type: "saved", id, revision, content: `Versão do dia.\n\n${paragraphs.join("\n\n")}`, metadata };
  });
}

function shuffled<T>(items: readonly T[], random: () => number): T[] {
  return items
    .map((item) => ({ item, place: random() }))
    .sort((left, right) => left.place - right.place)
    .map(({ item }) => item);
}

/** Applies the events one after the other, without a queue. */
async function applyInOrder(index: TrainingIndex, history: readonly TrainingJob[]): Promise<void> {
  for (const event of history) {
    if (event.type === "deleted") await index.deleteTraining(event.id);
    else await index.upsertTraining({ id: event.id, content: event.content, metadata: event.metadata });
  }
}

describeOnServer("recipe bullmq", (database) => {
  it.each([1, 2, 3])(
    "every job twice, shuffled, on several workers: the result is that of the events in order (seed %i)",
    async (seed) => {
      const random = randomOf(seed);
      const history = randomHistory(random, 40);
      const expected = await openTestIndex(database);
      await applyInOrder(expected.index, history);

      const actual = await openTestIndex(database);
      const { pool, schema, embeddings } = actual;
      embeddings.before = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, random() * 5));
      const { queues, start, errors } = openTestQueues(redis);
      const { trainingSaved, trainingDeleted } = trainingEvents(queues);
      for (const event of shuffled([...history, ...history], random)) {
        if (event.type === "saved") await trainingSaved(event);
        else await trainingDeleted(event.id, event.revision);
      }
      for (const concurrency of [1, 3, 4]) {
        start(await TrainingIndex.initialize(embeddings, { pool, schema }), { concurrency });
      }
      await untilIdle(queues);

      const rows = await stored(actual);
      expect(rows).toEqual(await stored(expected));
      expect(rows.length).toBeGreaterThan(0);
      expect(errors).toEqual([]);
      expect(await readDeadLetters(queues)).toEqual([]);
    },
  );

  it("accepts dates as revisions", async () => {
    const { index } = await openTestIndex(database);
    const { queues, start } = openTestQueues(redis);
    const { trainingSaved, trainingDeleted } = trainingEvents(queues);
    const at = (second: number): Date => new Date(Date.UTC(2026, 0, 1, 12, 0, second));
    await trainingDeleted("a", at(2));
    await trainingSaved({ id: "a", content: "Abrimos às oito.", revision: at(1) });
    await trainingSaved({ id: "b", content: "Abrimos às nove.", revision: at(2) });
    await trainingSaved({ id: "b", content: "Abrimos às dez.", revision: at(1) });
    start(index);
    await untilIdle(queues);
    expect((await index.similar("Quando abre?")).map(({ content }) => content)).toEqual(["Abrimos às nove."]);
  });

  it("a job whose embedder fails twice is retried and writes no dead letter", async () => {
    const test = await openTestIndex(database);
    const { queues, start, errors } = openTestQueues(redis);
    test.embeddings.before = () => {
      if (test.embeddings.calls <= 2) throw new Error("connect ECONNREFUSED");
    };
    const attempts: number[] = [];
    const { worker } = start(test.index);
    worker.on("failed", (job) => attempts.push(job?.attemptsMade ?? NaN));
    await trainingEvents(queues).trainingSaved({ id: "a", content: "Abrimos às oito.", revision: 1 });
    await untilIdle(queues);
    expect(attempts).toEqual([1, 2]);
    expect(errors).toHaveLength(2);
    expect(test.embeddings.calls).toBe(3);
    expect((await chunksOf(test)).map(({ content }) => content)).toEqual(["Abrimos às oito."]);
    expect(await readDeadLetters(queues)).toEqual([]);
  });

  it("a job with a permanent failure is a dead letter after the first attempt, and succeeds once it is put back", async () => {
    const test = await openTestIndex(database);
    const { queues, start } = openTestQueues(redis);
    const embedder = { isBroken: true };
    test.embeddings.before = (texts) => {
      if (embedder.isBroken && texts.some((text) => text.includes("oito"))) {
        throw Object.assign(new Error("invalid API key"), { status: 401 });
      }
    };
    const told: unknown[] = [];
    const { worker } = start(test.index, { onDeadLetter: ({ job }) => told.push(job.id) });
    const failed: number[] = [];
    worker.on("failed", (job) => failed.push(job?.attemptsMade ?? NaN));
    const { trainingSaved } = trainingEvents(queues);
    await trainingSaved({ id: "a", content: "Abrimos às oito.", metadata: { grupo: "loja" }, revision: 7 });
    await trainingSaved({ id: "b", content: "Abrimos às nove.", revision: 1 });
    await untilIdle(queues);
    expect(failed).toEqual([1]);
    await until(() => told.length > 0); // called as soon as the letter is written
    expect(told).toEqual(["a"]);
    expect(await chunksOf(test)).toEqual([]);
    expect(await chunksOf(test, "b")).toHaveLength(1);
    const [letter, ...others] = await readDeadLetters(queues);
    expect(others).toEqual([]);
    expect(letter).toMatchObject({
      job: { type: "saved", id: "a", content: "Abrimos às oito.", metadata: { grupo: "loja" }, revision: 7 },
      reason: expect.stringMatching(/^EMBEDDING_FAILED: /) as string,
      attempts: 1,
    });
    expect(Date.parse(letter?.failedAt ?? "")).toBeGreaterThan(Date.now() - 60_000);

    embedder.isBroken = false;
    expect(await putBack(queues, ({ job }) => job.id === "c")).toBe(0);
    expect(await putBack(queues, ({ job }) => job.id === "a")).toBe(1);
    await untilIdle(queues);
    expect(await readDeadLetters(queues)).toEqual([]);
    expect(await chunksOf(test)).toMatchObject([{ content: "Abrimos às oito.", metadata: { grupo: "loja" } }]);
  });

  it("a job with a persistent transient failure is a dead letter after the last attempt; later versions supersede it", async () => {
    const test = await openTestIndex(database);
    const { queues, start } = openTestQueues(redis);
    test.embeddings.before = () => {
      throw new Error("connect ECONNREFUSED");
    };
    start(test.index);
    const { trainingSaved } = trainingEvents(queues);
    await trainingSaved({ id: "a", content: "Abrimos às oito.", revision: 1 });
    await untilIdle(queues);
    expect(await readDeadLetters(queues)).toMatchObject([{ attempts: ATTEMPTS, job: { revision: 1 } }]);
    expect(test.embeddings.calls).toBe(ATTEMPTS);

    test.embeddings.before = () => undefined;
    await trainingSaved({ id: "a", content: "Abrimos às nove.", revision: 2 });
    await untilIdle(queues);
    expect(await putBack(queues)).toBe(1);
    await untilIdle(queues);
    expect((await chunksOf(test)).map(({ content }) => content)).toEqual(["Abrimos às nove."]);
    expect(await readDeadLetters(queues)).toEqual([]);
  });

  it("a failed job whose worker died becomes a dead letter when the next worker starts, once", async () => {
    const { index } = await openTestIndex(database);
    const { queues, start } = openTestQueues(redis);
    const { trainings } = queues;
    await trainings.add("deleted", { type: "deleted", id: "a", revision: 1 }, { attempts: 1 });
    const dying = new Worker(TRAININGS, () => Promise.reject(new Error("out of memory")), {
      connection: { url: redis.url },
      prefix: trainings.opts.prefix ?? "",
    });
    await new Promise((resolve) => dying.once("failed", resolve));
    await dying.close();
    expect(await trainings.getFailedCount()).toBe(1);
    await Promise.all([start(index), start(index), start(index)].map(({ worker }) => worker.waitUntilReady()));
    await untilIdle(queues);
    expect(await readDeadLetters(queues)).toMatchObject([{ reason: "out of memory", job: { id: "a" } }]);
    expect(await collectDeadLetters(queues)).toEqual([]);
  });
});
