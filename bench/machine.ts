import { existsSync, readFileSync } from "node:fs";
import os from "node:os";
import type { Machine } from "./results.js";

/** Where packages are installed: those of `bench/package.json`, and those of the root. */
const PACKAGE_FOLDERS = ["./node_modules/", "../node_modules/"];
const MEASURED_PACKAGES = [
  "@langchain/core",
  "@langchain/community",
  "@mastra/pg",
  "@llamaindex/postgres",
  "pg",
  "@lancedb/lancedb",
  "sqlite-vec",
  "better-sqlite3",
  "hnswlib-node",
];

/** Describes this machine. */
export function describeMachine(): Machine {
  const processors = os.cpus();
  return {
    processor: processors[0]?.model.trim() ?? "unknown",
    cores: processors.length,
    memoryGibibytes: Math.round(os.totalmem() / 1024 ** 3),
    platform: `${os.type()} ${os.release()} ${os.arch()}`,
  };
}

/** Installed versions of Node, this library and the measured packages. */
export function describePackages(): Record<string, string> {
  const versions: Record<string, string> = {
    Node: process.versions.node,
    "langchain-training-index": readVersion(new URL("../package.json", import.meta.url)) ?? "unknown",
  };
  for (const name of MEASURED_PACKAGES) {
    const found = PACKAGE_FOLDERS.map((folder) => new URL(`${folder}${name}/package.json`, import.meta.url));
    const version = found.map(readVersion).find((candidate) => candidate !== undefined);
    if (version !== undefined) versions[name] = version;
  }
  return versions;
}

function readVersion(manifest: URL): string | undefined {
  if (!existsSync(manifest)) return undefined;
  return (JSON.parse(readFileSync(manifest, "utf8")) as { version: string }).version;
}
