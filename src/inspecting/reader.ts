import { withTimeLimit } from "../calls/time-limit.js";
import { mapInTurns } from "../calls/turns.js";
import { throwIfAborted } from "../errors.js";
import type { Condition } from "../filtering/condition.js";
import { searchCondition } from "../filtering/filter.js";
import type { NamedStatements } from "../postgres/named-statements.js";
import type { KnownSchema } from "../schema/known-schema.js";
import { encodeTrainingId } from "../schema/training-id.js";
import { readCurrent, type ReadCall } from "../searching/current-statements.js";
import { toPassage, type PassageRow } from "../searching/hits.js";
import type { Standby } from "../standby/standby.js";
import type { TrainingId } from "../types.js";
import type { ChunkPassage } from "../hit-types.js";
import {
  checkCount,
  checkList,
  checkRead,
  type CountOptions,
  type ListOptions,
  type StoredReadOptions,
} from "./read-options.js";
import * as sql from "./stored-sql.js";
import { toStoredTraining, type StoredCount, type StoredTraining, type StoredTrainingRow } from "./stored-training.js";

/** Trainings of one page of a list: enough that round trips do not matter, and few enough for a small heap. */
const PAGE_SIZE = 500;

/** Dependencies of a {@link Reader}. */
export interface ReaderParts {
  statements: NamedStatements;
  knownSchema: KnownSchema;
  /** Answers reads without a client of the host's. */
  standby: Standby | undefined;
  /** The index's own filter, compiled; `undefined` without one. */
  filter: Condition | undefined;
}

/** Reads what is stored, by id. Tombstones are never returned. */
export class Reader {
  readonly #parts: ReaderParts;

  constructor(parts: ReaderParts) {
    this.#parts = parts;
  }

  /** The training with this id; `undefined` if there is none that matches the filter. */
  async get(id: TrainingId, options: StoredReadOptions): Promise<StoredTraining | undefined> {
    const call = checkRead(options, "get");
    this.#encode(id, "id");
    const { filter } = this.#parts;
    return withTimeLimit(options, (signal) =>
      readCurrent(this.#parts, { ...call, signal }, async (statements, { layout }) => {
        const [row] = await statements.query<StoredTrainingRow>(
          "get-training",
          sql.storedTraining(layout, filter?.text),
          [encodeTrainingId(id, layout.idType, "id"), ...(filter?.values ?? [])],
          { keepsPlan: true },
        );
        return row && toStoredTraining(row, layout);
      }),
    );
  }

  /** All trainings that match, in the order of their ids. Checks the arguments at the call, and reads when it is iterated. */
  list(options: ListOptions): AsyncIterable<StoredTraining> {
    const call = checkList(options);
    if (options.after !== undefined) this.#encode(options.after, "after");
    const condition = searchCondition(this.#parts.filter, options.filter);
    return { [Symbol.asyncIterator]: () => this.#trainings(condition, options, call) };
  }

  async *#trainings(
    condition: Condition | undefined,
    options: ListOptions,
    call: ReadCall,
  ): AsyncGenerator<StoredTraining, void> {
    const { limit = Infinity, signal } = options;
    let { after } = options;
    let listed = 0;
    while (listed < limit) {
      const size = Math.min(limit - listed, PAGE_SIZE);
      const page = await this.#page(condition, { after, size }, options, call);
      for (const training of page) {
        throwIfAborted(signal);
        yield training;
      }
      if (page.length < size) return;
      listed += page.length;
      after = page.at(-1)?.id;
    }
  }

  async #page(
    condition: Condition | undefined,
    { after, size }: { after: TrainingId | undefined; size: number },
    options: ListOptions,
    call: ReadCall,
  ): Promise<StoredTraining[]> {
    const isFirst = after === undefined;
    return withTimeLimit(options, (signal) =>
      readCurrent(this.#parts, { ...call, signal }, async (statements, { layout }) => {
        const key = isFirst ? [] : [encodeTrainingId(after, layout.idType, "after")];
        const rows = await statements.query<StoredTrainingRow>(
          "list-trainings",
          sql.pageOfTrainings(layout, condition?.text, { size, isFirst }),
          [...key, ...(condition?.values ?? [])],
          { keepsPlan: false },
        );
        return mapInTurns(rows, (row) => toStoredTraining(row, layout));
      }),
    );
  }

  /** How many trainings and chunks match, in one snapshot. */
  async count(options: CountOptions): Promise<StoredCount> {
    const call = checkCount(options);
    const condition = searchCondition(this.#parts.filter, options.filter);
    return withTimeLimit(options, (signal) =>
      readCurrent(this.#parts, { ...call, signal }, async (statements, { layout }) => {
        const [row] = await statements.query<Record<keyof StoredCount, string>>(
          "count-trainings",
          sql.storedCounts(layout, condition?.text),
          [...(condition?.values ?? [])],
          { keepsPlan: false },
        );
        return { trainings: Number(row?.trainings ?? 0), chunks: Number(row?.chunks ?? 0) };
      }),
    );
  }

  /** The chunks of a training that match the filter, in reading order. */
  async chunks(id: TrainingId, options: StoredReadOptions): Promise<ChunkPassage[]> {
    const call = checkRead(options, "chunks");
    this.#encode(id, "id");
    const { filter } = this.#parts;
    return withTimeLimit(options, (signal) =>
      readCurrent(this.#parts, { ...call, signal }, async (statements, { layout }) => {
        const rows = await statements.query<PassageRow>(
          "read-passages",
          sql.storedChunks(layout, filter?.text),
          [encodeTrainingId(id, layout.idType, "id"), ...(filter?.values ?? [])],
          { keepsPlan: true },
        );
        return mapInTurns(rows, (row) => toPassage(row, layout));
      }),
    );
  }

  /** Checks an id before anything is read. It is encoded again with the layout of each statement, which may be newer. */
  #encode(id: TrainingId, option: string): void {
    encodeTrainingId(id, this.#parts.knownSchema.layout.idType, option);
  }
}
