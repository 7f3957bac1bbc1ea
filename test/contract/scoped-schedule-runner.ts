/**
 * Runs one random schedule of calls by several workers through indexes with different filters, and checks what readers see
 * meanwhile.
 */
import { setTimeout as pause } from "node:timers/promises";
import type { ChunkHit, TrainingIndex } from "langchain-training-index";
import type pg from "pg";
import { ExpectedVectors } from "./expected-vectors.js";
import { winner, type ModelCall } from "./schedule-model.js";
import { SCOPES, type Ending, type Outcome, type ScheduledTraining, type Work } from "./schedule-worker.js";
import type { ScheduleWorkers, WorkerCall } from "./schedule-workers.js";
import { NOBODY, ScopedTraining, type Scope } from "./scope-model.js";

export const SCOPED_ID_COUNT = 4;
export const SCOPE_COUNT = SCOPES.length;
const WORDS = ["prazo", "frete", "troca", "pix", "loja"];
export const SCOPED_WORD_COUNT = WORDS.length;
const TENANTS = ["a", "b"];
const QUESTION = "prazo";
/** Without a pause, readers would take more CPU than the calls. */
const MS_BETWEEN_READS = 2;
/** One of this many reads is a search. */
const READS_PER_SEARCH = 4;

/** A step that starts a call. `training` and `words` are indexes in lists. */
export type CallStep = Through &
  (
    | { do: "upsert"; training: number; words: number[]; ending: Ending }
    | { do: "upsert many" | "add documents" | "add vectors"; trainings: number[]; words: number[] }
    | { do: "delete" | "delete document"; training: number }
    | { do: "delete by filter" }
  );

/** One step of a schedule. */
export type ScopedStep =
  | CallStep
  | { do: "repeat"; call: number; worker: number }
  | { do: "release"; call: number; outcome: Outcome; wait: boolean }
  | { do: "release all" };

/**
 * Who makes a call. `scope` is the number of an index; `tenant` is the tenant of the call's trainings if that index sees
 * everything.
 */
interface Through {
  worker: number;
  scope: number;
  tenant: number;
  revision: number;
}

/**
 * - `starts`, `revisions`: calls end in any order, or concurrently; all have revisions, or none has. Each training has a
 *   tenant from the start, and others try to delete it.
 * - `settled`: calls end one after the other; some have revisions, and trainings change their tenant.
 */
export type ScopedMode = "starts" | "revisions" | "settled";

/** One training of a call. */
interface Part extends ModelCall {
  training: number;
  /** The tenant that it gets; {@link NOBODY} for a delete. */
  tenant: string;
  /** The status of the result; `undefined` while running, after a failure and after a rollback. */
  status: string | undefined;
}

interface Call {
  scope: Scope;
  work: Work;
  workerCall: WorkerCall;
  parts: Part[];
  /** The model's verdict when the call starts: whether it is refused, and which parts are already superseded. */
  isRefused: boolean;
  lost: ReadonlySet<Part>;
  /** Resolves when its end has been recorded. */
  ended: Promise<void>;
  hasEnded: boolean;
}

interface ReadChunk {
  id: string;
  content: string;
  version: number;
  place: number | null;
}

/** For each training, in the order of the ids: the number of the version that is found, if any. */
type Found = (number | undefined)[];

/** Failures that a schedule may cause, besides refusals. */
const EXPECTED_CODES = new Set(["EMBEDDING_FAILED", "ABORTED", "CONFLICT"]);

export class ScopedScheduleRun {
  /** Descriptions of what went wrong. */
  readonly violations: string[] = [];
  reads = 0;
  readonly #workers: ScheduleWorkers;
  readonly #indexes: readonly TrainingIndex[];
  readonly #pool: pg.Pool;
  readonly #schema: string;
  readonly #name: string;
  readonly #mode: ScopedMode;
  readonly #ids: string[];
  readonly #versions: ScheduledTraining[] = [];
  readonly #calls: Call[] = [];
  readonly #model = Array.from({ length: SCOPED_ID_COUNT }, () => new ScopedTraining());
  readonly #vectors = new ExpectedVectors();
  #starts = 0;

  /** @param indexes - one for each of {@link SCOPES}, to read through */
  constructor(
    workers: ScheduleWorkers,
    indexes: readonly TrainingIndex[],
    database: { pool: pg.Pool; schema: string },
    name: string,
    mode: ScopedMode,
  ) {
    this.#workers = workers;
    this.#indexes = indexes;
    this.#pool = database.pool;
    this.#schema = database.schema;
    this.#name = name;
    this.#mode = mode;
    this.#ids = this.#model.map((_, training) => `${name}/${training}`);
  }

  get calls(): number {
    return this.#calls.length;
  }

  async run(steps: readonly ScopedStep[]): Promise<void> {
    if (this.#mode !== "settled") await this.#storeAll();
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
    await this.#checkEnd();
  }

  /** Stores each training for its tenant. */
  async #storeAll(): Promise<void> {
    for (const training of this.#ids.keys()) {
      const through = { worker: 0, scope: this.#ownerOf(training), tenant: 0, revision: 0 };
      await this.#take({ do: "upsert", training, words: [0, 1], ending: "own", ...through });
      await this.#releaseAll();
    }
  }

  /** The number of the tenant to which a training belongs from the start, which is also the number of its index. */
  #ownerOf(training: number): number {
    return training % TENANTS.length;
  }

  async #take(step: ScopedStep): Promise<void> {
    switch (step.do) {
      case "release": {
        const waiting = this.#calls.filter(({ workerCall }) => workerCall.waits);
        const call = waiting[step.call % Math.max(waiting.length, 1)];
        if (call) await this.#release(call, step.outcome, step.wait);
        return;
      }
      case "release all":
        await this.#releaseAll();
        return;
      case "repeat": {
        const call = this.#calls[step.call % Math.max(this.#calls.length, 1)];
        if (call?.work.do === "upsert") await this.#start(step.worker, { ...call.work, ending: "own" });
        return;
      }
      default: {
        const work = this.#workOf(step);
        if (work) await this.#start(step.worker, work);
      }
    }
  }

  async #release(call: Call, outcome: Outcome, wait: boolean): Promise<void> {
    // A list is never made to fail: a part of it could be stored, and the model does not know which.
    call.workerCall.release(call.parts.length > 1 ? "go on" : outcome);
    if (wait || this.#mode === "settled") await call.workerCall.untilWaitingOrEnded();
    if (call.workerCall.end) await call.ended;
  }

  async #releaseAll(): Promise<void> {
    for (;;) {
      const left = this.#calls.filter(({ hasEnded }) => !hasEnded);
      if (left.length === 0) return;
      for (const call of left) {
        if (call.workerCall.waits) await this.#release(call, "go on", false);
      }
      await Promise.all(left.map(({ workerCall }) => workerCall.untilWaitingOrEnded()));
      await Promise.all(left.filter(({ workerCall }) => workerCall.end).map(({ ended }) => ended));
    }
  }

  /** The call of a step; `undefined` if the mode does not have it. */
  #workOf(step: CallStep): Work | undefined {
    const isRacing = this.#mode !== "settled";
    const revision = this.#revisionOf(step.revision);
    const sees = (training: number): boolean => step.scope === TENANTS.length || step.scope === this.#ownerOf(training);
    switch (step.do) {
      case "upsert": {
        const { training, words, ending } = step;
        const scope = isRacing && !sees(training) ? this.#ownerOf(training) : step.scope;
        const scheduled = this.#newVersion(training, words, { ...step, scope });
        return { do: "upsert", scope, training: scheduled, revision, ending };
      }
      case "upsert many":
      case "add documents":
      case "add vectors": {
        if (step.do !== "upsert many" && this.#mode === "revisions") return undefined;
        const wanted = isRacing ? step.trainings.filter(sees) : step.trainings;
        if (wanted.length === 0) return undefined;
        const words = step.do === "upsert many" ? step.words : [step.words[0] ?? 0];
        const trainings = wanted.map((training) => this.#newVersion(training, words, step));
        // The model treats each training of a list separately. So none may reuse stored texts: otherwise the whole list
        // could be refused after a part of it was stored.
        if (!isRacing) {
          for (const { texts, metadata } of trainings)
            texts.splice(0, texts.length, ...texts.map((text) => `${text} ${metadata.version}`));
        }
        const { scope } = step;
        if (step.do === "upsert many") return { do: "upsert many", scope, trainings, revision };
        return { do: "add documents", scope, trainings, withVectors: step.do === "add vectors" };
      }
      case "delete":
        return { do: "delete", scope: step.scope, id: this.#ids[step.training] ?? "", revision };
      case "delete document":
        if (this.#mode === "revisions") return undefined;
        return { do: "delete documents", scope: step.scope, ids: [this.#ids[step.training] ?? ""] };
      case "delete by filter":
        if (this.#mode === "revisions") return undefined;
        return {
          do: "delete by filter",
          scope: step.scope,
          filter: { run: this.#name, tenant: TENANTS[step.tenant] ?? "" },
        };
    }
  }

  #revisionOf(revision: number): number | undefined {
    const has = this.#mode === "revisions" || (this.#mode === "settled" && revision % 2 === 0);
    return has ? revision : undefined;
  }

  #newVersion(training: number, words: readonly number[], { scope, tenant }: Through): ScheduledTraining {
    const version = this.#versions.length;
    const isSettled = this.#mode === "settled";
    const given = isSettled ? tenant : this.#ownerOf(training);
    const scheduled = {
      id: this.#ids[training] ?? "",
      texts: words.map((word) => `${this.#name} ${WORDS[word] ?? ""}`),
      metadata: { version, run: this.#name, tenant: TENANTS[scope] ?? TENANTS[given] ?? NOBODY },
    };
    this.#versions.push(scheduled);
    return scheduled;
  }

  async #start(worker: number, work: Work): Promise<void> {
    const scope = SCOPES[work.scope]?.["tenant"];
    const parts = this.#partsOf(work);
    const isUpsert = work.do === "upsert" || work.do === "upsert many" || work.do === "add documents";
    const modelOf = ({ training }: Part): ScopedTraining | undefined => this.#model[training];
    const call: Call = {
      scope,
      work,
      parts,
      isRefused: isUpsert && parts.some((part) => modelOf(part)?.isTakenFor(scope)),
      lost: new Set(isUpsert ? parts.filter((part) => modelOf(part)?.isNewerThan(scope, part)) : []),
      workerCall: this.#workers.start(worker, work),
      ended: Promise.resolve(),
      hasEnded: false,
    };
    this.#calls.push(call);
    call.ended = this.#noteEnd(call);
    call.ended.catch(() => undefined); // awaited in #checkEnd
    await call.workerCall.untilWaitingOrEnded();
    if (call.workerCall.end) await call.ended;
  }

  #partsOf(work: Work): Part[] {
    const partOf = (id: string, metadata?: ScheduledTraining["metadata"]): Part => ({
      training: this.#ids.indexOf(id),
      start: ++this.#starts,
      revision: "revision" in work ? work.revision : undefined,
      version: metadata?.version,
      tenant: metadata?.tenant ?? NOBODY,
      status: undefined,
    });
    switch (work.do) {
      case "upsert":
        return [partOf(work.training.id, work.training.metadata)];
      case "upsert many":
      case "add documents":
        return work.trainings.map(({ id, metadata }) => partOf(id, metadata));
      case "delete":
        return [partOf(work.id)];
      case "delete documents":
        return work.ids.map((id) => partOf(id));
      case "delete by filter": // it may find any of them
        return this.#ids.map((id) => partOf(id));
    }
  }

  async #noteEnd(call: Call): Promise<void> {
    const end = await call.workerCall.ended;
    call.hasEnded = true;
    if ("code" in end) {
      const isRefusal = end.code === "INVALID_ARGUMENT" && this.#mode === "settled";
      if (isRefusal && (call.isRefused || call.parts.length === 1)) {
        if (!call.isRefused) this.#expect(call, false);
      } else if (!EXPECTED_CODES.has(end.code)) {
        throw new Error(`${call.work.do} failed: ${end.code} ${end.message}`);
      }
      return;
    }
    if (call.isRefused) this.violations.push(`${call.work.do} took an id of another tenant`);
    for (const { id, status } of end.results) {
      const part = call.parts.find(({ training }) => this.#ids[training] === id);
      if (part) part.status = status;
      else this.violations.push(`${call.work.do} touched ${id}`);
    }
    if (call.work.do === "delete by filter") this.#checkFound(call, call.work.filter["tenant"]);
    if (this.#mode === "settled") this.#expect(call, true);
    else this.#checkTrespass(call);
  }

  /** Applies an ended call to the model and compares the verdict with the call's results. */
  #expect(call: Call, tells: boolean): void {
    for (const part of call.parts) {
      const model = this.#model[part.training];
      if (!model || (tells && part.status === undefined)) continue;
      const isDelete = part.version === undefined;
      const counts = isDelete
        ? model.delete(call.scope, part)
        : !call.lost.has(part) && model.upsert(call.scope, part.tenant, part);
      if (part.status === "absent" || part.status === "done") continue; // these do not tell whether the call was admitted
      const counted = tells && part.status !== "superseded";
      if (counts !== counted) {
        const model = counts ? "newer" : "older";
        this.violations.push(`${call.work.do} ${part.start} was ${part.status ?? "refused"}, but is ${model}`);
      }
    }
  }

  /** Checks that a delete by filter found the trainings of the tenant that its index sees, and no others. */
  #checkFound(call: Call, tenant = NOBODY): void {
    const found = call.parts.filter(({ status }) => status !== undefined).map(({ training }) => training);
    const sees = call.scope === undefined || call.scope === tenant;
    const isSettled = this.#mode === "settled";
    const expected = [...this.#ids.keys()].filter((training) => {
      const model = this.#model[training];
      if (!sees) return false;
      if (!isSettled) return TENANTS[this.#ownerOf(training)] === tenant;
      return model?.version !== undefined && model.owner === tenant;
    });
    const isRight = isSettled
      ? found.join() === expected.join()
      : found.every((training) => expected.includes(training));
    if (!isRight) {
      this.violations.push(`a delete by filter found ${found.join()} of ${expected.join()} of ${tenant}`);
    }
  }

  /** Checks that no call changed a training of another tenant. */
  #checkTrespass(call: Call): void {
    for (const part of call.parts) {
      if (call.scope === undefined || call.scope === TENANTS[this.#ownerOf(part.training)]) continue;
      if (part.status !== undefined && part.status !== "absent" && part.status !== "done") {
        this.violations.push(`${call.work.do} ${part.status} the training of another tenant`);
      }
      part.status = undefined;
    }
  }

  async #readUntil(reader: { stops: boolean }): Promise<void> {
    while (!reader.stops) {
      if (this.reads % READS_PER_SEARCH === 0) await this.#search(this.reads % SCOPE_COUNT);
      else await this.#read();
      await pause(MS_BETWEEN_READS);
    }
  }

  /** Reads all trainings in one statement and compares each with its version. */
  async #read(): Promise<Found> {
    const mustExist = this.#ids.map((_, training) => this.#mustExist(training));
    const { rows } = await this.#pool.query<ReadChunk & { vector: string }>(
      `SELECT c.training_id AS id, c.content, (c.metadata->>'version')::int AS version,
        array_position(i.chunk_ids, c.id) AS place, c.embedding::text AS vector
       FROM ${this.#schema}.chunk_1 c LEFT JOIN ${this.#schema}.indexed_1 i USING (training_id)
       WHERE c.training_id = ANY ($1) ORDER BY c.training_id, place`,
      [this.#ids],
    );
    this.reads += 1;
    const found = this.#versionsOf(rows);
    for (const training of this.#ids.keys()) {
      if (found[training] === undefined && mustExist[training] && this.#mustExist(training))
        this.violations.push(`training ${training} has a gap`);
    }
    for (const { content, vector } of rows) {
      if (!(await this.#vectors.isOf(content, vector)))
        this.violations.push(`"${content}" has the vector of another text`);
    }
    return found;
  }

  /** Searches for all chunks that an index sees. */
  async #search(scope: number): Promise<Found> {
    const k = SCOPED_ID_COUNT * SCOPED_WORD_COUNT + 1;
    const hits: ChunkHit[] = (await this.#indexes[scope]?.similar(QUESTION, { k, filter: { run: this.#name } })) ?? [];
    this.reads += 1;
    for (const { content, distance, metadata } of hits) {
      if (!(await this.#vectors.isDistance(QUESTION, content, distance)))
        this.violations.push(`"${content}" was found at the distance of another text`);
      const tenant = SCOPES[scope]?.["tenant"];
      if (tenant !== undefined && metadata["tenant"] !== tenant)
        this.violations.push(`"${content}" was found by another tenant`);
    }
    const chunks = hits
      .sort((left, right) => left.position - right.position)
      .map(({ trainingId, content, metadata, position }) => ({
        id: String(trainingId),
        content,
        version: Number(metadata["version"]),
        place: position + 1,
      }));
    return this.#versionsOf(chunks);
  }

  /** The versions of chunks, which are in reading order. Anything but all chunks of one version is a violation. */
  #versionsOf(chunks: readonly ReadChunk[]): Found {
    return this.#ids.map((id) => {
      const own = chunks.filter((chunk) => chunk.id === id);
      const [first] = own;
      if (!first) return undefined;
      const expected = this.#versions[first.version];
      const seen = own.map(({ content, version, place }) => `${version}: ${place ?? "?"} ${content}`);
      const whole = expected?.texts.map((text, index) => `${first.version}: ${index + 1} ${text}`);
      if (expected?.id !== id || seen.join() !== whole?.join())
        this.violations.push(`${id} is a mixture: ${seen.join(" | ")}`);
      return first.version;
    });
  }

  /** Whether a version with chunks was stored and no call could have removed it. */
  #mustExist(training: number): boolean {
    const calls = this.#calls.filter((call) => this.#mode === "settled" || this.#isOwn(call, training));
    const parts = calls.flatMap((call) => call.parts).filter((part) => part.training === training);
    const isEmpty = ({ version }: Part): boolean => (this.#versions[version ?? -1]?.texts.length ?? 0) === 0;
    const isStored = ({ status }: Part): boolean => status === "indexed" || status === "unchanged";
    return parts.some((part) => isStored(part) && !isEmpty(part)) && !parts.some(isEmpty);
  }

  #isOwn({ scope }: Call, training: number): boolean {
    return scope === undefined || scope === TENANTS[this.#ownerOf(training)];
  }

  async #checkEnd(): Promise<void> {
    for (const call of this.#calls) await call.ended; // throws unexpected failures
    const found = await this.#read();
    const { rows } = await this.#pool.query<{ id: string; tenant: string | null; gone: boolean }>(
      `SELECT id, metadata->>'tenant' AS tenant, deleted_at IS NOT NULL AS gone
       FROM ${this.#schema}.training WHERE id = ANY ($1)`,
      [this.#ids],
    );
    const visible: Found = [];
    const owners: (string | undefined)[] = [];
    for (const [training, model] of this.#model.entries()) {
      const isSettled = this.#mode === "settled";
      const version = isSettled ? model.version : this.#winnerOf(training)?.version;
      const owner = isSettled ? model.owner : TENANTS[this.#ownerOf(training)];
      const isEmpty = (this.#versions[version ?? -1]?.texts.length ?? 0) === 0;
      visible.push(isEmpty ? undefined : version);
      owners.push(owner);
      this.#compare(training, "ended as", found[training], visible[training]);
      const row = rows.find(({ id }) => id === this.#ids[training]);
      this.#compare(training, "belongs to", row && (row.tenant ?? NOBODY), owner);
      if (row) this.#compare(training, "is a tombstone:", row.gone, version === undefined);
    }
    for (const [scope, filter] of SCOPES.entries()) {
      const searched = await this.#search(scope);
      for (const training of this.#ids.keys()) {
        const sees = filter === undefined || owners[training] === filter["tenant"];
        const expected = sees ? visible[training] : undefined;
        this.#compare(training, `is found by index ${scope} as`, searched[training], expected);
      }
    }
  }

  #winnerOf(training: number): Part | undefined {
    const parts = this.#calls
      .flatMap((call) => call.parts)
      .filter((part) => part.training === training && part.status !== undefined);
    const best = winner(parts);
    if (best?.status === "superseded") this.violations.push(`call ${best.start} was superseded, but nothing is newer`);
    return best;
  }

  #compare<T>(training: number, what: string, found: T, expected: T): void {
    if (found === expected) return;
    this.violations.push(`training ${training} ${what} ${String(found)}, not ${String(expected)}`);
  }
}
