import { randomUUID } from "node:crypto";
import type { PlannedChunk } from "../chunking/chunk-plan.js";
import { canonicalMetadata } from "../text.js";

/** A version of a training that is ready to take the place of the stored one. */
export interface PlannedTraining {
  /** The id as Postgres takes it. */
  key: string;
  ticket: string;
  revision: string | null;
  metadata: string;
  /** Hex digest of all that decides the chunks. */
  fingerprint: string;
  /** Describes what made the chunks. */
  splitter: string;
  chunks: readonly PlannedChunk[];
  /** What stood when the new version was prepared; `null` for nothing, `undefined` when it was not looked at. */
  stored: StoredVersion | null | undefined;
}

/** The stored chunks of a training, as they were read without a lock. */
export interface StoredVersion {
  /** The ticket of the call that stored them. */
  contentTicket: string;
  chunks: readonly StoredChunk[];
}

/** A chunk as it stands. */
export interface StoredChunk {
  key: string;
  id: string;
  hash: string;
  /** As Postgres writes `jsonb`. */
  metadata: string;
  /** The text, where it has carriage returns; else `null`, as the hash says what it is. */
  given_content: string | null;
}

/**
 * The stored chunks are not what the preparation saw: texts that were to keep their vectors are gone, or a
 * version that was the same has been replaced. The transaction is to be rolled back, and prepared again.
 */
export class StalePreparation extends Error {}

/** Vectors by content hash. */
export type Vectors = ReadonlyMap<string, Float32Array>;

/** A chunk with the id that it has or gets. */
export interface IdentifiedChunk {
  key: string;
  id: string;
  chunk: PlannedChunk;
}

/** What to do, so that the new chunks stand in the place of the old ones. */
export interface Difference {
  /**
   * Rows to write with the vector of a stored row of the same text: further ones, and those whose line breaks have
   * changed. A row to write may take the place of a stored one: so all of these are written in one statement, before
   * the added ones.
   */
  copied: IdentifiedChunk[];
  /** Rows to write with a vector of their own. */
  added: IdentifiedChunk[];
  /** Rows that make way for added ones: the caller chose the id of a stored row for another text. */
  replaced: StoredChunk[];
  /** Rows that stay as they are. */
  kept: IdentifiedChunk[];
  /** Rows that stay, with other metadata. */
  described: IdentifiedChunk[];
  removed: StoredChunk[];
  /** The chunk ids of each training, in reading order. */
  ids: Map<PlannedTraining, string[]>;
}

/**
 * Pairs new chunks with stored ones of the same text; each stored one at most once.
 *
 * @throws {@link StalePreparation} for a text that has a vector neither among the given nor among the stored
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
    described: [],
    removed: [],
    ids: new Map(),
  };
  const writtenByPostgres = new CanonicalTexts();
  const groups = groupBy(stored, ({ key }) => key);
  for (const training of trainings) {
    const { key } = training;
    const rows = new StoredRows(groups.get(key) ?? [], training.chunks);
    const added = new Set<string>();
    const ids = training.chunks.map((chunk) => {
      const row = rows.claim(chunk);
      const id = row?.id ?? chunk.id ?? randomUUID();
      const placed = { key, id, chunk };
      if (row) {
        const isSame = writtenByPostgres.get(row.metadata) === chunk.metadata;
        if (!hasSameLineBreaks(row, chunk)) difference.copied.push(placed);
        else (isSame ? difference.kept : difference.described).push(placed);
      } else if (vectors.has(chunk.hash)) {
        difference.added.push(placed);
        added.add(id);
      } else if (rows.had(chunk)) difference.copied.push(placed);
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

/** Of a row with the chunk's hash, which is that of the text with line feeds. */
function hasSameLineBreaks({ given_content }: StoredChunk, { content }: PlannedChunk): boolean {
  return given_content === null ? !content.includes("\r") : given_content === content;
}

/** The stored chunks of one training, and which of them no new chunk has claimed yet. */
class StoredRows {
  readonly #unclaimed: Map<string, StoredChunk[]>;
  /** Ids that new chunks bring along: a row that has one is kept for the chunk that asks for it. */
  readonly #chosenIds: Set<string | undefined>;

  constructor(stored: readonly StoredChunk[], planned: readonly PlannedChunk[]) {
    this.#unclaimed = groupBy(stored, ({ hash }) => hash);
    // Taken from their ends, which costs nothing however many have the same text.
    for (const same of this.#unclaimed.values()) same.reverse();
    this.#chosenIds = new Set(planned.map(({ id }) => id));
  }

  /** Takes a row with the chunk's text, and with its id where the caller chose one. */
  claim({ hash, id }: PlannedChunk): StoredChunk | undefined {
    const same = this.#unclaimed.get(hash) ?? [];
    const index = same.findLastIndex((row) =>
      id === undefined ? !this.#chosenIds.has(row.id) : row.id === id,
    );
    return index < 0 ? undefined : same.splice(index, 1)[0];
  }

  /** Whether the text stood here, claimed by now or not. */
  had({ hash }: PlannedChunk): boolean {
    return this.#unclaimed.has(hash);
  }

  unclaimed(): StoredChunk[] {
    return [...this.#unclaimed.values()].flatMap((same) => same.toReversed());
  }
}

/** Metadata in the form of planned chunks, by the text that Postgres makes of it; many chunks have the same. */
class CanonicalTexts {
  readonly #texts = new Map<string, string>();

  get(text: string): string {
    let canonical = this.#texts.get(text);
    if (canonical === undefined) {
      canonical = canonicalMetadata(JSON.parse(text), "metadata");
      this.#texts.set(text, canonical);
    }
    return canonical;
  }
}

/** The items under their keys, each group in the order of the items. */
export function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group) group.push(item);
    else groups.set(keyOf(item), [item]);
  }
  return groups;
}
