import { afterAll, beforeAll, expect, it, onTestFinished } from "vitest";
import type { TrainingIndex } from "langchain-training-index";
import {
  openQueues,
  publish,
  putBack,
  type TrainingEvent,
  type TrainingQueues,
} from "../../examples/bullmq/queues.js";
import { openWorker } from "../../examples/bullmq/worker.js";
import { redisServer, type Server } from "../../examples/support/servers.js";
import { describeOnServer, uniqueName } from "../support/databases.js";
import { gateOf, openTestIndex, until } from "../support/index.js";
import { randomOf } from "../support/random.js";

const MINUTE = 60_000;
const IDS = ["a", "b", "c", "d", "e", "f"];

describeOnServer("the recipe bullmq", (database) => {
  let redis: Server | undefined;
  beforeAll(async () => {
    redis = await redisServer();
  }, MINUTE);
  afterAll(() => redis?.stop());

  interface Host {
    queues: TrainingQueues;
    connection: { url: string };
    index: TrainingIndex;
    embeddings: Awaited<ReturnType<typeof openTestIndex>>["embeddings"];
  }

  /** An index and queues that end with the test. */
  async function openHost(): Promise<Host> {
    const { index, embeddings } = await openTestIndex(database);
    const connection = { url: redis?.url ?? "" };
    const queues = openQueues(connection, uniqueName("bullmq"), 20);
    onTestFinished(async () => {
      await Promise.all([queues.events, queues.dead].map((queue) => queue.obliterate({ force: true })));
      await queues.close();
    });
    return { queues, connection, index, embeddings };
  }

  function work({ queues, connection, index }: Host, options: Parameters<typeof openWorker>[3] = {}) {
    const worker = openWorker(queues, connection, index, options);
    worker.on("error", () => undefined);
    onTestFinished(() => worker.close(true));
    return worker;
  }

  async function untilQuiet({ events }: TrainingQueues): Promise<void> {
    await until(async () => {
      const counts = await events.getJobCounts("waiting", "active", "delayed", "prioritized");
      return Object.values(counts).every((count) => count === 0);
    });
  }

  /** All that is stored: the text of each training by its id. */
  async function stored({ index }: Host): Promise<Record<string, string>> {
    const hits = await index.similar("frete", { k: 1000 });
    return Object.fromEntries(hits.map(({ trainingId, content }) => [String(trainingId), content]));
  }

  it(
    "ends as the history says, with every event delivered twice and all of them shuffled",
    { timeout: MINUTE },
    async () => {
      const seed = Math.floor(Math.random() * 2 ** 31);
      console.log(`bullmq: seed ${seed}`);
      const random = randomOf(seed);
      const host = await openHost();
      const expected = new Map<string, string>();
      const history = Array.from({ length: 150 }, (_, revision): TrainingEvent => {
        const id = IDS[Math.floor(random() * IDS.length)] ?? "a";
        if (random() < 0.3) {
          expected.delete(id);
          return { kind: "deleted", id, revision };
        }
        const content = `O frete ${revision} é grátis.`;
        expected.set(id, content);
        return { kind: "saved", id, revision, content, metadata: { grupo: "loja" } };
      });
      const deliveries = [...history, ...history]
        .map((event) => ({ event, place: random() }))
        .sort((left, right) => left.place - right.place);
      for (let worker = 0; worker < 3; worker += 1) work(host, { concurrency: 5 });
      await Promise.all(deliveries.map(({ event }) => publish(host.queues, event)));
      await untilQuiet(host.queues);
      expect(await host.queues.dead.count()).toBe(0);
      expect(await stored(host)).toEqual(Object.fromEntries(expected));
    },
  );

  it("tries again what can heal, and stores it then", async () => {
    const host = await openHost();
    let failures = 0;
    host.embeddings.before = () => {
      failures += 1;
      if (failures <= 2) throw new Error("o modelo não responde");
    };
    work(host);
    await publish(host.queues, {
      kind: "saved",
      id: "a",
      revision: 1,
      content: "Frete grátis.",
      metadata: {},
    });
    await untilQuiet(host.queues);
    expect(failures).toBe(3);
    expect(await stored(host)).toEqual({ a: "Frete grátis." });
    expect(await host.queues.dead.count()).toBe(0);
  });

  it("makes a dead letter of what fails to the last, which is right when it is put back", async () => {
    const host = await openHost();
    let isDown = true;
    let attempts = 0;
    host.embeddings.before = () => {
      attempts += 1;
      if (isDown) throw new Error("o modelo não responde");
    };
    work(host);
    const event: TrainingEvent = {
      kind: "saved",
      id: "a",
      revision: 1,
      content: "Frete grátis.",
      metadata: {},
    };
    await publish(host.queues, event);
    await until(async () => (await host.queues.dead.count()) === 1);
    await untilQuiet(host.queues);
    expect(attempts).toBe(8);
    expect(await stored(host)).toEqual({});
    isDown = false;
    expect(await putBack(host.queues)).toBe(1);
    await untilQuiet(host.queues);
    expect(await stored(host)).toEqual({ a: "Frete grátis." });
    expect(await host.queues.dead.count()).toBe(0);
  });

  it("makes a dead letter at once of what no retry can help", async () => {
    const host = await openHost();
    work(host);
    await publish(host.queues, {
      kind: "saved",
      id: " ",
      revision: 1,
      content: "Frete grátis.",
      metadata: {},
    });
    await until(async () => (await host.queues.dead.count()) === 1);
    const [letter] = await host.queues.dead.getJobs();
    expect(letter?.data).toMatchObject({
      event: { id: " " },
      error: expect.stringContaining("id") as string,
    });
    expect(host.embeddings.calls).toBe(0);
  });

  it("lets another worker end the job of one that was killed", { timeout: MINUTE }, async () => {
    const host = await openHost();
    const gate = gateOf();
    let calls = 0;
    host.embeddings.before = () => {
      calls += 1;
      return calls === 1 ? gate.promise : undefined;
    };
    const quick = { lockDuration: 500, stalledInterval: 250 };
    const killed = work(host, quick);
    await publish(host.queues, {
      kind: "saved",
      id: "a",
      revision: 1,
      content: "Frete grátis.",
      metadata: {},
    });
    await until(() => calls === 1);
    await killed.close(true);
    work(host, quick);
    await until(async () => (await stored(host))["a"] === "Frete grátis.");
    gate.resolve(); // the killed one goes on in the end: it changes nothing
    await untilQuiet(host.queues);
    expect(await stored(host)).toEqual({ a: "Frete grátis." });
    expect(calls).toBe(2);
  });
});
