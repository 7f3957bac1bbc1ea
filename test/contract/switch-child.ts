/**
 * A process of `switch-load.int.test.ts`:
 *
 *   switch-child.js read old|both|new SCHEMA | write SCHEMA TRAININGS | switch SCHEMA
 *
 * Readers and writers work until their input ends, and then print a line of JSON.
 */
import { setTimeout as pause } from "node:timers/promises";
import { TrainingIndex, TrainingIndexError, type SearchMode } from "langchain-training-index";
import pg from "pg";
import { contentOf, newModel, oldModel, questionOf, similarityOf } from "./switch-load-model.js";

const [role, ...given] = process.argv.slice(2);
const pool = new pg.Pool({ connectionString: process.env["DATABASE_URL"], max: 4 });
let stops = false;
process.stdin.resume();
process.stdin.on("end", () => (stops = true));
process.stdin.on("error", () => (stops = true));

const models = { old: [oldModel()], both: [oldModel(), newModel()], new: [newModel()] };
const codeOf = (error: unknown): string => (TrainingIndexError.is(error) ? error.code : String(error));
const open = (kind: keyof typeof models, schema: string): Promise<TrainingIndex> =>
  TrainingIndex.initialize(models[kind], { pool, schema });

/** Searches in every mode, and checks that each search compares vectors of one model. */
async function read(kind: keyof typeof models, schema: string): Promise<object> {
  const failures: Record<string, number> = {};
  const found = { searches: 0, old: 0, new: 0, mixed: 0, empty: 0 };
  let index: TrainingIndex | undefined;
  for (let turn = 0; !stops; turn++) {
    try {
      index ??= await open(kind, schema);
      const question = questionOf(turn);
      const mode = (["vector", "hybrid", "text"] as SearchMode[])[turn % 3] ?? "vector";
      const hits = await index.similar(question, { k: 5, mode });
      found.searches += 1;
      if (hits.length === 0) found.empty += 1;
      const compared = hits.flatMap((hit) =>
        "similarity" in hit && hit.similarity !== undefined
          ? [{ content: hit.content, similarity: hit.similarity }]
          : [],
      );
      const fits = (model: "old" | "new", seen: typeof compared): boolean =>
        seen.every(({ content, similarity }) => Math.abs(similarity - similarityOf(model, question, content)) < 1e-4);
      if (compared.length === 0) continue;
      if (fits("old", compared)) found.old += 1;
      else if (fits("new", compared)) found.new += 1;
      else found.mixed += 1;
    } catch (error) {
      const code = codeOf(error);
      failures[code] = (failures[code] ?? 0) + 1;
      await pause(20);
    }
    await pause(15);
  }
  return { kind, ...found, failures };
}

/** Two writers, one with revisions and deletes. Prints the last version of each training. */
async function write(schema: string, trainings: number): Promise<object> {
  const index = await open("both", schema);
  const last: Record<string, number | null> = {};
  const failures: Record<string, number> = {};
  let longestMs = 0;
  let writes = 0;
  const writer = async (first: number, hasRevisions: boolean): Promise<void> => {
    for (let version = 1; !stops; version++) {
      const place = (first + 2 * ((version * 7) % Math.floor(trainings / 2))) % trainings;
      const id = `t${place}`;
      const revision = hasRevisions ? version : undefined;
      const isDelete = hasRevisions && version % 5 === 0;
      const began = performance.now();
      try {
        if (isDelete) await index.deleteTraining(id, { revision });
        else await index.upsertTraining({ id, content: contentOf(place, version), metadata: { version }, revision });
        last[id] = isDelete ? null : version;
        writes += 1;
      } catch (error) {
        const code = codeOf(error);
        failures[code] = (failures[code] ?? 0) + 1;
      }
      longestMs = Math.max(longestMs, performance.now() - began);
      await pause(10);
    }
  };
  await Promise.all([writer(0, false), writer(1, true)]);
  return { last, writes, failures, longestMs: Math.round(longestMs) };
}

async function switchModel(schema: string): Promise<object> {
  const index = await open("both", schema);
  const slow = newModel();
  const embed = slow.embedDocuments.bind(slow);
  slow.embedDocuments = async (texts) => {
    await pause(15);
    return embed(texts);
  };
  const { flip, report, texts } = await index.switchModel(slow, { sample: 3, concurrency: 2 });
  return { flip, report, texts };
}

let result: object;
if (role === "read") result = await read(given[0] as keyof typeof models, given[1] ?? "");
else if (role === "write") result = await write(given[0] ?? "", Number(given[1]));
else result = await switchModel(given[0] ?? "");
console.log(JSON.stringify(result));
await pool.end();
process.exit(0);
