import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { randomNumbers } from "../../tooling/seeded-data.js";
import { median } from "../statistics.js";
import { storeNamed } from "./all-stores.js";
import type { Store } from "./store.js";
import { REPLACED, REPLACED_CHUNKS, versionOf, type StoreData } from "./store-data.js";
import type { CrashFigures } from "./store-results.js";

const SEED = 11;
/** The kill comes that many milliseconds after the first replacement began, at most. */
const MAX_WAIT = 3000;
/** Its own text is the nearest, but a search may be approximate. */
const SEARCHED = 10;

/** Kills a process that replaces the training over and over, and looks at what is stored then. */
export async function measureCrashes(
  name: string,
  folder: string,
  data: StoreData,
  { kills, clusters, lastVersion }: { kills: number; clusters: number; lastVersion: number },
): Promise<CrashFigures> {
  const random = randomNumbers(SEED);
  const figures: CrashFigures = {
    kills,
    whole: 0,
    gone: 0,
    mixed: 0,
    broken: 0,
    notFound: 0,
    error: null,
    reopenMilliseconds: NaN,
  };
  const reopened: number[] = [];
  let stored = lastVersion;
  for (let kill = 0; kill < kills; kill++) {
    const first = lastVersion + 1 + kill * 1000;
    stored = (await replaceUntilKilled([name, folder, `${clusters}`, `${first}`], random() * MAX_WAIT)) ?? stored;
    const possible = [stored, Math.max(stored + 1, first)];
    const started = performance.now();
    try {
      const store = await storeNamed(name)(folder);
      if (!store) throw new Error(`${name} is not installed`);
      try {
        await store.search(data.questions(1)[0] ?? [], 10);
        reopened.push(performance.now() - started);
        const found = await lookAt(store, data, possible);
        figures[found.state] += 1;
        if (found.version !== undefined) stored = found.version;
      } finally {
        await store.close();
      }
    } catch (error) {
      figures.broken += 1;
      figures.error = error instanceof Error ? error.message.slice(0, 200) : String(error);
      break; // nothing can be stored in it any more
    }
  }
  return { ...figures, reopenMilliseconds: median(reopened) };
}

interface Look {
  state: "whole" | "gone" | "mixed" | "notFound";
  version?: number;
}

async function lookAt(store: Store, data: StoreData, possible: readonly number[]): Promise<Look> {
  const versions = (await store.textsOf(REPLACED)).map(versionOf);
  const [version] = versions;
  if (version === undefined) return { state: "gone" };
  const isWhole = versions.length === REPLACED_CHUNKS && versions.every((each) => each === version);
  if (!isWhole || !possible.includes(version)) return { state: "mixed", version };
  for (const { vector, text } of data.version(version).filter((_, place) => place % 20 === 0)) {
    if (!(await store.search(vector, SEARCHED)).includes(text)) return { state: "notFound", version };
  }
  return { state: "whole", version };
}

/** The last version that the child has stored; `undefined` for none. */
async function replaceUntilKilled(args: readonly string[], milliseconds: number): Promise<number | undefined> {
  const script = fileURLToPath(new URL("crash-child.ts", import.meta.url));
  // Without a process between this one and the child, which the signal would hit instead.
  const child = spawn(process.execPath, ["--import", "tsx", script, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  let stored: number | undefined;
  const ended = new Promise((resolve) => child.on("close", resolve));
  const ready = new Promise<void>((resolve) => {
    createInterface({ input: child.stdout }).on("line", (line) => {
      if (line === "ready") resolve();
      else stored = Number(line);
    });
    void ended.then(() => {
      resolve();
    });
  });
  await ready;
  await sleep(milliseconds);
  child.kill("SIGKILL");
  await ended;
  return stored;
}
