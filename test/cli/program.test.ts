import { describe, expect, it } from "vitest";
import { migrationSql } from "langchain-training-index/migrations";
import { messageOf } from "../../src/cli/session/command.js";
import { commands } from "../../src/cli/program.js";
import { runHere } from "./command-terminal.js";

const NAMES = [
  ...["migrate", "sql", "status", "verify", "recall", "list", "get", "search", "console", "ingest"],
  ...["reconcile", "eval", "export", "import", "switch"],
];

describe("help", () => {
  it.each([["--help"], ["-h"], ["help"]])("of the program, by %s, lists every command", async (arg) => {
    const { code, stdout, stderr } = await runHere([arg]);
    expect([code, stderr]).toEqual([0, ""]);
    expect(commands.map(({ name }) => name)).toEqual(NAMES);
    for (const name of NAMES) expect(stdout).toMatch(new RegExp(`^ {2}${name}\\b`, "m"));
    expect(stdout).toContain("exit codes:");
  });

  it.each(NAMES)("of %s has its options and examples", async (name) => {
    const { code, stdout } = await runHere([name, "--help"]);
    expect(code).toBe(0);
    const command = commands.find((candidate) => candidate.name === name);
    for (const option of Object.keys(command?.options ?? {})) expect(stdout).toContain(`--${option}`);
    expect(stdout).toMatch(new RegExp(`examples:\n  training-index ${name}`));
    expect(await runHere(["help", name])).toMatchObject({ stdout });
    for (const line of stdout.split("\n")) expect(line.length, line).toBeLessThanOrEqual(130);
  });

  it.each(NAMES)("of %s shows examples that can be read", async (name) => {
    const command = commands.find((candidate) => candidate.name === name);
    for (const example of command?.examples ?? []) {
      const words = example.split(/ [|>] /)[0]?.match(/"[^"]*"|'[^']*'|\S+/g) ?? [];
      const args = words.slice(1).map((word) => word.replace(/^["']|["']$/g, ""));
      expect((await runHere([...args, "--help"])).code, example).toBe(0);
    }
  });

  it("has the version", async () => {
    expect(await runHere(["--version"])).toEqual({ code: 0, stdout: "1.2.3\n", stderr: "" });
  });
});

describe("wrong usage", () => {
  it.each([
    [[], "name a command; training-index --help lists them"],
    [["statsu"], 'there is no command "statsu"; did you mean status?'],
    [["xyzzyxyzzy"], 'there is no command "xyzzyxyzzy"; training-index --help lists them'],
    [["list", "--fitler", "a=b"], "list has no option --fitler; did you mean --filter?"],
    [["list", "-x"], "list has no option -x"],
    [["list", "--limit"], "Option '--limit <value>' argument missing"],
    [["list", "--json=yes"], "Option '--json' does not take an argument"],
    [["list", "loja"], 'list does not take "loja"'],
    [["get"], "get needs ID"],
    [["ingest"], "ingest needs FILES..."],
    [["search", "a", "b"], 'search does not take "b"'],
    [["search", "frete", "--k", "many"], '--k must be a number, not "many"'],
    [["search", "frete", "--mode", "words"], '--mode must be one of vector, text, hybrid, not "words"'],
    [["recall", "--ef-search", "40,x"], "--ef-search must be numbers with commas between them: 40,100"],
    [["verify", "--filter", "loja"], '--filter must be KEY=VALUE, or an object in JSON, such as {"grupo":"loja"}'],
    [["verify", "--filter", '{"grupo":'], "--filter must be KEY=VALUE, or an object in JSON"],
    [["ingest", "docs", "--prune"], "--prune needs --filter, which only the trainings of these files match"],
    [["status"], "DATABASE_URL is not set: export it, or write it to .env"],
    [["status", "--env-file", "/nowhere/.env"], "there is no file /nowhere/.env"],
    [["sql", "--dimensions", "9"], undefined],
    [["sql", "--dimensions", "99999"], "--dimensions must be an integer from 1 to 2000"],
    [["sql", "--trainings", "a.b.c"], "--trainings must be TABLE or TABLE.COLUMN"],
    [["sql", "--schema", ""], "--schema must"],
  ])("of %j", async (args, problem) => {
    const { code, stdout, stderr } = await runHere(args);
    if (problem === undefined) {
      expect([code, stderr]).toEqual([0, ""]);
      return;
    }
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toContain(`training-index: ${problem}`);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
  });

  it("of a setting does not show its value", async () => {
    const { code, stderr } = await runHere(["status"], { DATABASE_URL: "mysql://root:secret@db" });
    expect([code, stderr.includes("secret")]).toEqual([2, false]);
  });

  it("shows the stack with DEBUG", async () => {
    expect((await runHere(["statsu"], { DEBUG: "1" })).stderr).toContain("at runWithoutCommand");
  });
});

describe("messageOf", () => {
  it("names a package that is missing, and hides what others say", () => {
    const missing = new Error("Cannot find package 'pg' imported from /app/cli.js");
    expect(messageOf(missing)).toBe("the package pg is not installed: npm install pg");
    const other = Object.assign(new Error("segredo"), { code: "EACCES" });
    expect(messageOf(other)).toBe("unexpected error EACCES; set DEBUG=1 to see it");
    expect(messageOf(undefined)).toBe("unexpected error; set DEBUG=1 to see it");
  });
});

describe("sql", () => {
  it("prints what migrationSql returns, with the settings of the environment", async () => {
    const args = [
      "sql",
      "--schema",
      "loja",
      "--id-type",
      "bigint",
      "--trainings",
      "treinamento.codigo",
      "--text-search",
      "none",
    ];
    const { stdout } = await runHere(args, { HNSW_M: "8" });
    const trainings = { table: "treinamento", column: "codigo" };
    expect(stdout).toBe(migrationSql({ schema: "loja", idType: "bigint", trainings, hnsw: { m: 8 } }));
  });
});
