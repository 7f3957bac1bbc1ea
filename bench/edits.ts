import type { KnownVectors } from "./contenders/known-vectors.js";
import { LibraryEditor, PgVectorStoreEditor, TRAINING_ID, type Editor } from "./contenders/editors.js";
import { splitter } from "./contenders/splitter.js";
import type { Loaded } from "./loads.js";
import type { Change, EditFigure } from "./results.js";
import type { BenchServer } from "./server.js";
import { median, timed } from "./statistics.js";
import { randomNumbers, text } from "../tooling/seeded-data.js";

const CHUNKS = 200;
const PARAGRAPH_CHARACTERS = 450; // two of them fill a chunk
const PARAGRAPH_BREAK = "\n\n";
/** Not timed: code that has not run before is slow. */
const WARM_UP_ROUNDS = 10;
const ROUNDS = 15;
const DELETES = 5;
const SEED = 5;

/**
 * Changes one paragraph of a training of 200 chunks, repeats the upsert unchanged, and deletes the training, among all loaded
 * chunks and with the vector index in place. All use the same splitter and the same embedder, which takes at most a
 * millisecond per text: far less than any model, with which saved embeddings would count for more.
 */
export async function measureEdits(
  server: BenchServer,
  { library, pgVectorStore }: Loaded,
  embeddings: KnownVectors,
): Promise<EditFigure[]> {
  const random = randomNumbers(SEED);
  const paragraphs = await paragraphsOf(CHUNKS, random);
  const content = (): string => paragraphs.join(PARAGRAPH_BREAK);
  const ours = await LibraryEditor.open(server, library);
  const theirs = pgVectorStore && (await PgVectorStoreEditor.open(server, pgVectorStore, embeddings));
  const editors: Editor[] = [ours, ...(theirs ? [theirs] : [])];
  for (const editor of editors) await editor.put(content());

  const measured: EditFigure[] = [];
  const measure = (change: Change, editor: Editor, work: () => Promise<number>): Promise<EditFigure> =>
    measureChange(server, change, editor, work);
  for (let round = 0; round < WARM_UP_ROUNDS + ROUNDS; round++) {
    if (round === WARM_UP_ROUNDS) measured.length = 0;
    paragraphs[Math.floor(random() * paragraphs.length)] = text(random, PARAGRAPH_CHARACTERS);
    const put = (editor: Editor): Promise<number> => editor.put(content());
    for (const editor of editors) measured.push(await measure("one paragraph edited", editor, () => put(editor)));
    measured.push(await measure("repeated unchanged", ours, () => put(ours))); // the others would store it again
  }
  for (let round = 0; round < DELETES; round++) {
    for (const editor of editors) {
      measured.push(await measure("deleted", editor, () => editor.remove()));
      if (round < DELETES - 1) await editor.put(content());
    }
  }
  return medians(measured);
}

/** Seeded paragraphs that the splitter splits into this many chunks. */
async function paragraphsOf(chunks: number, random: () => number): Promise<string[]> {
  const paragraphs: string[] = [];
  for (let made = 0; made < chunks;) {
    paragraphs.push(text(random, PARAGRAPH_CHARACTERS));
    made = (await splitter.splitText(paragraphs.join(PARAGRAPH_BREAK))).length;
  }
  return paragraphs;
}

async function measureChange(
  server: BenchServer,
  change: Change,
  editor: Editor,
  work: () => Promise<number>,
): Promise<EditFigure> {
  const before = await readRows(server, editor);
  editor.roundTrips.made = 0;
  let embeddedTexts = 0;
  const milliseconds = await timed(async () => {
    embeddedTexts = await work();
  });
  const roundTrips = editor.roundTrips.made;
  const after = await readRows(server, editor);
  const written = [...after].filter((row) => !before.has(row)).length;
  const gone = [...before].filter((row) => !after.has(row)).length;
  const rowsTouched = Math.max(written, gone);
  return { change, contender: editor.name, milliseconds, embeddedTexts, roundTrips, rowsTouched };
}

/** The versions of the training's rows: `xmin` is the transaction that wrote the row. */
async function readRows(server: BenchServer, { chunkTable }: Editor): Promise<Set<string>> {
  const { rows } = await server.pool.query<{ version: string }>(
    `SELECT id::text || ' ' || xmin::text AS version FROM ${chunkTable} WHERE metadata->>'treinamento' = $1`,
    [TRAINING_ID],
  );
  return new Set(rows.map(({ version }) => version));
}

/** Medians of time and counts per change and contender. Counts vary too: edits at the edge of a chunk touch one more row. */
function medians(measured: readonly EditFigure[]): EditFigure[] {
  const groups = new Map<string, EditFigure[]>();
  for (const figure of measured) {
    const key = `${figure.change} ${figure.contender}`;
    groups.set(key, [...(groups.get(key) ?? []), figure]);
  }
  return [...groups.values()].flatMap((figures) => {
    const [first] = figures;
    const medianOf = (field: "milliseconds" | "embeddedTexts" | "roundTrips" | "rowsTouched"): number =>
      median(figures.map((figure) => figure[field]));
    return first
      ? [
          {
            change: first.change,
            contender: first.contender,
            milliseconds: medianOf("milliseconds"),
            embeddedTexts: medianOf("embeddedTexts"),
            roundTrips: medianOf("roundTrips"),
            rowsTouched: medianOf("rowsTouched"),
          },
        ]
      : [];
  });
}
