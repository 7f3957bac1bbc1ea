/** Replaces the training over and over, until it is killed: `crash-child STORE FOLDER CLUSTERS FIRST-VERSION`. Prints each version that is stored. */
import { storeNamed } from "./all-stores.js";
import { REPLACED, StoreData } from "./store-data.js";

const [name = "", folder = "", clusters = "", first = ""] = process.argv.slice(2);
const store = await storeNamed(name)(folder);
if (!store) throw new Error(`${name} is not installed`);
const data = new StoreData(Number(clusters));
console.log("ready");
for (let version = Number(first); ; version++) {
  const chunks = data.version(version);
  await store.replace(REPLACED, chunks);
  console.log(version);
}
