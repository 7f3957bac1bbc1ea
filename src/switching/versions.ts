import { hashOf } from "../chunking/chunk-plan.js";
import type { NormalizedTraining } from "../chunking/training-input.js";
import { TOO_LONG } from "../embedding/embedder.js";
import { DatabaseError, SchemaError } from "../errors.js";
import type { Model } from "../models/models.js";
import { decodeVector } from "../postgres/codec.js";
import { query, type Queryable } from "../postgres/database.js";
import type { Layout } from "../schema/layout.js";
import { decodeTrainingId } from "../schema/training-id.js";
import { insertStatement } from "../storing/swap-statement.js";
import { canonicalStoredMetadata } from "../text.js";
import type { Training } from "../types.js";
import * as sql from "./build-sql.js";
import {
  copiedVersion,
  cutInTwo,
  isPlain,
  isStoredVersion,
  loadedVersion,
  type BuiltVersion,
  type ReadChunk,
  type ReadTraining,
} from "./built-version.js";
import type { RateLimit } from "./rate-limit.js";
import type { LoadTrainings } from "./switch-options.js";

/** Dependencies of reading and writing the versions of trainings for another profile. */
export interface VersionParts {
  active: Layout;
  building: Layout;
  vectorOid: number;
  model: Model;
  rate: RateLimit;
  source: LoadTrainings | undefined;
  normalize: (training: Training<object>) => NormalizedTraining;
  /** Called with the number of texts after each request to the embedder. */
  onEmbedded: (texts: number) => void;
}

/** Versions of trainings with their new vectors, by hash. */
export interface EmbeddedVersions {
  versions: BuiltVersion[];
  vectors: Map<string, Float32Array>;
}

interface TrainingRow {
  key: string;
  content_ticket: string | null;
  living: string;
  metadata: string | null;
  fingerprint: string | null;
  splitter: string | null;
  chunks: string | null;
  listed: string | null;
  built: string | null;
}

/** How often a training is loaded again that the source has in another version than is stored. */
const INSERT_AT_ONCE = 200;

/** Reads what is stored of trainings, and embeds what the other profile lacks. Outside of any transaction, apart from the last few. */
export async function readVersions(
  parts: VersionParts,
  database: Queryable,
  keys: readonly string[],
  signal: AbortSignal | undefined,
): Promise<EmbeddedVersions> {
  const { active, building, source } = parts;
  const rows = await query<TrainingRow>(database, "build-trainings", sql.readTrainings(active, building), [keys]);
  const stored = rows.map(toTraining);
  const versions = source ? await loadVersions(parts, source, stored) : await copyVersions(parts, database, stored);
  const vectors = new Map<string, Float32Array>();
  for (;;) {
    const missing = new Map<string, string>();
    for (const { chunks, built } of versions) {
      for (const { id, hash, text, vector } of chunks) {
        if (vector) vectors.set(hash, vector);
        else if (built.get(id) !== hash && !vectors.has(hash)) missing.set(hash, text);
      }
    }
    const tooLong = await embed(parts, missing, vectors, signal);
    if (tooLong.size === 0) return { versions, vectors };
    for (const version of versions) {
      const cut = version.chunks.flatMap((chunk) => (tooLong.has(chunk.hash) ? cutInTwo(version.key, chunk) : [chunk]));
      version.chunks = cut.sort((left, right) => left.start - right.start);
    }
  }
}

/** @returns the hashes of texts that are too long for the model */
async function embed(
  { model, rate, onEmbedded }: VersionParts,
  missing: ReadonlyMap<string, string>,
  vectors: Map<string, Float32Array>,
  signal: AbortSignal | undefined,
): Promise<Set<string>> {
  const tooLong = new Set<string>();
  const entries = [...missing];
  const size = Number.isFinite(rate.batch) ? rate.batch : Math.max(entries.length, 1);
  for (let start = 0; start < entries.length; start += size) {
    const batch = entries.slice(start, start + size);
    await rate.take(batch.length, signal);
    const embedded = await model.embedder.embedDocuments(
      batch.map(([, text]) => text),
      { signal, nameOf: () => "a stored chunk" },
    );
    for (const [index, [hash]] of batch.entries()) {
      const vector = embedded[index];
      if (vector === undefined || vector === TOO_LONG) tooLong.add(hash);
      else vectors.set(hash, vector);
    }
    onEmbedded(batch.length);
  }
  return tooLong;
}

function toTraining(row: TrainingRow): ReadTraining {
  const chunks = JSON.parse(row.chunks ?? "[]") as ReadChunk[];
  const built = JSON.parse(row.built ?? "[]") as { id: string; hash: string }[];
  // A training whose rows are damaged gets a fingerprint that no text has, so that its repair is no repeat.
  const isWhole = chunks.length === Number(row.listed ?? -1);
  return {
    key: row.key,
    contentTicket: row.living === "true" ? row.content_ticket : null,
    metadata: row.metadata ?? "{}",
    fingerprint: isWhole ? (row.fingerprint ?? "") : "",
    splitter: row.splitter ?? "",
    chunks,
    built: new Map(built.map(({ id, hash }) => [id, hash])),
  };
}

async function copyVersions(
  { active }: VersionParts,
  database: Queryable,
  stored: readonly ReadTraining[],
): Promise<BuiltVersion[]> {
  const others = stored.flatMap(({ key, chunks }) =>
    chunks.filter((chunk) => !isPlain(chunk)).map((chunk) => ({ key, chunk })),
  );
  const given = new Map<string, Set<string>>();
  if (others.length > 0) {
    const rows = await query<Record<"key" | "id" | "embedding", string>>(
      database,
      "build-trainings",
      sql.readVectors(active),
      [others.map(({ key }) => key), others.map(({ chunk }) => chunk.id)],
    );
    const vectors = new Map(rows.map(({ key, id, embedding }) => [JSON.stringify([key, id]), embedding]));
    for (const { key, chunk } of others) {
      const vector = vectors.get(JSON.stringify([key, chunk.id]));
      // Gone since: then the training is behind again.
      if (vector !== undefined && chunk.hash !== hashOf("", chunk.content, decodeVector(vector)))
        throw needsSource(key);
      given.set(key, (given.get(key) ?? new Set()).add(chunk.id));
    }
  }
  return stored.map((training) => copiedVersion(training, given.get(training.key) ?? new Set()));
}

/** The error of a switch that lacks texts. */
export function needsSource(key?: string): SchemaError {
  const which = key === undefined ? "" : `, such as those of training ${JSON.stringify(key)},`;
  return new SchemaError(
    "SWITCH_REFUSED",
    `Chunks${which} were embedded with a header, which is not stored: pass source: (ids) => trainings, which loads the trainings`,
  );
}

/** Trainings that the source has in another version than is stored are left out: they are tried again later. */
async function loadVersions(
  { model, building, normalize }: VersionParts,
  source: LoadTrainings,
  stored: readonly ReadTraining[],
): Promise<BuiltVersion[]> {
  const living = stored.filter(({ contentTicket }) => contentTicket !== null);
  const versions = stored
    .filter(({ contentTicket }) => contentTicket === null)
    .map((training) => copiedVersion(training, new Set()));
  if (living.length === 0) return versions;
  const loaded = new Map<string, NormalizedTraining>();
  for await (const training of await source(living.map(({ key }) => decodeTrainingId(key, building.idType)))) {
    const normalized = normalize(training);
    loaded.set(normalized.key, normalized);
  }
  for (const training of living) {
    const given = loaded.get(training.key);
    const metadata = canonicalStoredMetadata(JSON.parse(training.metadata));
    if (given && isStoredVersion(training, given, metadata)) versions.push(await loadedVersion(training, given, model));
  }
  return versions;
}

/** The error of a source that does not have the stored version of a training. */
export function otherVersion(key: string): DatabaseError {
  return new DatabaseError(
    `The source does not have the stored version of training ${JSON.stringify(key)}: bring the index up to date with reconcile, and call ` +
      "switchModel again, which continues",
    { code: "CONFLICT", retryable: true },
  );
}

/**
 * Writes versions to the tables of the profile, in the transaction that `client` is in.
 *
 * @param claim - with which the trainings were claimed. Those that another builder has claimed since are left to it: it may have built them
 * @returns the ids that were built, or whose training is deleted. Others were written again meanwhile
 */
export async function writeVersions(
  { building, vectorOid }: VersionParts,
  client: Queryable,
  { versions, vectors }: EmbeddedVersions,
  claim?: string,
): Promise<Set<string>> {
  const run = <Row>(text: string, values: unknown[]): Promise<Row[]> =>
    query<Row>(client, "build-trainings", text, values);
  const rows = await run<{ key: string }>(sql.lockBuilt(building), [
    versions.map(({ key }) => key),
    versions.map(({ contentTicket }) => contentTicket),
  ]);
  // Only now that the trainings are locked can no other builder write them.
  const held =
    claim === undefined
      ? rows
      : await run<{ key: string }>(sql.stillClaimed(building), [rows.map(({ key }) => key), claim]);
  const locked = new Set(held.map(({ key }) => key));
  const admitted = versions.filter(({ key, contentTicket }) => locked.has(key) && contentTicket !== null);
  const deleted = versions.filter(({ key, contentTicket }) => locked.has(key) && contentTicket === null);
  const chunks = admitted.flatMap(({ key, built, chunks: all }) =>
    all.map((chunk) => ({ key, id: chunk.id, chunk, built })),
  );
  if (admitted.length > 0) {
    const ids = [chunks.map(({ key }) => key), chunks.map(({ id }) => id)];
    if (admitted.some(({ built }) => built.size > 0)) {
      await run(sql.deleteOthers(building), [...ids, admitted.map(({ key }) => key)]);
    }
    const isKept = ({ built, id, chunk }: (typeof chunks)[number]): boolean => built.get(id) === chunk.hash;
    const added = chunks.filter((chunk) => !isKept(chunk));
    const kept = chunks.filter(isKept);
    const replaced = added.filter(({ built, id }) => built.has(id));
    for (let start = 0; start < added.length; start += INSERT_AT_ONCE) {
      const batch = added.slice(start, start + INSERT_AT_ONCE);
      const overwrites = replaced.map(({ key, id }) => ({ key, id, hash: "", metadata: "", given_content: null }));
      const target = { layout: building, vectorOid };
      const { text, values } = insertStatement(target, batch, { difference: { replaced: overwrites } }, vectors);
      await run(text, values);
    }
    if (kept.length > 0) {
      const columns = sql.textArrays(
        kept.map(({ key }) => key),
        kept.map(({ id }) => id),
        kept.map(({ chunk }) => chunk.content),
        kept.map(({ chunk }) => chunk.metadata),
      );
      await run(sql.updateKept(building), columns);
    }
    await run(sql.recordPlaces(building), [
      admitted.map(({ key }) => key),
      admitted.map(({ fingerprint }) => `\\x${fingerprint}`),
      admitted.map(({ splitter }) => splitter),
      admitted.map((version) => arrayLiteral(version.chunks.map(({ id }) => id))),
      admitted.map((version) => arrayLiteral(version.chunks.map(({ start }) => start.toString()))),
      admitted.map((version) => arrayLiteral(version.chunks.map(({ end }) => end.toString()))),
    ]);
  }
  const removed = deleted.map(({ key }) => key);
  if (removed.length > 0) for (const text of sql.deleteBuilt(building)) await run(text, [removed]);
  const done = [...admitted, ...deleted].map(({ key }) => key);
  await run(sql.deleteBehind(building), [done]);
  return new Set([...done, ...(await forgetGone(building, run, versions, locked))]);
}

/** Deletes the records of trainings that have no row any more. */
async function forgetGone(
  building: Layout,
  run: <Row>(text: string, values: unknown[]) => Promise<Row[]>,
  versions: readonly BuiltVersion[],
  locked: ReadonlySet<string>,
): Promise<string[]> {
  const gone = versions
    .filter(({ key, contentTicket }) => contentTicket === null && !locked.has(key))
    .map(({ key }) => key);
  if (gone.length === 0) return [];
  const found = await run<{ key: string }>(sql.lockGone(building), [gone]);
  const deleted = await run<{ key: string }>(sql.deleteGone(building), [found.map(({ key }) => key)]);
  return deleted.map(({ key }) => key);
}

/** Arrays of different lengths cannot form one multidimensional array, so each is sent as a text literal. */
function arrayLiteral(elements: readonly string[]): string {
  return `{${elements.map((element) => `"${element.replace(/["\\]/g, "\\$&")}"`).join(",")}}`;
}
