import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { TrainingIndex } from "langchain-training-index";
import { migrate } from "langchain-training-index/migrations";
import { ollamaEmbeddings } from "langchain-training-index/ollama";
import pg from "pg";
import { expect, it, onTestFinished } from "vitest";
import { readDeadLetters } from "../../examples/bullmq/dead-letters.js";
import { trainingEvents } from "../../examples/bullmq/producer.js";
import { openQueues, type TrainingQueues } from "../../examples/bullmq/queues.js";
import { describeOnServer, requireServerUrl, uniqueName } from "../support/databases.js";
import { bundleProgram } from "../support/bundle.js";
import { newcomersEnvironment } from "../support/environment.js";
import { until } from "../support/index.js";
import { startOllamaServer, type OllamaServer } from "../support/ollama-server.js";
import { useRedis } from "./training-queues.js";

const MINUTE = 60_000;
const LOCK_MS = 1000;

const redis = useRedis();

/** A running process and its output. */
interface Running {
  process: ChildProcess;
  lines: string[];
  /** Resolves when it has printed this line. */
  printed: (line: string) => Promise<unknown>;
  /** Its exit code or the signal that ended it. */
  ended: Promise<number | NodeJS.Signals>;
}

function exampleProgram(name: "main" | "worker-process"): Promise<string> {
  return bundleProgram(new URL(`../../examples/bullmq/${name}.ts`, import.meta.url));
}

function run(program: string, env: Record<string, string>): Running {
  const child = spawn(process.execPath, [program], { env: newcomersEnvironment(env) });
  onTestFinished(() => {
    child.kill("SIGKILL");
  });
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface(stream).on("line", (line) => lines.push(line));
  }
  const ended = once(child, "close").then(([code, signal]) => (signal ?? code) as number | NodeJS.Signals);
  const printed = async (line: string): Promise<void> => {
    let hasEnded = false;
    void ended.then(() => (hasEnded = true));
    await until(() => lines.includes(line) || hasEnded);
    if (!lines.includes(line)) throw new Error(`It ended without ${JSON.stringify(line)}:\n${lines.join("\n")}`);
  };
  return { process: child, lines, printed, ended };
}

/** A database, queues and an embedder for the worker processes of a test. */
async function openHost(): Promise<{
  index: TrainingIndex;
  queues: TrainingQueues;
  ollama: OllamaServer;
  startProcess: () => Running;
}> {
  const name = uniqueName("bullmq");
  const admin = new pg.Client({ connectionString: requireServerUrl() });
  await admin.connect();
  await admin.query(`CREATE DATABASE ${name}`);
  const url = new URL(requireServerUrl());
  url.pathname = `/${name}`;
  const pool = new pg.Pool({ connectionString: url.href, max: 2 });
  pool.on("error", () => undefined); // DROP DATABASE can close an idle connection before the pool does
  const ollama = await startOllamaServer();
  const prefix = uniqueName("bullmq");
  const queues = openQueues({ connection: { url: redis.url }, prefix });
  onTestFinished(async () => {
    await ollama.close();
    await queues.trainings.obliterate({ force: true });
    await queues.deadLetters.obliterate({ force: true });
    await queues.close();
    await pool.end();
    await admin.query(`DROP DATABASE ${name} WITH (FORCE)`);
    await admin.end();
  });
  await migrate(pool);
  const index = await TrainingIndex.initialize(ollamaEmbeddings({ baseUrl: ollama.url }), { pool });
  const env = {
    DATABASE_URL: url.href,
    REDIS_URL: redis.url,
    OLLAMA_BASE_URL: ollama.url,
    QUEUE_PREFIX: prefix,
    JOB_LOCK_MS: `${LOCK_MS}`,
  };
  const program = await exampleProgram("worker-process");
  const startProcess = (): Running => run(program, env);
  return { index, queues, ollama, startProcess };
}

describeOnServer("recipe bullmq, as processes", (database) => {
  it("SIGKILL during a job: another process finishes it", { timeout: MINUTE }, async () => {
    const { index, queues, ollama, startProcess } = await openHost();
    ollama.fault({ kind: "hang" });
    const killed = startProcess();
    await killed.printed("waiting for jobs");
    await trainingEvents(queues).trainingSaved({ id: "a", content: "Abrimos às oito.", revision: 1 });
    await until(() => ollama.inputs().length === 1);
    killed.process.kill("SIGKILL");
    expect(await killed.ended).toBe("SIGKILL");
    expect(await queues.trainings.getActiveCount()).toBe(1);

    ollama.heal();
    const other = startProcess();
    await other.printed("saved: training a");
    expect((await index.similar("Quando abre?")).map(({ content }) => content)).toEqual(["Abrimos às oito."]);
    expect(await queues.trainings.getJobCountByTypes("waiting", "active", "delayed", "failed")).toBe(0);
    expect(await readDeadLetters(queues)).toEqual([]);

    other.process.kill("SIGTERM");
    expect(await other.ended).toBe(0);
    expect(other.lines.slice(-2)).toEqual(["SIGTERM: taking no more jobs", "stopped"]);
  });

  it("SIGTERM during a job: the process finishes it before it exits", { timeout: MINUTE }, async () => {
    const { index, queues, ollama, startProcess } = await openHost();
    ollama.fault({ kind: "slow", ms: 1500, times: 1 });
    const worker = startProcess();
    await worker.printed("waiting for jobs");
    await trainingEvents(queues).trainingSaved({ id: "a", content: "Abrimos às oito.", revision: 1 });
    await until(() => ollama.inputs().length === 1);
    worker.process.kill("SIGTERM");
    expect(await worker.ended).toBe(0);
    expect(worker.lines).toEqual(["waiting for jobs", "SIGTERM: taking no more jobs", "saved: training a", "stopped"]);
    expect(await index.similar("Quando abre?")).toHaveLength(1);
  });

  it("the example runs to its end and leaves nothing behind", { timeout: MINUTE }, async () => {
    const { lines, ended } = run(await exampleProgram("main"), {
      REDIS_URL: redis.url,
      DATABASE_URL: requireServerUrl(),
    });
    expect(await ended).toBe(0);
    const [, ...steps] = lines.join("\n").split(/^\d\. .*$/m);
    expect(steps.map((step) => step.trim().split(/\n */))).toEqual([
      ["frete: O frete custa sete reais."],
      [
        "failed attempt: The embedder of model hashing-1 failed",
        "failed attempt: The embedder of model hashing-1 failed",
        "No Pix há cinco por cento de desconto.",
      ],
      [
        "failed attempt: EMBEDDING_FAILED: The embedder of model hashing-1 failed",
        "dead letter: training horarios: EMBEDDING_FAILED: The embedder of model hashing-1 failed",
        "put back: 1",
        "Abrimos às oito horas.",
      ],
      [expect.stringMatching(/^left in the queue: \{("[a-z]+":0,?)+\}$/)],
    ]);
    const { rows } = await database.owner.query(
      "SELECT nspname FROM pg_namespace WHERE nspname = 'training_index_bullmq'",
    );
    expect(rows).toEqual([]);
  });
});
