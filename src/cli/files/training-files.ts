import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { extname, join, relative, resolve, sep } from "node:path";
import type { Training } from "../../index.js";
import { InputError } from "../session/command.js";
import { readCsv } from "./csv.js";

/** Extensions of files with one training each. */
const TEXTS = [".txt", ".md"];
const EXTENSIONS = [...TEXTS, ".jsonl", ".csv"];

/** How files are read. */
export interface FileFormat {
  /** Ids of texts are their paths, relative to this folder. */
  base: string;
  /** The key or column of ids and texts, in jsonl and csv. */
  idColumn: string;
  textColumn: string;
  /** Between the fields of csv. */
  delimiter: string;
}

/** A training as it is in a file: the library checks it. */
export interface FoundTraining {
  training: Training;
  /** `docs/a.md`, or with the line `faq.csv:7`, for errors. */
  place: string;
}

/**
 * The paths of the files to read, without duplicates. Of folders, all files with a known extension, in order.
 *
 * @throws {@link InputError} for a file that does not exist, or is of another kind
 */
export async function findFiles(given: readonly string[], cwd: string): Promise<string[]> {
  const found = new Set<string>();
  for (const name of given) {
    const path = resolve(cwd, name);
    const stats = await stat(path).catch((error: unknown) => {
      throw unreadable(name, error);
    });
    if (stats.isDirectory()) {
      const names = await readdir(path, { recursive: true });
      for (const inside of names.filter(isKnown).sort()) found.add(join(path, inside));
    } else if (isKnown(name)) found.add(path);
    else throw new InputError(`${name} is not one of ${EXTENSIONS.join(", ")}`);
  }
  return [...found];
}

function isKnown(name: string): boolean {
  return EXTENSIONS.includes(extname(name).toLowerCase());
}

/**
 * Reads the trainings of a file, one at a time.
 *
 * @throws {@link InputError} that names the file and the line
 */
export async function* readTrainings(
  path: string,
  cwd: string,
  format: FileFormat,
): AsyncGenerator<FoundTraining, void, undefined> {
  const name = relative(cwd, path);
  const extension = extname(path).toLowerCase();
  if (TEXTS.includes(extension)) {
    let content = "";
    for await (const part of readText(path, name)) content += part;
    const id = relative(format.base, path).split(sep).join("/");
    yield { training: { id, content }, place: name };
    return;
  }
  const read = extension === ".csv" ? readCsvTrainings : readJsonTrainings;
  yield* read(readText(path, name), name, format);
}

/** The text of a file in parts, without a byte order mark. */
async function* readText(path: string, name: string): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  try {
    for await (const bytes of createReadStream(path)) yield decoder.decode(bytes as Buffer, { stream: true });
    yield decoder.decode();
  } catch (error) {
    if (!(error instanceof TypeError)) throw unreadable(name, error);
    throw new InputError(`${name} is not UTF-8: convert it, for example with iconv -f latin1 -t utf-8`);
  }
}

async function* readJsonTrainings(
  text: AsyncIterable<string>,
  name: string,
  { idColumn, textColumn }: FileFormat,
): AsyncGenerator<FoundTraining, void, undefined> {
  let number = 0;
  for await (const line of readLines(text)) {
    number += 1;
    if (line.trim() === "") continue;
    const place = `${name}:${number}`;
    const { [idColumn]: id, [textColumn]: content, ...others } = parseObject(line, place);
    const texts = content === undefined ? {} : { content };
    yield { training: { ...others, id, ...texts } as Training, place };
  }
}

function parseObject(line: string, place: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new InputError(`${place} is not JSON`); // without the message of JSON.parse, which quotes the text
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new InputError(`${place} is not a JSON object, such as {"id":"frete","content":"..."}`);
}

async function* readLines(text: AsyncIterable<string>): AsyncGenerator<string, void, undefined> {
  let rest = "";
  for await (const part of text) {
    const lines = (rest + part).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
  yield rest;
}

async function* readCsvTrainings(
  text: AsyncIterable<string>,
  name: string,
  { idColumn, textColumn, delimiter }: FileFormat,
): AsyncGenerator<FoundTraining, void, undefined> {
  const fail = (line: number, problem: string): Error => new InputError(`${name}:${line} ${problem}`);
  let columns: string[] | undefined;
  for await (const { line, fields } of readCsv(text, delimiter, fail)) {
    if (!columns) {
      columns = fields;
      requireColumn(columns, idColumn, name, "--id-column");
      requireColumn(columns, textColumn, name, "--text-column");
      continue;
    }
    if (fields.length !== columns.length) {
      throw fail(line, `has ${fields.length} fields, but the first line has ${columns.length}`);
    }
    const record = Object.fromEntries(columns.map((column, index) => [column, fields[index] ?? ""]));
    const { [idColumn]: id = "", [textColumn]: content = "", ...metadata } = record;
    yield { training: { id, content, metadata }, place: `${name}:${line}` };
  }
  if (!columns) throw new InputError(`${name} is empty: its first line must name the columns`);
}

function requireColumn(columns: readonly string[], column: string, name: string, option: string): void {
  const count = columns.filter((candidate) => candidate === column).length;
  if (count === 1) return;
  const problem = count === 0 ? "has no" : "has more than one";
  throw new InputError(
    `${name} ${problem} column ${JSON.stringify(column)} in its first line; see ${option} and --delimiter`,
  );
}

function unreadable(name: string, error: unknown): InputError {
  const { code = "" } = error as NodeJS.ErrnoException;
  return new InputError(`${name} cannot be read: ${code === "ENOENT" ? "there is no such file" : code}`, {
    cause: error,
  });
}
