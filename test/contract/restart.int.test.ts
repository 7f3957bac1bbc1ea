import { TrainingIndex, TrainingIndexError } from "langchain-training-index";
import { migrate } from "langchain-training-index/migrations";
import { HashingEmbeddings } from "langchain-training-index/testing";
import pg from "pg";
import { describe, expect, inject, it, onTestFinished } from "vitest";
import { useContainer } from "../support/containers.js";
import { postgresContainer } from "../../tooling/postgres-container.js";
import { freePort } from "../support/connection-setups.js";
import { paragraph } from "../support/texts.js";

const DIMENSIONS = 16;
const IDS = ["a", "b", "c", "d"];
const VERSIONS = 25;

// Its own server: that of the other tests must keep running.
describe("C4 All or nothing, on a server that restarts", () => {
  const server = useContainer("server of this test", async () => {
    const port = await freePort();
    const container = await postgresContainer(inject("image"))
      .withExposedPorts({ container: 5432, host: port })
      .start();
    return { container, stop: () => container.stop() };
  });

  it("after a restart during writes every training is whole, and retried jobs lose nothing", async () => {
    const { container } = server();
    const pool = new pg.Pool({
      connectionString: container.getConnectionUri(),
      connectionTimeoutMillis: 2000,
    });
    pool.on("error", () => undefined);
    onTestFinished(() => pool.end());
    await migrate(pool, { dimensions: DIMENSIONS });
    const index = await TrainingIndex.initialize(new HashingEmbeddings({ dimensions: DIMENSIONS }), { pool });

    let failures = 0;
    const progress = { stored: 0 };
    const work = IDS.map(async (id) => {
      for (let version = 1; version <= VERSIONS; version++) {
        failures += await untilStored(() =>
          index.upsertTraining({ id, content: contentOf(id, version), revision: version }),
        );
        progress.stored += 1;
      }
    });
    while (progress.stored < 20) await new Promise((resolve) => setTimeout(resolve, 5));
    await container.restart({ timeout: 0 });
    await Promise.all(work);

    expect(failures).toBeGreaterThan(0);
    const hits = await index.similar("loja", { k: 1000 });
    for (const id of IDS) {
      const chunks = hits
        .filter(({ trainingId }) => trainingId === id)
        .sort((left, right) => left.position - right.position);
      expect(chunks.map(({ content }) => content).join("\n\n")).toBe(contentOf(id, VERSIONS));
    }
    expect(hits).toHaveLength(IDS.length * 3);
  }, 120_000);
});

function contentOf(id: string, version: number): string {
  return [paragraph(`${id}, sempre igual`), paragraph(`${id}, versão ${version}`), paragraph(`${id}, fim`)].join(
    "\n\n",
  );
}

/** A job as a queue runs it: repeated while the error is retryable. @returns how often it failed */
async function untilStored(upsert: () => Promise<unknown>): Promise<number> {
  for (let failures = 0; ; failures++) {
    try {
      await upsert();
      return failures;
    } catch (error) {
      if (!(error instanceof TrainingIndexError && error.retryable)) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
