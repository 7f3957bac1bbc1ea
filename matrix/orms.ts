/** The code of docs/orms.md with the newest version of each ORM. */
import { readFile } from "node:fs/promises";
import { build } from "esbuild";
import { Project } from "./project.js";
import { expectOutput, type Context, type Group, type Row } from "./row.js";
import { node, THIS_NODE, type Runtime } from "./runtimes.js";

const PAGE = new URL("../docs/orms.md", import.meta.url);

interface Orm {
  name: string;
  packages: string[];
  /** Headings of the page whose code is run, after that of the introduction. */
  sections: string[];
  /** Prepares the project. */
  setUp?: (project: Project) => Promise<void>;
  /** The lowest major version of Node that it runs on, if that is not the lowest of the library; npm would choose an older version of the ORM. */
  node?: string;
}

const ORMS: readonly Orm[] = [
  { name: "Drizzle", packages: ["drizzle-orm"], sections: ["Drizzle", "Transactions that are retried"] },
  { name: "Knex", packages: ["knex"], sections: ["Knex"] },
  { name: "Kysely 0.28", packages: ["kysely@0.28"], sections: ["Kysely"] },
  { name: "Kysely", packages: ["kysely@0.29"], sections: ["Kysely"], node: "22" },
  { name: "TypeORM 0.3", packages: ["typeorm@0.3"], sections: ["TypeORM"] },
  { name: "TypeORM", packages: ["typeorm"], sections: ["TypeORM"] },
  { name: "Sequelize", packages: ["sequelize@6"], sections: ["Sequelize"] },
  {
    name: "Prisma",
    packages: ["prisma@7", "@prisma/client@7", "@prisma/adapter-pg@7"],
    sections: ["Prisma"],
    setUp: generatePrismaClient,
  },
  {
    name: "pgvector",
    packages: ["drizzle-orm", "pgvector@0.3"],
    sections: ["Drizzle", "pgvector's types on your pool"],
    node: "22",
  },
];

/** One group for each ORM. */
export const ORM_GROUPS: readonly Group[] = ORMS.map((orm) => ({
  name: orm.name,
  isQuick: orm.name === "Drizzle",
  prepare: (context) => prepare(context, orm),
}));

async function prepare(context: Context, orm: Orm): Promise<Row[]> {
  const packages = [context.tarball, "@langchain/core", "pg", ...orm.packages];
  const project = await context.keep(Project.create("orm-app", packages));
  await orm.setUp?.(project);
  const runtime: Runtime = orm.node === undefined ? THIS_NODE : await node(context, orm.node);
  const [packageName = ""] = orm.packages.slice(-1).map((name) => name.replace(/(?<=.)@.*/, ""));
  const { version } = JSON.parse(await readFile(project.path("node_modules", packageName, "package.json"), "utf8")) as {
    version: string;
  };
  return [
    {
      runtime: `${orm.name.replace(/ [\d.]+$/, "")} ${version}`,
      entry: "ESM",
      check: `the code of docs/orms.md, on ${runtime.name}`,
      run: async () => {
        const code = await codeOf(orm.sections);
        await project.write("program.ts", code);
        const entryPoints = [project.path("program.ts")];
        const outfile = project.path("program.mjs");
        await build({ entryPoints, outfile, bundle: true, packages: "external", platform: "node", format: "esm" });
        const env = { DATABASE_URL: await context.database() };
        const promised = [...code.matchAll(/console\.log\(.*\)\)?; \/\/ (.+)$/gm)].map(([, line = ""]) => line);
        if (promised.length === 0) throw new Error("the code promises no output");
        expectOutput(await project.run(runtime.command, [...runtime.args, outfile], { env }), promised);
      },
    },
  ];
}

/** The code before the first heading, and that of some sections. The pool is ended behind them. */
async function codeOf(sections: readonly string[]): Promise<string> {
  const [introduction = "", ...rest] = (await readFile(PAGE, "utf8")).split(/^## /m);
  const chosen = sections.map((name) => {
    const section = rest.find((text) => text.startsWith(`${name}\n`));
    if (section === undefined) throw new Error(`docs/orms.md has no section ${name}`);
    return section;
  });
  const blocks = [introduction, ...chosen].flatMap((text) =>
    [...text.matchAll(/^```(?:ts|js)\n(.*?)^```/gms)].map(([, code = ""]) => code),
  );
  return [...blocks, "await pool.end();\n"].join("\n");
}

const PRISMA_SCHEMA = `
generator client {
  provider = "prisma-client"
  output   = "./generated"
}
datasource db {
  provider = "postgresql"
}
model article {
  id      String  @id
  indexed Boolean @default(false)
}
`;

async function generatePrismaClient(project: Project): Promise<void> {
  await project.write("schema.prisma", PRISMA_SCHEMA);
  await project.write("prisma.config.ts", 'export default { schema: "schema.prisma" };\n');
  const prisma = project.path("node_modules", "prisma", "build", "index.js");
  // It would download its engine for migrations, which is not needed to generate the client.
  const env = { PRISMA_SCHEMA_ENGINE_BINARY: process.execPath };
  await project.run(process.execPath, [prisma, "generate"], { env });
}
