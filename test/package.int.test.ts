/**
 * The package as npm would publish it, installed into projects of its users. Takes half a minute and the npm
 * registry.
 */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { describePackedProgram } from "./cli/packed-program.js";
import { buildIfOutdated } from "./support/build.js";
import { codeBlocks } from "./support/markdown-program.js";

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const NAME = "langchain-training-index";
const PEERS = ["@langchain/core@^1.4", "@langchain/ollama@^1.3", "pg@^8.23"];
const OPTIONAL_PEERS = [
  "@electric-sql/pglite@0.5.14",
  "@electric-sql/pglite-pgvector@0.0.15",
  "@opentelemetry/api@1.9",
];
const MAX_BYTES = 60_000_000;
const MAX_PACKAGES = 35;
const UNWANTED = /@langchain\/community|@langchain\/classic|faiss|torch|playwright|openai/;

/** What each entry exports at run time. */
const EXPORTS = {
  ".": [
    "AbortError",
    "DatabaseError",
    "EmbeddingError",
    "InvalidArgumentError",
    "SchemaError",
    "TrainingIndex",
    "TrainingIndexError",
    "TrainingRetriever",
    "TrainingTool",
    "TrainingTranslator",
    "TrainingVectorStore",
    "citedContext",
    "configFromEnv",
    "formatContext",
    "portugueseSynonyms",
  ],
  "./migrations": ["diskannIndex", "migrate", "migrationSql", "migrationStatus", "vchordrqIndex"],
  "./ollama": ["ProfiledOllamaEmbeddings", "embeddingProfiles", "ollamaEmbeddings"],
  "./testing": ["HashingEmbeddings"],
  "./http": ["bearerToken", "healthHandler", "similarityHandler", "trainingsHandler"],
};

const SETUP_TIMEOUT = 240_000;
const NODE_TIMEOUT = 30_000;
const COMPILER_TIMEOUT = 120_000;

/** A project's kind, and what its scripts load modules with. */
const kinds = {
  module: "const load = (name) => import(name);",
  commonjs: "const load = async (name) => require(name);",
};
type Kind = keyof typeof kinds;
const KINDS = Object.keys(kinds) as Kind[];

let folder = "";
/** The files of the tarball. */
let files: string[] = [];
let tarball = "";
/** What the first project's node_modules had in it after its installation. */
let packages: string[] = [];
let bytes = 0;

const projectOf = (kind: Kind): string => join(folder, kind);
const installed = (...path: string[]): string => join(projectOf("module"), "node_modules", ...path);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), `${NAME}-`));
  await buildIfOutdated(ROOT);
  const packed = await run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", folder], ROOT);
  const [pack] = JSON.parse(packed) as { filename: string; files: { path: string }[] }[];
  if (!pack) throw new Error(`npm pack made nothing: ${packed}`);
  files = pack.files.map(({ path }) => path);
  tarball = join(folder, pack.filename);
  for (const kind of KINDS) {
    await mkdir(projectOf(kind));
    await writeJson(join(projectOf(kind), "package.json"), { name: "consumer", private: true, type: kind });
  }
  await install(tarball, ...PEERS);
  await symlink(installed(), join(projectOf("commonjs"), "node_modules"));
  packages = await readPackages();
  bytes = await sizeOf(installed());
  // Above the projects the compiler finds these, while node_modules stays as npm made it.
  await mkdir(join(folder, "node_modules"));
  await symlink(join(ROOT, "node_modules", "@types"), join(folder, "node_modules", "@types"));
}, SETUP_TIMEOUT);

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe("the tarball", () => {
  it("holds what the exports of package.json lead to", async () => {
    const { exports } = JSON.parse(await readFile(installed(NAME, "package.json"), "utf8")) as {
      exports: Record<string, unknown>;
    };
    expect(Object.keys(exports).sort()).toEqual(
      [...Object.keys(EXPORTS), "./embedded", "./telemetry", "./package.json"].sort(),
    );
    const targets = JSON.stringify(exports).match(/"\.\/[^"]*\.(?:js|cjs|ts|cts)"/g) ?? [];
    expect(targets).toHaveLength(28);
    expect(targets.map((target) => target.slice(3, -1)).filter((path) => !files.includes(path))).toEqual([]);
  });

  it("holds the build and papers, and neither sources nor tests", () => {
    const papers = [
      "package.json",
      "README.md",
      "README.pt-BR.md",
      "CHANGELOG.md",
      "CONTRIBUTING.md",
      "LICENSE",
      "THIRD_PARTY_LICENSES.md",
      "bench/chart.svg",
    ];
    const isPage = (path: string): boolean => /^(?:docs|examples|tooling)\/|^src\/[\w-]+\/README\.md$/.test(path);
    expect(files).toContain("package.json");
    expect(files).toContain("dist/console/page.html");
    expect(files.filter((path) => path.endsWith(".png"))).toEqual([]);
    const others = files.filter((path) => !papers.includes(path) && !isPage(path));
    expect(others.filter((path) => !path.startsWith("dist/"))).toEqual([]);
    const pages = files.filter((path) => /^src\/[\w-]+\/README\.md$/.test(path));
    const sources = files.filter((path) => /(^|\/)(src|test)\/|\.test\./.test(path));
    expect(sources.filter((path) => !pages.includes(path))).toEqual([]);
  });

  it("holds what the links of its pages lead to", async () => {
    const broken: string[] = [];
    for (const page of files.filter((path) => path.endsWith(".md"))) {
      for (const link of linksOf(await readPage(page))) {
        const [path = "", anchor] = link.split("#");
        const target = path === "" ? page : posix.join(posix.dirname(page), path);
        const isThere = files.includes(target) && (!anchor || anchorsOf(await readPage(target)).includes(anchor));
        if (!isThere) broken.push(`${page}: ${link}`);
      }
    }
    expect(broken).toEqual([]);
  });

  it.each(["README.md", "LICENSE"])("holds %s where there is one", (name) => {
    expect(files.includes(name)).toBe(existsSync(join(ROOT, name)));
  });

  it("holds the licence of the PGVectorStore that is bundled in it", async () => {
    expect(files).toContain("THIRD_PARTY_LICENSES.md");
    expect(await readFile(installed(NAME, "THIRD_PARTY_LICENSES.md"), "utf8")).toContain("LangChain");
  });

  it("imports @langchain/community nowhere, neither in code nor in declarations", async () => {
    const code = files.filter((path) => /\.(?:js|cjs|d\.ts|d\.cts)$/.test(path));
    expect(code.filter((path) => path.endsWith("ts"))).not.toEqual([]);
    const importing: string[] = [];
    for (const path of code) {
      const text = await readFile(installed(NAME, path), "utf8");
      if (/(?:\bfrom|\bimport|\brequire)\s*\(?\s*["']@langchain\/community/.test(text)) importing.push(path);
    }
    expect(importing).toEqual([]);
  });
});

describe("an installation", () => {
  it("has no more packages than it must", () => {
    expect(packages).toContain(NAME);
    expect(packages.length, packages.join(", ")).toBeLessThanOrEqual(MAX_PACKAGES);
  });

  it("takes no more room than it must", () => {
    expect(bytes).toBeGreaterThan(1_000_000);
    expect(bytes).toBeLessThanOrEqual(MAX_BYTES);
  });

  it("has no @langchain/community and nothing of what comes with it", () => {
    expect(packages).toContain("@langchain/core");
    expect(packages.filter((name) => UNWANTED.test(name))).toEqual([]);
  });
});

describe.each(KINDS)("in a project of type %s", (kind) => {
  it(
    "every entry exports what it should, and nothing else",
    async () => {
      const names = await runScript(
        kind,
        `const names = {};
        for (const entry of ${JSON.stringify(Object.keys(EXPORTS))}) {
          names[entry] = Object.keys(await load("${NAME}" + entry.slice(1))).sort();
        }
        print(names);`,
      );
      expect(names).toEqual(EXPORTS);
    },
    NODE_TIMEOUT,
  );

  it(
    "an error of any entry is an instance of the class that the main entry exports",
    async () => {
      const results = await runScript(
        kind,
        `const main = await load("${NAME}");
        const { migrate } = await load("${NAME}/migrations");
        const { ollamaEmbeddings } = await load("${NAME}/ollama");
        const { HashingEmbeddings } = await load("${NAME}/testing");
        const { similarityHandler } = await load("${NAME}/http");
        const poolThatFails = (error) => ({ connect: () => Promise.reject(error), query: () => Promise.reject(error) });
        const refused = Object.assign(new Error("denied"), { severity: "FATAL", code: "42501" });
        const actions = [
          ["DatabaseError", () => migrate(poolThatFails(new Error("ECONNREFUSED")))],
          ["SchemaError", () => migrate(poolThatFails(refused))],
          ["InvalidArgumentError", () => ollamaEmbeddings({ model: "unknown" })],
          ["InvalidArgumentError", () => new HashingEmbeddings({ dimensions: 1 })],
        ];
        const results = [];
        for (const [name, action] of actions) {
          const error = await (async () => action())().then(() => undefined, (error) => error);
          results.push(error instanceof main[name] && error instanceof main.TrainingIndexError ? name : String(error));
        }
        const similar = () => Promise.reject(new main.EmbeddingError("EMBEDDING_FAILED", "down", true));
        const response = await similarityHandler({ similar })(new Request("http://localhost/x", {
          method: "POST", headers: { "content-type": "application/json" }, body: '{"query":"frete"}',
        }));
        results.push(response.status);
        print(results);`,
      );
      expect(results).toEqual(["DatabaseError", "SchemaError", "InvalidArgumentError", "InvalidArgumentError", 503]);
    },
    NODE_TIMEOUT,
  );

  it(
    "the entries embedded and telemetry say which package they lack",
    async () => {
      const messages = await runScript(
        kind,
        `const messageOf = (name) => load("${NAME}/" + name).then(() => "loaded", (error) => error.message);
        print([await messageOf("embedded"), await messageOf("telemetry")]);`,
      );
      expect(messages).toEqual([
        expect.stringMatching(/^Cannot find (?:package|module) '@electric-sql\/pglite/),
        expect.stringMatching(/^Cannot find (?:package|module) '@opentelemetry\/api/),
      ]);
    },
    NODE_TIMEOUT,
  );
});

describe("a program that loads the library by import and by require", () => {
  it(
    "has each class twice, and tells errors of both apart with is",
    async () => {
      const results = await runScript(
        "commonjs",
        `const [main, http] = [require("${NAME}"), require("${NAME}/http")];
        const other = await import("${NAME}");
        const wrong = new other.InvalidArgumentError("query", "must not be empty");
        const down = new other.EmbeddingError("EMBEDDING_FAILED", "down", true);
        const statusFor = async (error) => (await http.similarityHandler({ similar: () => Promise.reject(error) })(
          new Request("http://localhost/x", {
            method: "POST", headers: { "content-type": "application/json" }, body: '{"query":"frete"}',
          }))).status;
        print([
          wrong instanceof main.InvalidArgumentError,
          main.InvalidArgumentError.is(wrong), main.TrainingIndexError.is(wrong), main.EmbeddingError.is(wrong),
          await statusFor(wrong), await statusFor(down),
        ]);`,
      );
      expect(results).toEqual([false, true, true, false, 400, 503]);
    },
    NODE_TIMEOUT,
  );
});

describe("the main entry", () => {
  it(
    "loads neither pg, nor the text splitters, nor the Ollama client: a call that needs them does, or the host has",
    async () => {
      const loaded = await runScript(
        "commonjs",
        `const before = new Set(Object.keys(require.cache));
        await load("${NAME}");
        print(Object.keys(require.cache).filter((path) => !before.has(path)));`,
      );
      const paths = loaded as string[];
      expect(paths.join()).toContain(join(NAME, "dist", "index.cjs"));
      expect(paths.filter((path) => /node_modules.(pg|@langchain.(textsplitters|ollama)|ollama)\b/.test(path))).toEqual(
        [],
      );
    },
    NODE_TIMEOUT,
  );
});

describe("the entry migrations", () => {
  it(
    "loads no package at all, so that a deployment needs no LangChain",
    async () => {
      const loaded = await runScript(
        "commonjs",
        `const before = new Set(Object.keys(require.cache));
        await load("${NAME}/migrations");
        print(Object.keys(require.cache).filter((path) => !before.has(path)));`,
      );
      const paths = loaded as string[];
      expect(paths.join()).toContain(join(NAME, "dist", "migrations.cjs"));
      expect(paths.filter((path) => !path.includes(join("node_modules", NAME, "dist")))).toEqual([]);
    },
    NODE_TIMEOUT,
  );
});

describe("the bin", () => {
  const bin = (...args: string[]): Promise<string> =>
    run(installed(".bin", "training-index"), args, projectOf("module"));

  it(
    "runs as it is installed",
    async () => {
      const { version } = JSON.parse(await readFile(installed(NAME, "package.json"), "utf8")) as { version: string };
      expect(await bin("--version")).toBe(`${version}\n`);
      expect(await bin("--help")).toContain("ingest FILES...");
    },
    NODE_TIMEOUT,
  );
});

describePackedProgram(() => installed(".bin", "training-index"));

describe("the declarations", () => {
  const consumer = `
import type { VectorStore } from "@langchain/core/vectorstores";
import type { BaseRetriever } from "@langchain/core/retrievers";
import pg from "pg";
import { TrainingIndex, type ChunkHit } from "${NAME}";
import { similarityHandler } from "${NAME}/http";
import { migrate, type MigrateResult } from "${NAME}/migrations";
import { ollamaEmbeddings } from "${NAME}/ollama";
import { HashingEmbeddings } from "${NAME}/testing";

export async function search(pool: pg.Pool): Promise<ChunkHit[]> {
  const { schema }: MigrateResult = await migrate(pool, { dimensions: 64, idType: "bigint" });
  await TrainingIndex.initialize(ollamaEmbeddings({ model: "mxbai-embed-large" }), { pool });
  const index = await TrainingIndex.initialize(new HashingEmbeddings({ dimensions: 64 }), { pool, schema });
  const store: VectorStore = index.vectorStore;
  const retriever: BaseRetriever = store.asRetriever(3);
  await retriever.invoke("frete");
  const handler: (request: Request) => Promise<Response> = similarityHandler(index, { maxK: 10 });
  await handler(new Request("http://localhost/x"));
  // @ts-expect-error: the declarations say what k is
  await index.similar("frete", { k: "5" });
  // @ts-expect-error: they do not let everything be anything
  const text: string = index.vectorStore;
  return index.similar("frete", { k: text.length });
}
`;

  it.each<[string, Compiler, Kind, string, string]>([
    ["nodenext in a module", "typescript", "module", "nodenext", "nodenext"],
    ["nodenext in CommonJS", "typescript-7", "commonjs", "nodenext", "nodenext"],
    ["a bundler", "typescript-7", "module", "bundler", "preserve"],
  ])(
    "are right for a strict compiler that resolves modules as %s does: %s",
    async (_name, compiler, kind, moduleResolution, module) => {
      expect(await compile(compiler, kind, { "consumer.ts": consumer }, { moduleResolution, module })).toEqual([]);
    },
    COMPILER_TIMEOUT,
  );
});

describe("the entries embedded and telemetry, with the packages that they ask for", () => {
  beforeAll(async () => {
    await install(...OPTIONAL_PEERS);
  }, SETUP_TIMEOUT);

  it.each(KINDS)(
    "are a Postgres, and spans also of what the other build of the library does, in a project of type %s",
    async (kind) => {
      const result = await runScript(
        kind,
        `const [embedded, telemetry] = [await load("${NAME}/embedded"), await load("${NAME}/telemetry")];
        const { migrationStatus } = ${
          kind === "commonjs"
            ? `await import("${NAME}/migrations")`
            : `(await import("node:module")).createRequire(import.meta.url)("${NAME}/migrations")`
        };
        const pool = embedded.embeddedPool();
        const { rows } = await pool.query("select 1 as one");
        const names = [];
        const span = { setAttributes: () => span, setStatus: () => span, end: () => undefined };
        const tracer = { startSpan: (name) => (names.push(name), span) };
        telemetry.instrument({ tracerProvider: { getTracer: () => tracer } });
        await migrationStatus(pool);
        await pool.end();
        print([Object.keys(embedded), rows, Object.keys(telemetry), names[0]]);`,
        "--liftoff-only", // WebAssembly that runs once is not compiled a second time into faster code
      );
      expect(result).toEqual([["embeddedPool"], [{ one: 1 }], ["instrument"], "read-catalog"]);
    },
    COMPILER_TIMEOUT,
  );
});

/** The strictest settings that a host may have, beyond `strict`. */
const STRICTEST = {
  moduleResolution: "nodenext",
  module: "nodenext",
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  noImplicitOverride: true,
  verbatimModuleSyntax: true,
};

describe("the code of the READMEs, and a host of the entries embedded and telemetry", () => {
  const host = `
import pg from "pg";
import { TrainingIndex } from "${NAME}";
import { embeddedPool } from "${NAME}/embedded";
import { instrument } from "${NAME}/telemetry";
import { HashingEmbeddings } from "${NAME}/testing";
export const stop: () => void = instrument({ recordQueryText: true });
export const pool: pg.Pool = embeddedPool();
export const index: Promise<TrainingIndex> = TrainingIndex.initialize(new HashingEmbeddings(), { pool });
`;

  it(
    "are right for the strictest compiler, which also checks our declarations; a wrong line is found",
    async () => {
      const wrong = 'const first: string = (await index.similar("frete"))[0].content;';
      const programs = await Promise.all(
        ["README.md", "README.pt-BR.md"].map(async (page) => (await codeBlocks(join(ROOT, page), "ts")).join("\n")),
      );
      for (const code of programs) expect(code).toContain("TrainingIndex.initialize");
      const [english = "", portuguese = ""] = programs;
      const files = {
        "english.ts": `${english}\n${wrong}\n`,
        "portuguese.ts": `${portuguese}\n${wrong}\n`,
        "host.ts": host,
      };
      expect(await compile("typescript-7", "module", files, STRICTEST)).toEqual([
        expect.stringMatching(/^english\.ts.*Object is possibly 'undefined'/),
        expect.stringMatching(/^portuguese\.ts.*Object is possibly 'undefined'/),
      ]);
    },
    COMPILER_TIMEOUT,
  );
});

/** A page of the tarball, without its code blocks. */
async function readPage(path: string): Promise<string> {
  return (await readFile(installed(NAME, path), "utf8")).replace(/^ *```.*?^ *```/gms, "");
}

/** The links of a page that lead into the package. Its images are in the repository only. */
function linksOf(page: string): string[] {
  const links = [...page.matchAll(/(?<!!\[[^\]]*)\]\(([^)\s]+)\)/g)].map(([, link = ""]) => link);
  return links.filter((link) => !/^\w+:/.test(link));
}

/** The anchors that GitHub and npm give to the headings of a page, and those that it names itself. */
function anchorsOf(page: string): string[] {
  const headings = [...page.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replace(/[^\p{Letter}\p{Number} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
  return [...headings, ...[...page.matchAll(/<a id="([^"]+)"/g)].map(([, id = ""]) => id)];
}

/** Runs a program to its end. @returns what it wrote */
async function run(command: string, args: readonly string[], cwd: string): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(command, args, { cwd, maxBuffer: 64 * 1024 * 1024 });
    return stdout;
  } catch (error) {
    const { stdout = "", stderr = "" } = error as { stdout?: string; stderr?: string };
    throw new Error(`${command} ${args.join(" ")} failed in ${cwd}\n${stdout}\n${stderr}`, { cause: error });
  }
}

/** Installs packages into the first project, whose node_modules the other one shares. */
async function install(...names: string[]): Promise<void> {
  await run("npm", ["install", "--no-audit", "--no-fund", ...names], projectOf("module"));
}

/** Runs a script in a process of its own, in a project. @returns what it gave to `print` */
async function runScript(kind: Kind, body: string, ...nodeOptions: string[]): Promise<unknown> {
  const script = `${kinds[kind]}
const print = (value) => console.log(JSON.stringify(value));
(async () => { ${body} })().catch((error) => { console.error(error); process.exitCode = 1; });`;
  await writeFile(join(projectOf(kind), "script.js"), script);
  return JSON.parse(await run(process.execPath, [...nodeOptions, "script.js"], projectOf(kind)));
}

/** The package of a version of TypeScript: 5.9, and 7, which takes a fifth of the time. */
type Compiler = "typescript" | "typescript-7";

/** The errors that the compiler finds in files of a project, and in our declarations; not those of others. */
async function compile(
  compiler: Compiler,
  kind: Kind,
  files: Readonly<Record<string, string>>,
  options: Record<string, string | boolean>,
): Promise<string[]> {
  const project = projectOf(kind);
  for (const [name, text] of Object.entries(files)) await writeFile(join(project, name), text);
  await writeJson(join(project, "tsconfig.json"), {
    compilerOptions: {
      ...options,
      target: "ES2022",
      lib: ["ES2022", "DOM"],
      types: ["node"],
      strict: true,
      noEmit: true,
      skipLibCheck: false,
    },
    files: Object.keys(files),
  });
  const tsc = createRequire(import.meta.url)
    .resolve(`${compiler}/package.json`)
    .replace("package.json", "bin/tsc");
  const args = [tsc, "--project", project, "--pretty", "false", "--listFiles"];
  const output = await run(process.execPath, args, project).catch(String);
  // Without this the compiler may have stopped before it looked at anything.
  expect(output).toContain(join("node_modules", NAME, "dist", "index.d."));
  const others = new RegExp(`^[^(]*node_modules/(?!${NAME}/)`);
  return output.split("\n").filter((line) => /\berror TS\d+:/.test(line) && !others.test(line));
}

/** The names of all packages in the first project's node_modules; one that is there twice comes twice. */
async function readPackages(): Promise<string[]> {
  const lock = JSON.parse(await readFile(installed(".package-lock.json"), "utf8")) as {
    packages: Record<string, unknown>;
  };
  const marker = "node_modules/";
  return Object.keys(lock.packages).map((path) => path.slice(path.lastIndexOf(marker) + marker.length));
}

/** The sum of the sizes of all files in a folder, in bytes. */
async function sizeOf(path: string): Promise<number> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  const sizes = entries
    .filter((entry) => entry.isFile())
    .map(async (entry) => (await lstat(join(entry.parentPath, entry.name))).size);
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

async function writeJson(path: string, value: unknown): Promise<void> {
  await writeFile(path, JSON.stringify(value));
}
