/**
 * Measures how well each search mode finds the right passage, on real questions, and compares models, splitters and headers.
 *
 *   npm run eval -- SET [options]
 *
 * Without SET it says what a question set is, where to get one, and what the options are. Each doc becomes a training, split
 * as the library splits by default; a hit is a chunk that overlaps one of the answers of the question. With
 * `--split passages` each passage is one chunk, and a hit is the one that the question names.
 * The environment, or a file `.env`, chooses database and embedder: see `.env.example`.
 */
import { loadEnvFile } from "../tooling/env-file.js";
import { runEvaluation } from "./run-evaluation.js";

loadEnvFile();
process.exitCode = await runEvaluation(process.argv.slice(2));
