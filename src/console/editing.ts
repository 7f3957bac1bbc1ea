import { isDeepStrictEqual } from "node:util";
import type { Queryable } from "../calls/host-database.js";
import { DatabaseError } from "../errors.js";
import type { DeleteResult, Metadata, StoredTraining, Training, TrainingId, UpsertResult } from "../index.js";
import type { Opened } from "./open-index.js";
import { inSnapshotTransaction } from "./snapshot-transaction.js";
import { Refusal, type RefusalCode } from "./refusal.js";
import { storedText, type PlacedText } from "./stored-text.js";
import { readVersion } from "./stored-version.js";

/** A training as the page shows it. */
export interface ShownTraining extends StoredTraining {
  text: string;
  passages: PlacedText[];
  /** Of what is shown, for a save or a delete. */
  version: string;
  /** Why the text cannot be edited; `undefined` if it can. */
  locked: Extract<RefusalCode, "DAMAGED_TRAINING" | "IN_PARTS"> | undefined;
}

/** What a person stores. */
export interface Edit {
  id: TrainingId;
  text: string;
  metadata: Metadata;
  /** The version that the person has seen; `undefined` for a new training. */
  version: string | undefined;
}

/** How often an edit is made again if another write has interfered. Each time the version is compared first. */
const ATTEMPTS = 3;
/** @returns the training with its text, all of one version @throws {@link Refusal} `GONE` */
export async function readTraining(opened: Opened, id: TrainingId, signal: AbortSignal): Promise<ShownTraining> {
  return inSnapshotTransaction(opened.pool, signal, async (client) => {
    const stored = await readVersion(client, opened, id);
    const training = await opened.index.get(id, { client, signal });
    if (!stored || !training) throw new Refusal("GONE");
    const chunks = await opened.index.chunks(id, { client, signal });
    const passages = chunks.map(({ content, start, end }) => ({ content, start, end }));
    const isDamaged = stored.chunks !== undefined && stored.chunks !== chunks.length;
    const isInParts = chunks.some(({ metadata }) => !isDeepStrictEqual(metadata, training.metadata));
    const locked = isDamaged ? "DAMAGED_TRAINING" : isInParts ? "IN_PARTS" : undefined;
    return { ...training, text: storedText(passages), passages, version: stored.version, locked };
  });
}

/**
 * Stores an edit, if the stored version is still the one that the person has seen.
 *
 * @throws {@link Refusal} `ID_TAKEN` for a new training whose id is stored, `GONE`, `CHANGED`, `HOST_ROW_MISSING`,
 * `DAMAGED_TRAINING`, `IN_PARTS`; nothing is stored then
 */
export async function storeTraining(opened: Opened, edit: Edit, signal: AbortSignal): Promise<UpsertResult> {
  const { id, text, metadata, version } = edit;
  if (version !== undefined) {
    const { locked } = await readTraining(opened, id, signal);
    if (locked) throw new Refusal(locked);
  }
  const training: Training = { id, content: text, metadata };
  return attempt(async () => {
    const prepared = await opened.index.prepareTraining(training, { signal });
    return write(opened, edit, signal, async (client) => {
      const result = await prepared.commit(client);
      if (result.status === "superseded") {
        throw new Refusal(result.reason === "hostRowMissing" ? "HOST_ROW_MISSING" : "CHANGED");
      }
      return result;
    });
  });
}

/**
 * Deletes a training, if the stored version is still the one that the person has seen.
 *
 * @throws {@link Refusal} `GONE` | `CHANGED`
 */
export async function removeTraining(
  opened: Opened,
  seen: Pick<Edit, "id" | "version">,
  signal: AbortSignal,
): Promise<DeleteResult> {
  return attempt(() =>
    write(opened, seen, signal, async (client) => {
      const result = await opened.index.deleteTraining(seen.id, { client });
      if (result.status !== "deleted") throw new Refusal("CHANGED");
      return result;
    }),
  );
}

/**
 * Writes, if the stored version is the one that the person has seen. It is compared in the snapshot of the transaction that writes, and
 * Postgres refuses to write a row that has changed since: no version that was not seen is ever replaced.
 */
function write<Result>(
  opened: Opened,
  { id, version }: Pick<Edit, "id" | "version">,
  signal: AbortSignal,
  work: (client: Queryable) => Promise<Result>,
): Promise<Result> {
  return inSnapshotTransaction(opened.pool, signal, async (client) => {
    const stored = await readVersion(client, opened, id);
    if (version === undefined && stored) throw new Refusal("ID_TAKEN");
    if (version !== undefined && !stored) throw new Refusal("GONE");
    if (stored && stored.version !== version) throw new Refusal("CHANGED");
    return work(client);
  });
}

/** Does it again if another write has interfered: the comparison then says whether it was one to this training. */
async function attempt<Result>(work: () => Promise<Result>): Promise<Result> {
  for (let made = 1; ; made += 1) {
    try {
      return await work();
    } catch (error) {
      if (made === ATTEMPTS || !DatabaseError.is(error) || error.code !== "CONFLICT") throw error;
    }
  }
}
