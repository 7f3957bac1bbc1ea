import { hnswlibStore } from "./hnswlib.js";
import { lanceStore } from "./lancedb.js";
import { libraryStore } from "./library-store.js";
import { sqliteVecStore } from "./sqlite-vec.js";
import type { OpenStore } from "./store.js";

/** The stores by the names that the command line takes. */
export const STORES: Readonly<Record<string, OpenStore>> = {
  library: libraryStore,
  lancedb: lanceStore({ hasIndex: true, replacement: "mergeInsert" }),
  "lancedb-flat": lanceStore({ hasIndex: false, replacement: "delete and add" }),
  "sqlite-vec": sqliteVecStore,
  hnswlib: hnswlibStore,
};

/** The store with this name. */
export function storeNamed(name: string): OpenStore {
  const open = STORES[name];
  if (!open) throw new Error(`Stores are ${Object.keys(STORES).join(", ")}, not ${name}`);
  return open;
}
