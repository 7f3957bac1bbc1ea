/**
 * The PGlite of `pglite.ts` for programs that a test starts, which are short: its WebAssembly is compiled once, and not a second time into
 * faster code. `bundleProgram` puts it into the place of the package.
 */
import { setFlagsFromString } from "node:v8";

setFlagsFromString("--liftoff-only");

export { PGlite } from "./pglite.js";
