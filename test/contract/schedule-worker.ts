/**
 * Runs the commands of schedules with several processes and several indexes. `schedule-child.ts` runs one worker in a
 * process of its own.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { Document } from "@langchain/core/documents";
import type { EmbeddingsInterface } from "@langchain/core/embeddings";
import { TrainingIndex, type Training, type TrainingIndexError, type UpsertResult } from "langchain-training-index";
import { HashingEmbeddings } from "langchain-training-index/testing";
import type pg from "pg";
import { gateOf } from "../support/gate.js";
import { SCHEDULE_DIMENSIONS } from "./expected-vectors.js";

/** The filters of the indexes; commands name an index by its position here. The last one sees everything. */
export const SCOPES: readonly (Record<string, string> | undefined)[] = [{ tenant: "a" }, { tenant: "b" }, undefined];

/** How a single upsert is committed: directly, after a `release`, or in a host transaction. */
export type Ending = "own" | "later" | "host commits" | "host rolls back";

/** A training in which each text is one chunk. */
export interface ScheduledTraining {
  id: string;
  texts: string[];
  metadata: { version: number; run: string; tenant: string };
}

/** A call through the index with the number `scope`. */
export type Work = { scope: number } & (
  | { do: "upsert"; training: ScheduledTraining; revision: number | undefined; ending: Ending }
  | { do: "upsert many"; trainings: ScheduledTraining[]; revision: number | undefined }
  | { do: "add documents"; trainings: ScheduledTraining[]; withVectors: boolean }
  | { do: "delete"; id: string; revision: number | undefined }
  | { do: "delete documents"; ids: string[] }
  | { do: "delete by filter"; filter: Record<string, string> }
);

/** How a waiting call continues. `abort` and `fail` have an effect only before its texts are embedded. */
export type Outcome = "go on" | "fail" | "abort";

/** A message to a worker. The number of a call is unique in a test. */
export type Command = { call: number; start: Work } | { call: number; release: Outcome };

/** The result for one training of a call; `done` if the call does not report a status. */
export interface WorkResult {
  id: string;
  status: UpsertResult["status"] | "deleted" | "absent" | "done";
}

/** A message of a worker: a call waits to be released, or it has ended. */
export type Report =
  | { call: number; waits: true }
  | { call: number; results: WorkResult[] }
  | { call: number; code: string; message: string };

/** A running call. */
class RunningCall {
  readonly controller = new AbortController();
  fails = false;
  #gate = gateOf();
  readonly #onWait: () => void;

  constructor(onWait: () => void) {
    this.#onWait = onWait;
  }

  /** Waits until the schedule releases the call. */
  async wait(): Promise<void> {
    this.#onWait();
    await this.#gate.promise;
    this.#gate = gateOf();
  }

  release(outcome: Outcome): void {
    this.fails = outcome === "fail";
    if (outcome === "abort") this.controller.abort();
    this.#gate.resolve();
  }
}

const currentCall = new AsyncLocalStorage<RunningCall>();

/** Waits, throws or embeds as the schedule demands for the current call. */
class WorkerEmbeddings implements EmbeddingsInterface {
  readonly #hashing = new HashingEmbeddings({ dimensions: SCHEDULE_DIMENSIONS });
  readonly profile = this.#hashing.profile;

  async embedDocuments(texts: string[]): Promise<number[][]> {
    const call = currentCall.getStore();
    await call?.wait();
    if (call?.fails) throw new Error("the schedule says so");
    return this.#hashing.embedDocuments(texts);
  }

  embedQuery(text: string): Promise<number[]> {
    return this.#hashing.embedQuery(text);
  }
}

export class ScheduleWorker {
  readonly #pool: pg.Pool;
  readonly #indexes: readonly TrainingIndex[];
  readonly #report: (report: Report) => void;
  readonly #calls = new Map<number, RunningCall>();

  private constructor(pool: pg.Pool, indexes: readonly TrainingIndex[], report: (report: Report) => void) {
    this.#pool = pool;
    this.#indexes = indexes;
    this.#report = report;
  }

  static async open(pool: pg.Pool, schema: string, report: (report: Report) => void): Promise<ScheduleWorker> {
    const indexes: TrainingIndex[] = [];
    for (const filter of SCOPES) {
      indexes.push(await TrainingIndex.initialize(new WorkerEmbeddings(), { pool, schema, filter }));
    }
    return new ScheduleWorker(pool, indexes, report);
  }

  take(command: Command): void {
    if ("release" in command) this.#calls.get(command.call)?.release(command.release);
    else void this.#run(command.call, command.start);
  }

  async #run(number: number, work: Work): Promise<void> {
    const call = new RunningCall(() => {
      this.#report({ call: number, waits: true });
    });
    this.#calls.set(number, call);
    try {
      const results = await currentCall.run(call, () => this.#work(call, work));
      this.#report({ call: number, results });
    } catch (error) {
      const { code, message } = error as Partial<TrainingIndexError>;
      this.#report({ call: number, code: code ?? "UNTYPED", message: message ?? String(error) });
    } finally {
      this.#calls.delete(number);
    }
  }

  async #work(call: RunningCall, work: Work): Promise<WorkResult[]> {
    const index = this.#indexes[work.scope];
    if (!index) throw new Error(`there is no index ${work.scope}`);
    const { signal } = call.controller;
    switch (work.do) {
      case "upsert":
        return this.#upsert(index, call, work);
      case "upsert many": {
        const trainings = work.trainings.map((training) => trainingOf(training, work.revision));
        const results: WorkResult[] = [];
        for await (const { id, status } of index.upsertTrainings(trainings, { signal })) {
          results.push({ id: String(id), status });
        }
        return results;
      }
      case "add documents": {
        const ids = work.trainings.map(({ id }) => id);
        const documents = work.trainings.map(
          ({ texts, metadata }) => new Document({ pageContent: texts[0] ?? "", metadata }),
        );
        const { vectorStore } = index;
        if (work.withVectors) {
          const hashing = new HashingEmbeddings({ dimensions: SCHEDULE_DIMENSIONS });
          const vectors = await hashing.embedDocuments(documents.map(({ pageContent }) => pageContent));
          await vectorStore.addVectors(vectors, documents, { ids });
        } else await vectorStore.addDocuments(documents, { ids });
        return ids.map((id) => ({ id, status: "done" }));
      }
      case "delete": {
        const { status } = await index.deleteTraining(work.id, { revision: work.revision });
        return [{ id: work.id, status }];
      }
      case "delete documents":
        await index.vectorStore.delete({ ids: work.ids });
        return work.ids.map((id) => ({ id, status: "done" }));
      case "delete by filter": {
        const results = await index.deleteTrainings({ filter: work.filter });
        return results.map(({ id, status }) => ({ id: String(id), status }));
      }
    }
  }

  /** @returns no results if the host rolled back */
  async #upsert(
    index: TrainingIndex,
    call: RunningCall,
    { training, revision, ending }: Extract<Work, { do: "upsert" }>,
  ): Promise<WorkResult[]> {
    const { signal } = call.controller;
    const prepared = await index.prepareTraining(trainingOf(training, revision), { signal });
    if (ending === "later") await call.wait();
    if (ending === "own" || ending === "later") {
      return [{ id: training.id, status: (await prepared.commit()).status }];
    }
    const client = await this.#pool.connect();
    try {
      await client.query("BEGIN");
      const { status } = await prepared.commit(client);
      await client.query(ending === "host commits" ? "COMMIT" : "ROLLBACK");
      return ending === "host commits" ? [{ id: training.id, status }] : [];
    } catch (error) {
      await client.query("ROLLBACK");
      throw error;
    } finally {
      client.release();
    }
  }
}

function trainingOf({ id, texts, metadata }: ScheduledTraining, revision: number | undefined): Training {
  return {
    id,
    documents: texts.map((pageContent) => ({ pageContent })),
    split: false,
    metadata: { ...metadata },
    revision,
  };
}
