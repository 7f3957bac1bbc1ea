import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findFiles, readTrainings, type FoundTraining } from "../../src/cli/files/training-files.js";

let folder = "";

beforeAll(async () => {
  folder = await mkdtemp("/tmp/training files-");
});

afterAll(() => rm(folder, { recursive: true }));

async function read(name: string, content: string | Buffer, format = {}): Promise<FoundTraining[]> {
  const path = join(folder, name);
  await writeFile(path, content);
  const settings = { base: folder, idColumn: "id", textColumn: "content", delimiter: ",", ...format };
  const found: FoundTraining[] = [];
  for await (const training of readTrainings(path, folder, settings)) found.push(training);
  return found;
}

describe("files with one training", () => {
  it.each(["frete.txt", "frete.MD"])("%s has its path as id", async (name) => {
    expect(await read(name, "\ufeffO frete custa doze reais.\r\n")).toEqual([
      { training: { id: name, content: "O frete custa doze reais.\r\n" }, place: name },
    ]);
    const [moved] = await read(name, "", { base: "/" });
    expect(moved?.training).toEqual({ id: join(folder, name).slice(1), content: "" });
  });
});

describe("jsonl", () => {
  it("has a training on each line", async () => {
    const lines = ['{"id":7,"content":"a","metadata":{"b":1},"revision":3}', "", '{"id":"x","documents":["y"]}\r'];
    expect(await read("a.jsonl", lines.join("\n"))).toEqual([
      { training: { id: 7, content: "a", metadata: { b: 1 }, revision: 3 }, place: "a.jsonl:1" },
      { training: { id: "x", documents: ["y"] }, place: "a.jsonl:3" },
    ]);
    const columns = { idColumn: "codigo", textColumn: "texto" };
    expect(await read("b.jsonl", '{"codigo":"x","texto":"y"}', columns)).toMatchObject([
      { training: { id: "x", content: "y" } },
    ]);
    expect(await read("empty.jsonl", "")).toEqual([]);
  });
});

describe("csv", () => {
  it("has a training on each line; other columns are metadata", async () => {
    const text = 'codigo;resposta;grupo\n1;"doze reais;\nà vista";loja\n';
    const columns = { idColumn: "codigo", textColumn: "resposta", delimiter: ";" };
    expect(await read("a.csv", text, columns)).toEqual([
      { training: { id: "1", content: "doze reais;\nà vista", metadata: { grupo: "loja" } }, place: "a.csv:2" },
    ]);
  });
});

describe("a file that cannot be used", () => {
  it.each([
    ["latin.txt", Buffer.from("preço", "latin1"), "latin.txt is not UTF-8: convert it"],
    ["cut.md", Buffer.from("preç").subarray(0, -1), "cut.md is not UTF-8"],
    ["utf16.csv", Buffer.from("\ufeffid,content", "utf16le"), "utf16.csv is not UTF-8"],
    ["a.jsonl", '{"id":"a","content":"b"}\n{"id":segredo', /^a\.jsonl:2 is not JSON$/],
    ["b.jsonl", '["segredo"]', /^b\.jsonl:1 is not a JSON object, such as [^s]*$/],
    ["a.csv", "", "a.csv is empty: its first line must name the columns"],
    ["b.csv", "codigo,content\n1,a", 'b.csv has no column "id" in its first line; see --id-column and --delimiter'],
    ["c.csv", "id,texto\n1,a", 'c.csv has no column "content" in its first line; see --text-column and --delimiter'],
    ["d.csv", "id,content,id\n1,a,2", 'd.csv has more than one column "id"'],
    ["e.csv", "id,content\n1,a\n2,b,c", "e.csv:3 has 3 fields, but the first line has 2"],
    ["f.csv", 'id,content\n1,"a', "f.csv:2 has a quote that is never closed"],
    ["g.csv", 'id;content\n1;"a ""segredo"""', 'g.csv has no column "id" in its first line'],
  ])("%s is named, without its text", async (name, content, problem) => {
    await expect(read(name, content)).rejects.toThrow(problem);
  });
});

describe("findFiles", () => {
  it("finds the files of folders once, in order, and refuses others", async () => {
    await mkdir(join(folder, "docs", "sub"), { recursive: true });
    for (const name of ["b.md", "a.txt", "x.pdf", "sub/c.csv"]) await writeFile(join(folder, "docs", name), "");
    const paths = ["a.txt", "b.md", "sub/c.csv"].map((name) => join(folder, "docs", name));
    expect(await findFiles(["docs", "docs/b.md", "./docs/a.txt"], folder)).toEqual(paths);
    await expect(findFiles(["docs/x.pdf"], folder)).rejects.toThrow("docs/x.pdf is not one of .txt, .md, .jsonl, .csv");
    await expect(findFiles(["nowhere"], folder)).rejects.toThrow("nowhere cannot be read: there is no such file");
  });
});
