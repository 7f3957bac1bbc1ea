/**
 * Pages for operators. `readme.int.test.ts` runs their code on the embedded database; here it runs on a server, and what the
 * pages say beside their code is checked.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { migrate } from "langchain-training-index/migrations";
import pg from "pg";
import { describe, expect, inject, it, onTestFinished } from "vitest";
import { temporaryDatabase } from "../tooling/temporary-database.js";
import { requireServerUrl, uniqueName } from "./support/databases.js";
import { codeBlocks, expectLines, promisedOutput, runPageHere } from "./support/markdown-program.js";

/** Pages whose code can run on a server. */
const SERVER_PAGES = ["deployment", "operations", "orms", "tenants", "transactions", "troubleshooting"];
const PAGES = [...SERVER_PAGES, "bundlers-and-platforms"];
const pathOf = (page: string): string => `docs/${page}.md`;

describe.runIf(inject("serverUrl") !== undefined).each(SERVER_PAGES)("the code of docs/%s.md", (page) => {
  it("runs on a server, and prints what the page says", { timeout: 90_000 }, async () => {
    const database = await temporaryDatabase(requireServerUrl(), "docs_pages");
    onTestFinished(() => database.drop());
    const output = await runPageHere(pathOf(page), database.url, (code) =>
      code
        .replaceAll(
          "const pool = embeddedPool(); //",
          "const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL }); //",
        )
        .replace(/^(?!.*\bimport pg\b)/s, 'import pg from "pg";\n'),
    );
    expectLines(output, promisedOutput((await codeBlocks(pathOf(page), "ts")).join("\n")));
    expect(
      globalThis,
      "or the next program in this process finds an index on a pool that has ended",
    ).not.toHaveProperty("trainingIndex");
  });
});

describe.runIf(inject("serverUrl") !== undefined)("the SQL of pages", () => {
  it.each(["deployment", "operations", "tenants"])("of docs/%s.md runs", async (page) => {
    const database = await temporaryDatabase(requireServerUrl(), "docs_pages");
    onTestFinished(() => database.drop());
    const pool = new pg.Pool({ connectionString: database.url });
    onTestFinished(() => pool.end());
    const role = uniqueName("role");
    for (const schema of ["training_index", "tenant_initech"]) await migrate(pool, { schema });
    await pool.query("CREATE TABLE article (id integer PRIMARY KEY)");
    if (page !== "tenants") await pool.query(`CREATE ROLE ${role}`);
    onTestFinished(async () => {
      await pool.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    });
    const statements = (await codeBlocks(pathOf(page), "sql")).flatMap((block) => block.trim().split(/;\s*/));
    for (const statement of statements) {
      await pool.query(statement.replace(/(CREATE ROLE|TO) (app_runtime|initech)\b/, `$1 ${role}`));
    }
    expect(statements.length).toBeGreaterThan(3);
  });
});

describe.each(PAGES)("docs/%s.md", (page) => {
  it("links to pages and headings that exist", async () => {
    const text = await readFile(pathOf(page), "utf8");
    for (const [, target = ""] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (target.startsWith("http")) continue;
      const [file = "", anchor] = target.split("#");
      const path = file === "" ? pathOf(page) : join(dirname(pathOf(page)), file);
      expect(existsSync(path), target).toBe(true);
      if (anchor !== undefined) expect(anchorsOf(path), target).toContain(anchor);
    }
  });
});

describe("docs/troubleshooting.md", () => {
  it("quotes messages as the library has them", async () => {
    const messages = sources().replaceAll(/["`]\s*\+\s*["`]/g, "");
    const text = await readFile(pathOf("troubleshooting"), "utf8");
    const quoted = [
      ...(await codeBlocks(pathOf("troubleshooting"), "text")),
      // An error about an argument begins with its name.
      ...[...text.matchAll(/^\| `(?:[\w.]+ (?=must|is a|needs|has))?([a-z].*?)` +\|/gm)].map(
        ([, message = ""]) => message,
      ),
    ];
    expect(quoted.length).toBeGreaterThan(20);
    const parts = quoted.flatMap((message) => message.trim().split("…")).map((part) => part.trim());
    for (const part of parts) expect(messages.includes(part), part).toBe(true);
  });

  it("has every error code", async () => {
    const text = await readFile(pathOf("troubleshooting"), "utf8");
    const [, codes = ""] = /export type ErrorCode =(.*?);/s.exec(readFileSync("src/errors.ts", "utf8")) ?? [];
    for (const [, code = ""] of codes.matchAll(/"(\w+)"/g)) expect(text, code).toContain(`\`${code}\``);
  });
});

/** As GitHub makes them of headings. */
function anchorsOf(path: string): string[] {
  return [...readFileSync(path, "utf8").matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

function sources(): string {
  return readdirSync("src", { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => readFileSync(join("src", name), "utf8"))
    .join("\n");
}
