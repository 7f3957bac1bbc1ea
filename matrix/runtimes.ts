/** Node, Bun and Deno, each from its package on npm, and peers of other versions. */
import { embeddedProgram, EXPECTED, serverProgram, type ModuleKind } from "./programs.js";
import { Project } from "./project.js";
import { expectOutput, type Context, type Group, type Row } from "./row.js";

/** A program that runs JavaScript files. */
export interface Runtime {
  name: string;
  command: string;
  args: string[];
}

const KINDS: readonly ModuleKind[] = ["esm", "cjs"];
const SYSTEM = process.platform === "win32" ? "win" : process.platform;
const EXECUTABLE = process.platform === "win32" ? ".exe" : "";

/** The Node that runs the matrix. */
export const THIS_NODE: Runtime = { name: `Node ${process.versions.node}`, command: process.execPath, args: [] };

async function installed(
  context: Context,
  packageName: string,
  version: string,
  executable: string,
  args: string[],
  name: string,
): Promise<Runtime> {
  const project = await context.keep(Project.create("runtime", [`${packageName}@${version}`]));
  const command = project.path("node_modules", packageName, ...executable.split("/")) + EXECUTABLE;
  const printed = await project.run(command, ["--version"]);
  const [found = version] = /\d+\.\d+\.\d+/.exec(printed) ?? [];
  return { name: `${name} ${found}`, command, args };
}

/** Node of a major version, from the package that npm's `node` installs. */
export function node(context: Context, version: string): Promise<Runtime> {
  return installed(context, `node-${SYSTEM}-${process.arch}`, version, "bin/node", [], "Node");
}

function bun(context: Context): Promise<Runtime> {
  const system = process.platform === "win32" ? "windows" : process.platform;
  const architecture = process.arch === "arm64" ? "aarch64" : process.arch;
  return installed(context, `@oven/bun-${system}-${architecture}`, "latest", "bin/bun", ["run"], "Bun");
}

function deno(context: Context): Promise<Runtime> {
  const library = process.platform === "linux" ? "-glibc" : "";
  const name = `@deno/${process.platform}-${process.arch}${library}`;
  return installed(context, name, "latest", "deno", ["run", "--allow-all"], "Deno");
}

/** The main job on a server and on an embedded database, in both kinds of modules. */
async function mainJobs(
  context: Context,
  project: Project,
  runtime: Runtime,
  title = runtime.name,
  kinds = KINDS,
): Promise<Row[]> {
  const rows: Row[] = [];
  for (const kind of kinds) {
    const extension = kind === "esm" ? "mjs" : "cjs";
    const programs = {
      "main job on a server": serverProgram(kind),
      "main job, embedded database": embeddedProgram(kind),
    };
    for (const [check, program] of Object.entries(programs)) {
      const file = `${check.replace(/\W+/g, "-")}.${extension}`;
      await project.write(file, program);
      rows.push({
        runtime: title,
        entry: kind.toUpperCase(),
        check,
        run: async () => {
          const env = { DATABASE_URL: await context.database() };
          expectOutput(await project.run(runtime.command, [...runtime.args, file], { env }), [EXPECTED]);
        },
      });
    }
  }
  return rows;
}

function group(name: string, open: (context: Context) => Promise<Runtime>): Group {
  return {
    name,
    isQuick: false,
    prepare: async (context) => mainJobs(context, context.newest, await open(context)),
  };
}

/** All runtimes with the newest peers. */
export const RUNTIMES: readonly Group[] = [
  {
    name: "this Node",
    isQuick: true,
    prepare: (context) => mainJobs(context, context.newest, THIS_NODE),
  },
  ...["20", "22", "24"].map((version) => group(`Node ${version}`, (context) => node(context, version))),
  group("Bun", bun),
  group("Deno", deno),
];

/** The first versions that the peer dependencies allow. */
const LOWEST = [
  "@langchain/core@1.1.0",
  "@langchain/textsplitters@1.0.0",
  "@langchain/ollama@1.0.0",
  "@opentelemetry/api@1.9.0",
  "@electric-sql/pglite@0.5.14",
  "@electric-sql/pglite-pgvector@0.0.15",
  "pg@8.11.0",
];

/** The lowest peers. The newest ones are those of every other row. */
export const LOWEST_PEERS: Group = {
  name: "lowest peers",
  isQuick: false,
  prepare: async (context) => {
    const project = await context.keep(Project.create("lowest", [context.tarball, ...LOWEST]));
    return mainJobs(context, project, THIS_NODE, "lowest peers");
  },
};
