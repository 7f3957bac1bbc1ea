/** The workers of a test, each in its own process, and their calls. */
import { fork, type ChildProcess } from "node:child_process";
import { onTestFinished } from "vitest";
import { bundleProgram } from "../support/bundle.js";
import { requireConnectionSetup } from "../support/databases.js";
import { newcomersEnvironment } from "../support/environment.js";
import { gateOf } from "../support/index.js";
import type { Command, Outcome, Report, Work } from "./schedule-worker.js";

type End = Exclude<Report, { waits: true }>;

/** A call that a worker runs. */
export class WorkerCall {
  /** Whether it waits to be released. */
  waits = false;
  /** Its last report. */
  end: End | undefined;
  readonly ended: Promise<End>;
  readonly #send: (outcome: Outcome) => void;
  #next = gateOf();
  #onEnd: (end: End) => void = () => undefined;

  constructor(send: (outcome: Outcome) => void) {
    this.#send = send;
    this.ended = new Promise((resolve) => {
      this.#onEnd = resolve;
    });
  }

  /** Lets a waiting call continue. */
  release(outcome: Outcome): void {
    this.waits = false;
    this.#send(outcome);
  }

  /** Resolves when it waits or has ended. */
  async untilWaitingOrEnded(): Promise<void> {
    while (!this.waits && !this.end) await this.#next.promise;
  }

  take(report: Report): void {
    if ("waits" in report) this.waits = true;
    else this.#onEnd((this.end = report));
    this.#next.resolve();
    this.#next = gateOf();
  }
}

export class ScheduleWorkers {
  readonly #sends: ((command: Command) => void)[] = [];
  readonly #calls = new Map<number, WorkerCall>();
  #count = 0;

  /** Starts workers as processes with their own pools, which end with the test. */
  static async inProcesses(count: number, schema: string): Promise<ScheduleWorkers> {
    const workers = new ScheduleWorkers();
    await Promise.all(Array.from({ length: count }, () => workers.#startProcess(schema)));
    return workers;
  }

  get size(): number {
    return this.#sends.length;
  }

  /** Starts a call in a worker. It has its ticket once it waits or has ended. */
  start(worker: number, work: Work): WorkerCall {
    const send = this.#sends[worker % this.#sends.length];
    if (!send) throw new Error("there are no workers");
    const number = ++this.#count;
    const call = new WorkerCall((release) => {
      send({ call: number, release });
    });
    this.#calls.set(number, call);
    send({ call: number, start: work });
    return call;
  }

  async #startProcess(schema: string): Promise<void> {
    const child = fork(
      await bundleProgram(new URL("schedule-child.ts", import.meta.url), { withPackages: true }),
      [schema],
      {
        execArgv: [],
        env: newcomersEnvironment({ DATABASE_URL: requireConnectionSetup().url }),
      },
    );
    onTestFinished(() => disconnect(child));
    await new Promise<void>((resolve, reject) => {
      child.once("message", () => {
        resolve();
      });
      child.once("exit", (code) => {
        reject(new Error(`a worker ended with ${code ?? "a signal"} before it was ready`));
      });
    });
    child.on("message", (report) => {
      this.#take(report as Report);
    });
    child.on("exit", (code) => {
      const message = `its worker ended with ${code ?? "a signal"}`;
      for (const call of this.#calls.keys()) this.#take({ call, code: "WORKER_ENDED", message });
    });
    this.#sends.push((command) => child.send(command));
  }

  #take(report: Report): void {
    this.#calls.get(report.call)?.take(report);
    if (!("waits" in report)) this.#calls.delete(report.call);
  }
}

async function disconnect(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.disconnect();
  await ended;
}
