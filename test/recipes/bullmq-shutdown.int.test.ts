import type { Job } from "bullmq";
import { expect, it, onTestFinished } from "vitest";
import { readDeadLetters } from "../../examples/bullmq/dead-letters.js";
import { trainingEvents } from "../../examples/bullmq/producer.js";
import type { TrainingJob } from "../../examples/bullmq/queues.js";
import { describeOnServer } from "../support/databases.js";
import { chunksOf, gateOf, openTestIndex } from "../support/index.js";
import { useRedis, openTestQueues, stored, untilIdle } from "./training-queues.js";

const redis = useRedis();

/** A dead worker is detected soon; live ones renew their locks twice within a lock's duration. */
const SHORT_LOCKS = { lockDuration: 600, stalledInterval: 200 };

describeOnServer("recipe bullmq, a worker's end", (database) => {
  it("if a worker dies during a job, another one finishes it, and a late end of the first does no harm", async () => {
    const test = await openTestIndex(database);
    const { queues, start } = openTestQueues(redis);
    const { promise: held, resolve: release } = gateOf();
    const { promise: begun, resolve: begin } = gateOf();
    test.embeddings.before = () => {
      begin();
      return held;
    };
    const dying = start(test.index, SHORT_LOCKS);
    await trainingEvents(queues).trainingSaved({ id: "a", content: "Abrimos às oito.", revision: 1 });
    await begun;
    await dying.worker.close(true); // like SIGKILL: it does not give the job back, and its lock expires

    test.embeddings.before = () => undefined;
    const { worker } = start(test.index, SHORT_LOCKS);
    const stalled: string[] = [];
    worker.on("stalled", (id) => stalled.push(id));
    const job = await new Promise<Job<TrainingJob>>((resolve) => worker.once("completed", resolve));
    expect(stalled).toEqual([job.id]);
    const rows = await stored(test);
    expect(rows).toHaveLength(1);
    release();
    await dying.close();
    expect(await stored(test)).toEqual(rows);
    await untilIdle(queues);
    expect(await readDeadLetters(queues)).toEqual([]);
  });

  it("a closing worker finishes its job and takes no other", async () => {
    const test = await openTestIndex(database);
    const { queues, start } = openTestQueues(redis);
    const { promise: held, resolve: release } = gateOf();
    const { promise: begun, resolve: begin } = gateOf();
    test.embeddings.before = () => {
      begin();
      return held;
    };
    const { close, worker } = start(test.index);
    const { trainingSaved } = trainingEvents(queues);
    await trainingSaved({ id: "a", content: "Abrimos às oito.", revision: 1 });
    await begun;
    await trainingSaved({ id: "b", content: "Abrimos às nove.", revision: 1 });
    const closed = close();
    expect(worker.closing).toBeDefined();
    release();
    await closed;
    expect(await chunksOf(test)).toHaveLength(1);
    expect(await chunksOf(test, "b")).toEqual([]);
    expect(await queues.trainings.getJobCounts("waiting", "active", "delayed", "failed")).toMatchObject({
      waiting: 1,
      active: 0,
      delayed: 0,
      failed: 0,
    });
  });

  it("a job that outlasts graceMs returns to the queue without losing an attempt", async () => {
    const test = await openTestIndex(database);
    const { queues, start, errors } = openTestQueues(redis);
    const { promise: held, resolve: release } = gateOf();
    onTestFinished(release);
    const { promise: begun, resolve: begin } = gateOf();
    test.embeddings.before = () => {
      begin();
      return held;
    };
    const { close } = start(test.index);
    await trainingEvents(queues).trainingSaved({ id: "a", content: "Abrimos às oito.", revision: 1 });
    await begun;
    await close({ graceMs: 50 });
    expect(await stored(test)).toEqual([]);
    expect(await queues.trainings.getWaiting()).toMatchObject([{ attemptsMade: 0, data: { id: "a" } }]);
    expect(errors).toEqual([]);

    test.embeddings.before = () => undefined;
    start(test.index);
    await untilIdle(queues);
    expect((await chunksOf(test)).map(({ content }) => content)).toEqual(["Abrimos às oito."]);
  });
});
