import { randomUUID } from "node:crypto";
import type { PlannedChunk } from "../chunking/chunk-plan.js";
import { canonicalStoredMetadata } from "../text.js";

/** A new version of a training, ready to replace the stored one. */
export interface PlannedTraining {
  /** The training id in the form sent to Postgres. */
  key: string;
  ticket: string;
  revision: string | null;
  metadata: string;
  /** Hex digest of everything that determines the chunks. */
  fingerprint: string;
  /** Description of the splitter that made the chunks. */
  splitter: string;
  chunks: readonly PlannedChunk[];
  /** The version stored at preparation time; `null` if there was none, `undefined` if it was not read. */
  stored: StoredVersion | null | undefined;
}

/** The stored chunks of a training, read without a lock. */
export interface StoredVersion {
  /** The ticket of the call that stored them. */
  contentTicket: string;
  chunks: readonly StoredChunk[];
}

/** A stored chunk. */
export interface StoredChunk {
  key: string;
  id: string;
  hash: string;
  /** In the text form that Postgres gives `jsonb`. */
  metadata: string;
  /** The text if it has carriage returns, else `null`: the hash is of the text with line feeds and identifies it. */
  given_content: string | null;
}

/**
 * The stored chunks changed after the preparation read them: texts whose vectors were to be kept are gone. The
 * transaction must be rolled back and the trainings prepared again.
 */
export class StalePreparation extends Error {}

/** Vectors by content hash. */
export type Vectors = ReadonlyMap<string, Float32Array>;

/** A planned chunk with its stored or newly assigned id. */
export interface IdentifiedChunk {
  key: string;
  id: string;
  chunk: PlannedChunk;
}

/** The row changes that turn the stored chunks into the new ones. */
export interface Difference {
  /**
   * Rows to write with the vector of a stored row that has the same text: additional rows, and rows whose line breaks
   * changed. Such a row may overwrite a stored one whose vector another row needs, so all of them are written in a
   * single statement, before further added rows.
   */
  copied: IdentifiedChunk[];
  /** Rows to write with a new vector. */
  added: IdentifiedChunk[];
  /** Stored rows that added ones overwrite: the caller reused a stored chunk's id for another text. */
  replaced: StoredChunk[];
  /** Rows that do not change. */
  kept: IdentifiedChunk[];
  /** Rows of which only the metadata changes. */
  metadataChanged: IdentifiedChunk[];
  removed: StoredChunk[];
  /** The chunk ids of each training, in reading order. */
  ids: Map<PlannedTraining, string[]>;
}

/**
 * Pairs new chunks with stored chunks of the same text. Each stored chunk is used at most once.
 *
 * @throws {@link StalePreparation} for a text that has neither a given nor a stored vector
 */
export function compareChunks(
  trainings: readonly PlannedTraining[],
  stored: readonly StoredChunk[],
  vectors: Vectors,
): Difference {
  const difference: Difference = {
    copied: [],
    added: [],
    replaced: [],
    kept: [],
    metadataChanged: [],
    removed: [],
    ids: new Map(),
  };
  const canonicalTexts = new CanonicalTexts();
  const groups = groupBy(stored, ({ key }) => key);
  for (const training of trainings) {
    const { key } = training;
    const rows = new StoredRows(groups.get(key) ?? [], training.chunks);
    const added = new Set<string>();
    const ids = training.chunks.map((chunk) => {
      const row = rows.claim(chunk);
      const id = row?.id ?? chunk.id ?? randomUUID();
      const identified = { key, id, chunk };
      if (row) {
        const isSame = canonicalTexts.get(row.metadata) === chunk.metadata;
        if (!hasSameLineBreaks(row, chunk)) difference.copied.push(identified);
        else (isSame ? difference.kept : difference.metadataChanged).push(identified);
      } else if (vectors.has(chunk.hash)) {
        difference.added.push(identified);
        added.add(id);
      } else if (rows.had(chunk)) difference.copied.push(identified);
      else throw new StalePreparation();
      return id;
    });
    difference.ids.set(training, ids);
    const written = new Set(ids);
    for (const row of rows.unclaimed()) {
      if (!written.has(row.id)) difference.removed.push(row);
      else if (added.has(row.id)) difference.replaced.push(row);
    }
  }
  return difference;
}

/** For a row and a chunk with the same hash. It does not tell, because it is of the text with line feeds. */
function hasSameLineBreaks({ given_content }: StoredChunk, { content }: PlannedChunk): boolean {
  return given_content === null ? !content.includes("\r") : given_content === content;
}

/** The stored chunks of one training, and which of them no new chunk has claimed yet. */
class StoredRows {
  readonly #unclaimed: Map<string, StoredChunk[]>;
  /** Ids that the caller chose for new chunks. A row with such an id is reserved for that chunk. */
  readonly #chosenIds: Set<string | undefined>;

  constructor(stored: readonly StoredChunk[], planned: readonly PlannedChunk[]) {
    this.#unclaimed = groupBy(stored, ({ hash }) => hash);
    // `claim` then removes rows from the end, which is cheap even if thousands have the same text.
    for (const same of this.#unclaimed.values()) same.reverse();
    this.#chosenIds = new Set(planned.map(({ id }) => id));
  }

  /** Takes an unclaimed row with the chunk's text, and with its id if the caller chose one. */
  claim({ hash, id }: PlannedChunk): StoredChunk | undefined {
    const same = this.#unclaimed.get(hash) ?? [];
    const index = same.findLastIndex((row) => (id === undefined ? !this.#chosenIds.has(row.id) : row.id === id));
    return index < 0 ? undefined : same.splice(index, 1)[0];
  }

  /** Whether a stored row has this text, claimed or not. */
  had({ hash }: PlannedChunk): boolean {
    return this.#unclaimed.has(hash);
  }

  unclaimed(): StoredChunk[] {
    return [...this.#unclaimed.values()].flatMap((same) => same.toReversed());
  }
}

/** Converts Postgres' text of metadata into our canonical text. Cached: many chunks have the same metadata. */
class CanonicalTexts {
  readonly #texts = new Map<string, string>();

  get(text: string): string {
    let canonical = this.#texts.get(text);
    if (canonical === undefined) {
      canonical = canonicalStoredMetadata(JSON.parse(text));
      this.#texts.set(text, canonical);
    }
    return canonical;
  }
}

/** Groups items by key, and keeps their order within each group. */
export function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group) group.push(item);
    else groups.set(keyOf(item), [item]);
  }
  return groups;
}
