import type { EmbeddingsInterface } from "@langchain/core/embeddings";
import { runHostCode } from "../calls/host-code.js";
import type { Notify } from "../calls/notices.js";
import { withTimeLimit } from "../calls/time-limit.js";
import type { Splitter } from "../chunking/splitter.js";
import type { NormalizedTraining, TrainingHeader } from "../chunking/training-input.js";
import { EmbeddingError, InvalidArgumentError, SchemaError } from "../errors.js";
import { ensureVectorIndex } from "../migrations/vector-index.js";
import { makeModel, type Model, type Models } from "../models/models.js";
import type { BoundedPool } from "../postgres/bounded-database.js";
import type { KnownSchema } from "../schema/known-schema.js";
import { analyzeAfterLoad } from "../schema/index-build.js";
import { namesOf, type Layout } from "../schema/layout.js";
import type { VectorIndexMethod } from "../schema/vector-index-method.js";
import type { Training } from "../types.js";
import { beginSwitch, planSwitch, type SwitchTarget } from "./begin.js";
import { Builder } from "./builder.js";
import { dryRun } from "./dry-run.js";
import { flip, type FlipMeasure } from "./flip.js";
import { compareModels } from "./gate.js";
import { RateLimit } from "./rate-limit.js";
import { checkSwitch, type CheckedSwitch, type SwitchOptions } from "./switch-options.js";
import type { SwitchedModel, SwitchPhase, SwitchReport, SwitchResult } from "./switch-types.js";

/** Dependencies of a {@link Switcher}. */
export interface SwitcherParts {
  pool: BoundedPool;
  knownSchema: KnownSchema;
  models: Models;
  splitter: Splitter | undefined;
  header: TrainingHeader | undefined;
  /** The vector index of another extension, which the new model gets as well. */
  method: VectorIndexMethod | undefined;
  notify: Notify;
}

/** Converts trainings that the host has loaded. */
export type NormalizeLoaded = (
  training: Training<object>,
  option: string,
  header: TrainingHeader | undefined,
) => NormalizedTraining;

/** A word that every embedder can embed. */
const PROBE = "loja";

/** @throws {@link SchemaError} for a schema on a Citus cluster, whose tables for the new model would stay on the coordinator */
function refuseInCluster({ citus, schema }: Layout): void {
  if (!citus) return;
  throw new SchemaError(
    "SWITCH_REFUSED",
    `Schema ${JSON.stringify(schema)} is on a Citus cluster, where the model cannot be switched: migrate a new schema with ` +
      `citus: ${JSON.stringify(citus)}, index the trainings there with the new model, and open that schema`,
  );
}

/** Switches an index to another embedding model. */
export class Switcher {
  readonly #parts: SwitcherParts;

  constructor(parts: SwitcherParts) {
    this.#parts = parts;
  }

  /** Builds the index with another model beside the one in use, and makes it the one in use. */
  async switch(
    embeddings: EmbeddingsInterface,
    given: SwitchOptions,
    normalize: NormalizeLoaded,
  ): Promise<SwitchResult> {
    const options = checkSwitch(embeddings, given);
    return withTimeLimit(options, (signal) => this.#switch(embeddings, { ...options, signal }, normalize));
  }

  async #switch(
    embeddings: EmbeddingsInterface,
    options: CheckedSwitch,
    normalize: NormalizeLoaded,
  ): Promise<SwitchResult> {
    const { knownSchema, models, notify } = this.#parts;
    const { signal, dryRun: onlyPlans, source } = options;
    const pool = this.#parts.pool.within({ signal });
    const state = await knownSchema.look(undefined, signal);
    refuseInCluster(state.layout);
    const old = models.of(state);
    const inputs = { layout: state.layout, options, model: await this.#newModel(embeddings, options) };
    const planned = await planSwitch(pool, inputs);
    if (onlyPlans) return dryRun(pool, planned, { model: inputs.model, options });
    const target = await beginSwitch({ pool: this.#parts.pool, notify, signal }, inputs);
    const progress = new Progress(options);
    const header = options.header ?? this.#parts.header;
    const builder = new Builder({
      ...{ pool: this.#parts.pool, ...target, vectorOid: state.vectorOid, model: inputs.model, source },
      concurrency: options.concurrency,
      rate: new RateLimit(options.maxTextsPerMinute),
      normalize: (training) => normalize(training, "source", header),
      onEmbedded: (texts) => {
        progress.embedded(texts);
      },
      onBuilt: (trainings) => {
        progress.built(trainings);
      },
    });
    await builder.findUnbuilt(signal);
    progress.begin("building", await builder.countBehind(signal));
    await builder.catchUp(signal);
    await builder.buildRest(signal);
    progress.begin("indexing", await builder.countBehind(signal));
    await this.#buildIndex(target, signal);
    await builder.catchUp(signal);
    await builder.buildRest(signal);
    progress.begin("checking", 0);
    const report = await this.#compare(target, old, inputs.model, options);
    progress.begin("switching", await builder.countBehind(signal));
    const measure = await flip({ pool: this.#parts.pool, notify, signal }, target, {
      builder,
      model: inputs.model.profile.model,
    });
    knownSchema.forget();
    const { trainings, texts } = progress;
    return { status: "switched", ...modelsOf(target, inputs.model), report, trainings, texts, flip: rounded(measure) };
  }

  /** The new model. Embeds a word with it, before anything is changed: its dimensions may not be the announced ones. */
  async #newModel(embeddings: EmbeddingsInterface, options: CheckedSwitch): Promise<Model> {
    const own = (embeddings as { profile?: { dimensions?: number } }).profile;
    const announced = options.profile?.dimensions ?? (options.profile ? undefined : own?.dimensions);
    if (options.dimensions !== undefined && announced !== undefined && options.dimensions !== announced) {
      throw new InvalidArgumentError(
        "dimensions",
        `is ${options.dimensions}, but the profile of the model has ${announced}`,
      );
    }
    const dimensions = options.dimensions ?? announced ?? (await probe(embeddings));
    const { notify } = this.#parts;
    const splitter = options.splitter ?? this.#parts.splitter;
    const model = makeModel({ embeddings, profile: options.profile }, dimensions, { splitter, notify });
    await model.embedder.embedDocuments([PROBE], { signal: options.signal });
    return model;
  }

  async #buildIndex({ building, vectorIndex }: SwitchTarget, signal: AbortSignal | undefined): Promise<void> {
    const pool = this.#parts.pool.within({ signal, statementMs: Infinity });
    const { dimensions, m, efConstruction } = vectorIndex;
    const { method } = this.#parts;
    const hnsw = { m, efConstruction };
    await ensureVectorIndex(pool, { schema: building.schema, names: namesOf(building), dimensions, hnsw, method });
    await analyzeAfterLoad(pool, building);
  }

  async #compare(target: SwitchTarget, old: Model, model: Model, options: CheckedSwitch): Promise<SwitchReport> {
    const { questions, sample, check, signal, source } = options;
    const pool = this.#parts.pool.within({ signal, statementMs: Infinity });
    const isCopy = source === undefined;
    const report = await compareModels(pool, { target, old, model, questions, sample, isCopy, signal });
    if (report.problems.length > 0) throw refused(`the new model is not complete: ${report.problems.join("; ")}`);
    if (check && !(await runHostCode("check", () => check(report)))) {
      throw refused(
        "check did not accept the report. The new model stays built: call switchModel again, or discard it with index.retireModel()",
      );
    }
    return report;
  }
}

async function probe(embeddings: EmbeddingsInterface): Promise<number> {
  const vector = await embeddings.embedQuery(PROBE).catch((cause: unknown) => {
    throw new EmbeddingError("EMBEDDING_FAILED", "The embedder of the new model failed", true, cause);
  });
  return Array.isArray(vector) ? vector.length : 0;
}

function refused(why: string): SchemaError {
  return new SchemaError("SWITCH_REFUSED", `The index was not switched, because ${why}`);
}

function rounded({ longestMs, attempts }: FlipMeasure): FlipMeasure {
  return { longestMs: Math.round(longestMs), attempts };
}

/** Both models, as results name them. */
export function modelsOf({ from }: SwitchTarget, { profile }: Model): { from: SwitchedModel; to: SwitchedModel } {
  return {
    from: { name: from.recorded.model, dimensions: from.dimensions },
    to: { name: profile.model, dimensions: profile.dimensions },
  };
}

/** Counts what a switch does, and reports it. */
class Progress {
  trainings = 0;
  texts = 0;
  readonly #options: CheckedSwitch;
  #phase: SwitchPhase = "building";
  #total = 0;
  #done = 0;
  #since = performance.now();

  constructor(options: CheckedSwitch) {
    this.#options = options;
  }

  begin(phase: SwitchPhase, total: number): void {
    this.#phase = phase;
    this.#total = total;
    this.#done = 0;
    this.#since = performance.now();
    this.#report();
  }

  embedded(texts: number): void {
    this.texts += texts;
  }

  built(trainings: number): void {
    this.trainings += trainings;
    this.#done += trainings;
    this.#report();
  }

  #report(): void {
    const { onProgress } = this.#options;
    if (!onProgress) return;
    const remaining = Math.max(this.#total - this.#done, 0);
    const perTraining = this.#done === 0 ? undefined : (performance.now() - this.#since) / this.#done;
    const progress = {
      phase: this.#phase,
      trainings: this.trainings,
      remaining,
      texts: this.texts,
      remainingMs: perTraining === undefined ? undefined : Math.round(perTraining * remaining),
    };
    runHostCode("onProgress", () => {
      onProgress(progress);
    });
  }
}
