import type { DatabasePool } from "../calls/host-database.js";
import { SchemaError } from "../errors.js";
import type { IdType, TrainingIndex } from "../index.js";

/** An index that the console has opened. */
export interface Opened {
  index: TrainingIndex;
  /** The index's own. */
  pool: DatabasePool;
  schema: string;
  idType: IdType;
}

/**
 * The index of the console. It is opened by the first request that needs it, and again after a failure: a console that starts
 * before its database, or beside a migration, works as soon as they do.
 */
export class OpenIndex {
  readonly #open: () => Promise<Opened>;
  #opened: Promise<Opened> | undefined;

  constructor(open: () => Promise<Opened>) {
    this.#open = open;
  }

  /** Runs work with the index. If the schema turns out to be another one, the next call opens the index again. */
  async with<T>(work: (opened: Opened) => Promise<T>): Promise<T> {
    const opening = (this.#opened ??= this.#open());
    let isOpen = false;
    try {
      const opened = await opening;
      isOpen = true;
      return await work(opened);
    } catch (error) {
      const isOutdated = !isOpen || SchemaError.is(error);
      if (isOutdated && this.#opened === opening) this.#opened = undefined;
      throw error;
    }
  }
}
