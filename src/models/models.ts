import type { EmbeddingsInterface } from "@langchain/core/embeddings";
import type { Notify } from "../calls/notices.js";
import { Chunker } from "../chunking/chunker.js";
import type { Splitter } from "../chunking/splitter.js";
import { Embedder, resolveProfile } from "../embedding/embedder.js";
import type { EmbeddingProfile } from "../embedding/profiles.js";
import { InvalidArgumentError } from "../errors.js";
import type { Queryable } from "../postgres/database.js";
import type { RecordedModel, SchemaState } from "../schema/schema-state.js";
import { claimOf, mayHoldChunks, type Claim } from "../storing/profile-claim.js";
import { mismatch, retiredModel, wrongDimensions } from "./model-mismatch.js";

/** An embedder of the host, with what the host says about its model. */
export interface GivenModel {
  embeddings: EmbeddingsInterface;
  profile: (Partial<EmbeddingProfile> & { model: string }) | undefined;
}

/** A model that an index can work with. */
export interface Model {
  embeddings: EmbeddingsInterface;
  profile: EmbeddingProfile;
  embedder: Embedder;
  /** Splits texts for the window of this model. */
  chunker: Chunker;
  /** What is recorded of it in the schema. */
  claim: Claim;
}

/** A vector that the caller gives. */
export interface GivenVector {
  vector: ArrayLike<number> | undefined;
  /** The name of its model, if the caller gives it. */
  named: string | undefined;
  /** The argument that it is given in. */
  option: string;
}

/** What is known of the schema, and a way to read it again. */
export interface SchemaInUse {
  latest: SchemaState;
  look: () => Promise<SchemaState>;
}

/** Dependencies of {@link Models}. */
export interface ModelsParts {
  /** At least one; the last is the newest, which an empty schema is claimed for. */
  given: readonly GivenModel[];
  splitter: Splitter | undefined;
  notify: Notify;
}

/** The models of an index, and which of them is in use. */
export class Models {
  readonly #parts: ModelsParts;
  /** By given model and dimensions: a model without dimensions of its own has those of the schema. */
  readonly #made = new Map<GivenModel, Map<number, Model>>();
  readonly #byProfile = new Map<RecordedModel, Model>();
  /** The profile that the index worked on last. */
  #profileId: number | undefined;

  constructor(parts: ModelsParts) {
    this.#parts = parts;
  }

  /** Whether there are several, so that it is not known which of them made a vector that the caller gives. */
  get areSeveral(): boolean {
    return this.#parts.given.length > 1;
  }

  /** The model for a state of the schema. Its `own` model was chosen here. */
  of({ own }: Pick<SchemaState, "own">): Model {
    const model = own && this.#byProfile.get(own);
    if (!model) throw new TypeError("no model has been chosen for this state of the schema");
    return model;
  }

  /**
   * Chooses the model with which the index works on a schema: the recorded one. In an empty schema the recorded model does not matter;
   * the newest one with its dimensions is chosen.
   *
   * @throws {@link SchemaError} `PROFILE_RETIRED` if the schema was switched to a model that the index does not have, `PROFILE_MISMATCH` if
   * it never had one of them
   */
  async choose(state: SchemaState, database: Queryable): Promise<EmbeddingProfile> {
    const { layout, dimensions, recorded } = state;
    const profiles = this.#parts.given.map((given) => this.#make(given, dimensions).profile);
    const fitting = profiles.toReversed().filter((profile) => profile.dimensions === dimensions);
    const same = recorded && fitting.find((profile) => isSameModel(profile, recorded));
    if (recorded && !same && (await mayHoldChunks(database, layout))) {
      const isSwitched = this.#profileId !== undefined && this.#profileId !== layout.profileId;
      throw isSwitched ? retiredModel(recorded) : await mismatch(database, state, recorded, profiles);
    }
    const chosen = same ?? fitting[0];
    if (!chosen) throw wrongDimensions(state, profiles);
    this.#profileId = layout.profileId;
    return chosen;
  }

  /**
   * The model in use, which has to be that of a vector that the caller gives. If another one is known to be in use, the schema is read again
   * first: it may have been switched.
   *
   * @throws {@link InvalidArgumentError} if it cannot be told, or the index has no such model; {@link SchemaError} `PROFILE_RETIRED` if it is of
   * another model of the index
   */
  async requireMaker(given: GivenVector, schema: SchemaInUse): Promise<Model> {
    const known = this.of(schema.latest);
    if (this.#makerOf(given, known) === known) return known;
    const inUse = this.of(await schema.look());
    if (this.#makerOf(given, inUse) !== inUse) throw retiredModel(inUse.profile);
    return inUse;
  }

  #makerOf({ vector, named, option }: GivenVector, inUse: Model): Model | undefined {
    if (named === undefined && !this.areSeveral) return inUse;
    if (named === undefined) throw unknownModel(option);
    const models = this.#parts.given.map((given) => this.#make(given, inUse.profile.dimensions));
    const ofName = models.filter(({ profile }) => profile.model === named);
    if (ofName.length === 0) {
      const names = models.map(({ profile }) => JSON.stringify(profile.model)).join(", ");
      throw new InvalidArgumentError("model", `must be a model of the index: ${names}`);
    }
    const fitting = ofName.filter(({ profile }) => profile.dimensions === vector?.length);
    if (fitting.length > 1) throw unknownModel(option);
    return fitting[0] ?? (ofName.includes(inUse) ? inUse : undefined);
  }

  #make(given: GivenModel, dimensions: number): Model {
    const made = this.#made.get(given) ?? new Map<number, Model>();
    this.#made.set(given, made);
    const known = made.get(dimensions);
    if (known) return known;
    const { splitter, notify } = this.#parts;
    const model = makeModel(given, dimensions, { splitter, notify });
    made.set(dimensions, model);
    this.#byProfile.set(model.profile, model);
    return model;
  }
}

/**
 * @param dimensions - those of a model that has none of its own
 * @throws {@link InvalidArgumentError} for a model without a name, or with a window that is too small
 */
export function makeModel(
  { embeddings, profile: given }: GivenModel,
  dimensions: number,
  { splitter, notify }: Omit<ModelsParts, "given">,
): Model {
  const resolved = resolveProfile(embeddings, given, dimensions);
  const profile = { ...resolved.profile }; // an object of its own: an embedder may be given twice
  return {
    embeddings,
    profile,
    embedder: new Embedder(embeddings, { ...resolved, profile }, notify),
    chunker: new Chunker(splitter, profile),
    claim: claimOf(profile),
  };
}

/** Whether a profile is that of a recorded model, apart from dimensions. */
export function isSameModel(left: RecordedModel, right: RecordedModel): boolean {
  return (
    left.model === right.model && left.queryPrefix === right.queryPrefix && left.documentPrefix === right.documentPrefix
  );
}

/** The error of a vector that is given to an index with several models. @param option - the argument */
function unknownModel(option: string): InvalidArgumentError {
  return new InvalidArgumentError(
    option,
    "cannot be a vector alone: the index was opened with several models, and it is not known which of them made it. Use a text, or name the " +
      "model: index.similar(vector, { model }), index.vectorStore.addVectors(vectors, documents, { model })",
  );
}
