/** Bundlers, frameworks, test runners and compilers. */
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { createServer, type AddressInfo } from "node:net";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { build, type BuildOptions } from "esbuild";
import { EXPECTED, NEXT_ROUTE, serverProgram, testFile, TYPED_CONSUMER } from "./programs.js";
import { Project } from "./project.js";
import { expectOutput, type Context, type Group, type Row } from "./row.js";

const RUN = "main job on a server";

/** As docs/bundlers-and-platforms.md shows them. */
const BUNDLES: Record<string, BuildOptions> = {
  "packages external": { packages: "external" },
  "one file": {
    external: ["pg-native", "@electric-sql/*"],
    banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
  },
};

/** esbuild of the repository. */
export const ESBUILD: Group = {
  name: "esbuild",
  isQuick: true,
  prepare: async (context) => {
    const project = await context.keep(Project.beside(context.newest, "bundle"));
    await project.write("server.js", serverProgram("esm"));
    return Object.entries(BUNDLES).map(([name, options]): Row => ({
      runtime: "esbuild",
      entry: "ESM",
      check: `${name}, ${RUN}`,
      run: async () => {
        const outfile = project.path("dist", `${name.replace(" ", "-")}.mjs`);
        const entryPoints = [project.path("server.js")];
        const common = { bundle: true, platform: "node", format: "esm", logLevel: "silent" } as const;
        await build({ ...common, absWorkingDir: project.folder, entryPoints, outfile, ...options });
        const env = { DATABASE_URL: await context.database() };
        expectOutput(await project.run(process.execPath, [outfile], { env }), [EXPECTED]);
      },
    }));
  },
};

/** A route of Next.js, built and served. */
export const NEXT: Group = {
  name: "Next.js",
  isQuick: false,
  prepare: async (context) => {
    const packages = [
      context.tarball,
      "@langchain/core",
      "@langchain/ollama",
      "pg",
      "next@latest",
      "react",
      "react-dom",
    ];
    const project = await context.keep(Project.create("next-app", packages));
    await project.write("app/layout.js", "export default ({ children }) => <html><body>{children}</body></html>;\n");
    await project.write("app/page.js", "export default () => <p>A shop</p>;\n");
    await project.write("app/similar/route.js", NEXT_ROUTE);
    await project.write(
      "next.config.mjs",
      'export default { serverExternalPackages: ["langchain-training-index", "pg"], turbopack: { root: import.meta.dirname } };\n',
    );
    const next = project.path("node_modules", "next", "dist", "bin", "next");
    const row: Row = {
      runtime: "Next.js",
      entry: "ESM",
      check: `route, next build, ${RUN}`,
      run: async () => {
        await project.run(process.execPath, [next, "build"], { env: { NEXT_TELEMETRY_DISABLED: "1" } });
        const port = await freePort();
        const env = { ...process.env, DATABASE_URL: await context.database(), NEXT_TELEMETRY_DISABLED: "1" };
        const args = [next, "start", "--port", port.toString()];
        const server = spawn(process.execPath, args, { cwd: project.folder, env, stdio: "ignore" });
        const ended = once(server, "exit");
        try {
          expectOutput(await textOf(`http://localhost:${port}/similar`), [EXPECTED]);
        } finally {
          server.kill();
          await ended;
        }
      },
    };
    return [row];
  },
};

/** Jest and Vitest. */
export const TEST_RUNNERS: readonly Group[] = [
  {
    name: "Jest",
    isQuick: false,
    prepare: async (context) => {
      const project = await context.keep(Project.create("jest-app", [...peers(context), "jest@latest"], "commonjs"));
      await project.write("job.test.js", testFile("cjs"));
      const jest = project.path("node_modules", "jest", "bin", "jest.js");
      const args = ["--experimental-vm-modules", "--no-warnings", jest];
      return [testRow(context, project, "Jest", "CJS", args)];
    },
  },
  {
    name: "Vitest",
    isQuick: false,
    prepare: async (context) => {
      const project = await context.keep(Project.create("vitest-app", [...peers(context), "vitest@latest"]));
      await project.write("job.test.js", testFile("esm", { "{ expect, test }": "vitest" }));
      const vitest = project.path("node_modules", "vitest", "vitest.mjs");
      return [testRow(context, project, "Vitest", "ESM", [vitest, "run"])];
    },
  },
];

function testRow(context: Context, project: Project, runtime: string, entry: string, args: string[]): Row {
  return {
    runtime,
    entry,
    check: "tests on a server and embedded",
    run: async () => {
      await project.run(process.execPath, args, { env: { DATABASE_URL: await context.database(), CI: "true" } });
    },
  };
}

/** The settings of `moduleResolution`, each with the `module` that goes with it, and a kind of project. */
const RESOLUTIONS = [
  { moduleResolution: "bundler", module: "preserve", type: "module", compiler: "typescript-7" },
  { moduleResolution: "node16", module: "node16", type: "module", compiler: "typescript-7" },
  { moduleResolution: "node16", module: "node16", type: "commonjs", compiler: "typescript-7" },
  // TypeScript 7 does not have it any more.
  { moduleResolution: "node10", module: "commonjs", type: "commonjs", compiler: "typescript" },
] as const;

/** The compiler, with the strictest settings; declarations of the package are checked too. */
export const TYPESCRIPT: Group = {
  name: "TypeScript",
  isQuick: true,
  prepare: (context) =>
    Promise.resolve(
      RESOLUTIONS.map(({ moduleResolution, module, type, compiler }): Row => ({
        runtime: compiler === "typescript" ? "TypeScript 5.9" : "TypeScript 7",
        entry: type === "module" ? "ESM" : "CJS",
        check: `moduleResolution ${moduleResolution}`,
        run: async () => {
          const project = await context.keep(Project.beside(context.newest, "typed", type));
          await project.write("consumer.ts", TYPED_CONSUMER);
          await expectOneError(project, compiler, { moduleResolution, module });
        },
      })),
    ),
};

async function expectOneError(project: Project, compiler: string, options: object): Promise<void> {
  const compilerOptions = {
    ...options,
    target: "ES2022",
    lib: ["ES2022", "DOM"],
    types: ["node"],
    esModuleInterop: true,
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: false,
    preserveSymlinks: true,
    noEmit: true,
  };
  await project.write("tsconfig.json", JSON.stringify({ compilerOptions, files: ["consumer.ts"] }));
  const tsc = createRequire(import.meta.url)
    .resolve(`${compiler}/package.json`)
    .replace("package.json", "bin/tsc");
  const output = await project
    .run(process.execPath, [tsc, "--project", project.folder, "--pretty", "false"])
    .catch(String);
  // Faults in the declarations of other packages are theirs.
  const others = /node_modules\/(?!langchain-training-index\/)/;
  const errors = output.split("\n").filter((line) => /error TS\d+/.test(line) && !others.test(line));
  const [only = ""] = errors;
  if (errors.length !== 1 || !only.includes("is not assignable to type 'number'")) throw new Error(output);
}

function peers({ tarball }: Context): string[] {
  return [tarball, ...NEWEST_PEERS];
}

/** Every peer, in the newest version that the package allows. */
export const NEWEST_PEERS = [
  "@langchain/core@^1.1.0",
  "@langchain/ollama@^1.0.0",
  "@opentelemetry/api@^1.9.0",
  "@electric-sql/pglite@>=0.5.14 <0.6.0",
  "@electric-sql/pglite-pgvector@>=0.0.15 <0.1.0",
  "pg@^8.11.0",
];

async function freePort(): Promise<number> {
  const server = createServer().listen(0);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** What a server answers, once it does. */
async function textOf(url: string): Promise<string> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await (await fetch(url)).text();
    } catch (error) {
      if (attempt === 60) throw error;
      await sleep(500);
    }
  }
}
