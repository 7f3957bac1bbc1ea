/** Runs one random schedule of calls against a database and checks what readers see meanwhile. */
import { AsyncLocalStorage } from "node:async_hooks";
import { setTimeout as pause } from "node:timers/promises";
import { HashingEmbeddings } from "langchain-training-index/testing";
import type { TrainingIndex } from "langchain-training-index";
import type { DeleteResult, TrainingIndexError, UpsertResult } from "langchain-training-index";
import type { EmbeddingsInterface } from "@langchain/core/embeddings";
import type pg from "pg";
import { gateOf } from "../support/index.js";
import { ExpectedVectors, SCHEDULE_DIMENSIONS } from "./expected-vectors.js";
import { ModelTraining, winner, type ModelCall } from "./schedule-model.js";

const WORDS = ["prazo", "frete", "troca", "pix", "loja", "flores"];
/** Without a pause, readers would take more CPU than the calls. */
const MS_BETWEEN_READS = 1;
export const ID_COUNT = 3;
export const WORD_COUNT = WORDS.length;

/** How an upsert is committed. */
export type Ending = "own" | "host commits" | "host rolls back";

/** One step of a schedule. `training` is an index in the list of ids, `words` are indexes in the list of texts. */
export type Step =
  | { do: "upsert"; training: number; words: number[]; revision: number; ending: Ending; wait: boolean }
  | { do: "repeat"; call: number; wait: boolean }
  | { do: "delete"; training: number; revision: number; wait: boolean }
  | { do: "release"; call: number; outcome: "embed" | "fail" | "abort"; wait: boolean }
  | { do: "release all" }
  | { do: "switch"; wait: boolean };

/**
 * - `starts`: no call has a revision; `revisions`: all have one. Calls end in any order, or concurrently.
 * - `mixed`: some calls have a revision; they end one after the other.
 */
export type Mode = "starts" | "revisions" | "mixed";

export interface Schedule {
  mode: Mode;
  steps: Step[];
}

interface Version {
  training: number;
  texts: string[];
}

/** Two models, between which a schedule switches. */
export interface Switching {
  /** By the number of the profile; the tables of both must exist. */
  vectors: Record<number, ExpectedVectors>;
  /** Switches to the model that is not in use. */
  switchModel: () => Promise<unknown>;
}

/** What a schedule runs on. */
export interface ScheduleParts {
  index: TrainingIndex;
  pool: pg.Pool;
  schema: string;
  name: string;
  mode: Mode;
  switching?: Switching;
}

/** A chunk as readers see it. `place` is its position from 1; `null` if the training does not list the chunk. */
interface ReadChunk {
  content: string;
  version: number;
  place: number | null;
}

/** A row of the chunk table. */
interface StoredChunk extends ReadChunk {
  id: string;
  vector: string;
  profile: number;
}

/** A call that is running or has ended. */
class Call implements ModelCall {
  readonly start: number;
  readonly training: number;
  readonly revision: number | undefined;
  readonly version: number | undefined;
  readonly ending: Ending;
  readonly controller = new AbortController();
  readonly gate = gateOf();
  /** Whether the embedder must throw. */
  fails = false;
  /** Resolves when the call waits for its embedder or has ended. */
  readonly reached = gateOf();
  ended: Promise<void> = Promise.resolve();
  hasEnded = false;
  /** The status of the result; `undefined` while running, after a failure and after a rollback. */
  status: UpsertResult["status"] | DeleteResult["status"] | undefined;

  constructor(fields: Pick<Call, "start" | "training" | "revision" | "version" | "ending">) {
    this.start = fields.start;
    this.training = fields.training;
    this.revision = fields.revision;
    this.version = fields.version;
    this.ending = fields.ending;
  }

  get wasAdmitted(): boolean {
    return this.status !== undefined && this.status !== "superseded";
  }
}

const currentCall = new AsyncLocalStorage<Call>();

/** Waits, throws or embeds as the schedule demands for the current call. A switch of the model is no call, and embeds at once. */
export class ScheduledEmbeddings implements EmbeddingsInterface {
  readonly #hashing = new HashingEmbeddings({ dimensions: SCHEDULE_DIMENSIONS });
  readonly #change: (text: string) => string;
  readonly profile;

  constructor(model = this.#hashing.profile.model, change = (text: string): string => text) {
    this.profile = { ...this.#hashing.profile, model };
    this.#change = change;
  }

  async embedDocuments(texts: string[]): Promise<number[][]> {
    const call = currentCall.getStore();
    call?.reached.resolve();
    await call?.gate.promise;
    if (call?.fails) throw new Error("the schedule says so");
    return this.#hashing.embedDocuments(texts.map(this.#change));
  }

  embedQuery(text: string): Promise<number[]> {
    return this.#hashing.embedQuery(this.#change(text));
  }
}

/** Failures that a schedule may cause. Any other one fails the test. */
const EXPECTED_CODES = new Set(["EMBEDDING_FAILED", "ABORTED", "CONFLICT"]);
/** With switches: a training that was prepared for the model before is not stored. */
const RETIRED = "PROFILE_RETIRED";

export class ScheduleRun {
  readonly #index: TrainingIndex;
  readonly #pool: pg.Pool;
  readonly #schema: string;
  readonly #name: string;
  readonly #mode: Mode;
  readonly #switching: Switching | undefined;
  readonly #versions: Version[] = [];
  readonly #calls: Call[] = [];
  readonly #model = Array.from({ length: ID_COUNT }, () => new ModelTraining());
  readonly #vectors: Record<number, ExpectedVectors>;
  /** The switches that have been started, one after the other. */
  #switched: Promise<void> = Promise.resolve();
  /** Descriptions of what went wrong. */
  readonly violations: string[] = [];
  reads = 0;
  switches = 0;

  constructor({ index, pool, schema, name, mode, switching }: ScheduleParts) {
    this.#index = index;
    this.#pool = pool;
    this.#schema = schema;
    this.#name = name;
    this.#mode = mode;
    this.#switching = switching;
    this.#vectors = switching?.vectors ?? { 1: new ExpectedVectors() };
  }

  get calls(): number {
    return this.#calls.length;
  }

  async run(steps: readonly Step[]): Promise<void> {
    const reader = { stops: false };
    const reading = this.#readUntil(reader);
    reading.catch(() => undefined); // awaited below; avoids an unhandled rejection until then
    try {
      for (const step of steps) await this.#take(step);
      await this.#releaseAll();
    } finally {
      reader.stops = true;
      await reading;
    }
    await this.#switched;
    await this.#checkEnd();
    if (this.#switching) {
      // What was built beside must be the same, in every respect.
      await this.#startSwitch();
      await this.#checkEnd();
      await this.#checkLeftovers();
    }
    await this.#pool.query(`DELETE FROM ${this.#schema}.training WHERE id = ANY ($1)`, [
      this.#model.map((_, training) => this.#idOf(training)),
    ]);
  }

  async #take(step: Step): Promise<void> {
    switch (step.do) {
      case "upsert": {
        const texts = step.words.map((word) => `${this.#name} ${WORDS[word] ?? ""}`);
        this.#versions.push({ training: step.training, texts });
        await this.#startUpsert(this.#versions.length - 1, step.revision, step.ending, step.wait);
        return;
      }
      case "repeat": {
        const repeated = this.#calls[step.call % Math.max(this.#calls.length, 1)];
        if (repeated?.version === undefined) return;
        await this.#startUpsert(repeated.version, repeated.revision ?? 0, "own", step.wait);
        return;
      }
      case "delete":
        await this.#startDelete(step.training, step.revision, step.wait);
        return;
      case "release": {
        const waiting = this.#calls.filter(({ hasEnded }) => !hasEnded);
        const call = waiting[step.call % Math.max(waiting.length, 1)];
        if (!call) return;
        if (step.outcome === "abort") call.controller.abort();
        call.fails = step.outcome === "fail";
        call.gate.resolve();
        if (step.wait || this.#mode === "mixed") await call.ended;
        return;
      }
      case "release all":
        await this.#releaseAll();
        return;
      case "switch": {
        const switched = this.#startSwitch();
        if (step.wait) await switched;
      }
    }
  }

  #startSwitch(): Promise<void> {
    this.#switched = this.#switched.then(async () => {
      try {
        await this.#switching?.switchModel();
        this.switches += 1;
      } catch (error) {
        if ((error as TrainingIndexError).code !== "CONFLICT") throw error;
      }
    });
    this.#switched.catch(() => undefined); // awaited in run
    return this.#switched;
  }

  async #releaseAll(): Promise<void> {
    const waiting = this.#calls.filter(({ hasEnded }) => !hasEnded);
    for (const call of waiting) {
      call.gate.resolve();
      if (this.#mode === "mixed") await call.ended;
    }
    await Promise.all(waiting.map(({ ended }) => ended));
  }

  async #startUpsert(version: number, revision: number, ending: Ending, wait: boolean): Promise<void> {
    const { training, texts } = this.#versions[version] ?? { training: 0, texts: [] };
    const call = this.#newCall({ training, revision, version, ending });
    const { signal } = call.controller;
    await this.#start(call, wait, async () => {
      const prepared = await this.#index.prepareTraining(
        {
          id: this.#idOf(training),
          documents: texts.map((pageContent) => ({ pageContent })),
          split: false,
          metadata: { version, run: this.#name },
          revision: call.revision,
        },
        { signal },
      );
      return ending === "own" ? (await prepared.commit()).status : this.#commitAsHost(call, prepared);
    });
  }

  async #commitAsHost(
    call: Call,
    prepared: Awaited<ReturnType<TrainingIndex["prepareTraining"]>>,
  ): Promise<UpsertResult["status"] | undefined> {
    const client = await this.#pool.connect();
    try {
      await client.query("BEGIN");
      const { status } = await prepared.commit(client);
      const commits = call.ending === "host commits";
      await client.query(commits ? "COMMIT" : "ROLLBACK");
      return commits ? status : undefined;
    } catch (error) {
      await client.query("ROLLBACK");
      throw error;
    } finally {
      client.release();
    }
  }

  async #startDelete(training: number, revision: number, wait: boolean): Promise<void> {
    const call = this.#newCall({ training, revision, version: undefined, ending: "own" });
    await this.#start(call, wait, async () => {
      const { status } = await this.#index.deleteTraining(this.#idOf(training), { revision: call.revision });
      return status;
    });
  }

  #newCall(fields: { training: number; revision: number; version: number | undefined; ending: Ending }): Call {
    const hasRevision = this.#mode === "revisions" || (this.#mode === "mixed" && fields.revision % 2 === 0);
    const call = new Call({
      ...fields,
      start: this.#calls.length + 1,
      revision: hasRevision ? fields.revision : undefined,
    });
    this.#calls.push(call);
    return call;
  }

  async #start(call: Call, wait: boolean, work: () => Promise<Call["status"]>): Promise<void> {
    call.ended = currentCall.run(call, async () => {
      try {
        call.status = await work();
      } catch (error) {
        const { code } = error as TrainingIndexError;
        if (!EXPECTED_CODES.has(code) && !(this.#switching && code === RETIRED)) throw error;
      } finally {
        call.hasEnded = true;
        call.reached.resolve();
      }
      this.#noteEnd(call);
    });
    call.ended.catch(() => undefined); // awaited in #checkEnd
    if (wait || this.#mode === "mixed") await Promise.race([call.reached.promise, call.ended]);
  }

  /** In `mixed` mode the model decides for each call as it ends whether it is admitted. */
  #noteEnd(call: Call): void {
    if (this.#mode !== "mixed" || call.status === undefined) return;
    const isAdmitted = this.#model[call.training]?.end(call) ?? false;
    if (call.status === "absent") return; // there was nothing to delete, whether the delete is admitted or not
    if (isAdmitted !== call.wasAdmitted) {
      this.violations.push(
        `call ${call.start} was ${call.status}, but the model says ${isAdmitted ? "newer" : "older"}`,
      );
    }
  }

  async #readUntil(reader: { stops: boolean }): Promise<void> {
    while (!reader.stops) {
      await this.#read();
      await pause(MS_BETWEEN_READS);
    }
  }

  /** Reads all trainings in one statement, as a search does, and compares each with its version. */
  async #read(): Promise<(number | undefined)[]> {
    const mustExist = this.#model.map((_, training) => this.#mustExist(training));
    const { rows } = await this.#pool.query<StoredChunk>(
      `SELECT * FROM (${Object.keys(this.#vectors)
        .map((profile) => this.#chunksOf(Number(profile)))
        .join(" UNION ALL ")}) c ORDER BY id, place`,
      [this.#model.map((_, training) => this.#idOf(training))],
    );
    this.reads += 1;
    const versions = this.#model.map((_, training) => {
      const chunks = rows.filter(({ id }) => id === this.#idOf(training));
      if (chunks.length === 0 && mustExist[training] && this.#mustExist(training))
        this.violations.push(`training ${training} has a gap`);
      return this.#versionOf(training, chunks);
    });
    for (const { content, vector, profile } of rows) {
      if (!(await this.#vectors[profile]?.isOf(content, vector)))
        this.violations.push(`"${content}" has the vector of another text`);
    }
    return versions;
  }

  /** The chunks of a profile, if it is the active one. */
  #chunksOf(profile: number): string {
    return `SELECT c.training_id AS id, c.content, (c.metadata->>'version')::int AS version,
        array_position(i.chunk_ids, c.id) AS place, c.embedding::text AS vector, ${profile} AS profile
       FROM ${this.#schema}.chunk_${profile} c LEFT JOIN ${this.#schema}.indexed_${profile} i USING (training_id)
       WHERE c.training_id = ANY ($1) AND ${profile} = (SELECT id FROM ${this.#schema}.profile WHERE status = 'active')`;
  }

  /** Whatever is not active has nothing of a training that does not exist. */
  async #checkLeftovers(): Promise<void> {
    for (const profile of Object.keys(this.#vectors)) {
      const { rows } = await this.#pool.query<{ id: string }>(
        `SELECT training_id AS id FROM ${this.#schema}.chunk_${profile} c WHERE training_id = ANY ($1)
          AND NOT EXISTS (SELECT FROM ${this.#schema}.training t WHERE t.id = c.training_id AND t.deleted_at IS NULL)`,
        [this.#model.map((_, training) => this.#idOf(training))],
      );
      for (const { id } of rows)
        this.violations.push(`profile ${profile} still has chunks of ${id}, which was deleted`);
    }
  }

  /** The version of a training's chunks, which are in reading order. Anything but all chunks of one version is a violation. */
  #versionOf(training: number, chunks: readonly ReadChunk[]): number | undefined {
    const [first] = chunks;
    if (!first) return undefined;
    const expected = this.#versions[first.version];
    const seen = chunks.map(({ content, version, place }) => `${version}: ${place ?? "?"} ${content}`);
    const whole = expected?.texts.map((text, index) => `${first.version}: ${index + 1} ${text}`);
    if (expected?.training !== training || seen.join() !== whole?.join()) {
      this.violations.push(`training ${training} is a mixture: ${seen.join(" | ")}`);
    }
    return first.version;
  }

  /** Searches for all chunks of the schedule and checks that versions are whole and distances are right. */
  async #search(): Promise<(number | undefined)[]> {
    const question = WORDS[0] ?? "";
    const filter = { run: this.#name };
    const hits = await this.#index.similar(question, { k: ID_COUNT * WORD_COUNT + 1, filter });
    const isOfOneModel = await Promise.all(
      Object.values(this.#vectors).map(async (vectors) => {
        const each = hits.map(({ content, distance }) => vectors.isDistance(question, content, distance));
        return (await Promise.all(each)).every(Boolean);
      }),
    );
    if (!isOfOneModel.some(Boolean)) this.violations.push("a chunk was found at the distance of another text or model");
    return this.#model.map((_, training) => {
      const chunks = hits
        .filter(({ trainingId }) => trainingId === this.#idOf(training))
        .sort((left, right) => left.position - right.position)
        .map(({ content, metadata, position }) => ({
          content,
          version: Number(metadata["version"]),
          place: position + 1,
        }));
      return this.#versionOf(training, chunks);
    });
  }

  /** Whether a version with chunks was stored and no call could have removed it. */
  #mustExist(training: number): boolean {
    const calls = this.#calls.filter((call) => call.training === training);
    const isEmpty = ({ version }: Call): boolean => (this.#versions[version ?? -1]?.texts.length ?? 0) === 0;
    return calls.some((call) => call.wasAdmitted && !isEmpty(call)) && !calls.some(isEmpty);
  }

  async #checkEnd(): Promise<void> {
    for (const call of this.#calls) await call.ended; // throws unexpected failures
    const found = await this.#read();
    const searched = await this.#search();
    for (let training = 0; training < ID_COUNT; training++) {
      const calls = this.#calls.filter((call) => call.training === training && call.status !== undefined);
      const expected = this.#mode === "mixed" ? this.#model[training]?.version : winner(calls)?.version;
      const texts = this.#versions[expected ?? -1]?.texts ?? [];
      const visible = texts.length === 0 ? undefined : expected;
      if (found[training] !== visible) {
        this.violations.push(`training ${training} ended as ${found[training] ?? "none"}, not ${visible ?? "none"}`);
      }
      if (searched[training] !== found[training]) {
        this.violations.push(`training ${training} is found as ${searched[training] ?? "none"}`);
      }
      const best = winner(calls);
      if (this.#mode !== "mixed" && best && !best.wasAdmitted) {
        this.violations.push(`call ${best.start} was superseded, but nothing is newer`);
      }
    }
  }

  #idOf(training: number): string {
    return `${this.#name}/${training}`;
  }
}
