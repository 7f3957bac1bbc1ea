import type { ExportHeader } from "./export-format.js";
import { parseHeader } from "./export-reader.js";
import { linesOf } from "./lines.js";

/** An export whose header is known. */
export interface PeekedExport {
  header: ExportHeader;
  /** All of the export, its header included. */
  source: AsyncGenerator<string | Uint8Array, void, undefined>;
}

/**
 * Reads the header of an export, before it is known which index it is for.
 *
 * @throws {@link InvalidArgumentError}
 */
export async function peekHeader(source: AsyncIterable<string | Uint8Array>): Promise<PeekedExport> {
  const iterator = source[Symbol.asyncIterator]();
  const parts: (string | Uint8Array)[] = [];
  const reading = async function* (): AsyncGenerator<string | Uint8Array, void, undefined> {
    for (;;) {
      const next = await iterator.next();
      if (next.done === true) return;
      parts.push(next.value);
      yield next.value;
    }
  };
  try {
    const first = await linesOf(reading()).next();
    return { header: parseHeader(first), source: remaining(parts, iterator) };
  } catch (error) {
    await iterator.return?.();
    throw error;
  }
}

async function* remaining(
  parts: (string | Uint8Array)[],
  iterator: AsyncIterator<string | Uint8Array>,
): AsyncGenerator<string | Uint8Array, void, undefined> {
  try {
    yield* parts.splice(0);
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) yield next.value;
  } finally {
    await iterator.return?.();
  }
}
