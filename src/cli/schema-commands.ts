import { configFromEnv } from "../environment.js";
import { migrate as migrateSchema, migrationSql, type MigrateOptions } from "../migrations/index.js";
import { textSearchLanguages } from "../schema/lexemes.js";
import { idTypes } from "../schema/training-id.js";
import { vectorIndexTypes } from "../schema/vector-index.js";
import type { Arguments } from "./session/arguments.js";
import {
  exitCodes,
  jsonOption,
  schemaOption,
  UsageError,
  type Command,
  type CommandOptions,
} from "./session/command.js";
import { noticePrinter, withPool } from "./session/connection.js";
import { printJson, printLine, type Terminal } from "./session/terminal.js";

const migrationOptions: CommandOptions = {
  ...schemaOption,
  dimensions: { type: "string", value: "N", help: "components of each vector; default 1024" },
  "id-type": { type: "string", value: "TYPE", help: `${idTypes.join(", ")}; default text` },
  trainings: {
    type: "string",
    value: "TABLE",
    help: "adds a foreign key to your table, TABLE or TABLE.COLUMN; default column id",
  },
  "vector-index": { type: "string", value: "TYPE", help: `${vectorIndexTypes.join(", ")}; default vector` },
  "text-search": {
    type: "string",
    value: "LANGUAGE",
    help: "portuguese, english or another stemmer of Postgres, simple, or none; default none",
  },
  "extension-schema": { type: "string", value: "NAME", help: "where to install pgvector; default public" },
};

/** Creates or upgrades the schema. */
export const migrate: Command = {
  name: "migrate",
  summary: "Creates the schema of an index, or brings it up to date",
  details: [
    "Can be repeated. Options that are left out keep their stored values. HNSW_M and HNSW_EF_CONSTRUCTION apply to a new index.",
  ],
  options: { ...migrationOptions, ...jsonOption },
  examples: [
    "training-index migrate --text-search portuguese",
    "training-index migrate --schema loja --id-type bigint",
  ],
  async run(args, terminal) {
    const options = { ...readOptions(args, terminal), onNotice: noticePrinter(terminal) };
    const result = await withPool(terminal, (pool) => migrateSchema(pool, options));
    if (args.flag("json")) await printJson(terminal, result);
    else {
      const { schema, version, applied, vectorIndex, repaired = [] } = result;
      const change = applied.length === 0 ? "already at" : "migrated to";
      await printLine(terminal, `schema ${schema}: ${change} version ${version}, vector index ${vectorIndex}`);
      for (const part of repaired) await printLine(terminal, `repaired: ${part}`);
    }
    return exitCodes.fine;
  },
};

/** Prints the statements of a migration. */
export const sql: Command = {
  name: "sql",
  summary: "Prints the statements of migrate, for other migration tools",
  details: ["Needs no database."],
  options: {
    ...migrationOptions,
    from: { type: "string", value: "VERSION", help: "the current version of the schema; default 0" },
  },
  examples: ["training-index sql --text-search portuguese > 0042_training_index.sql", "training-index sql --from 5"],
  async run(args, terminal) {
    await printLine(terminal, migrationSql({ ...readOptions(args, terminal), from: args.number("from") }).trimEnd());
    return exitCodes.fine;
  },
};

function readOptions(args: Arguments, { env }: Terminal): MigrateOptions {
  const { m, efConstruction } = configFromEnv(env).hnsw;
  const textSearch = args.choice("text-search", [...textSearchLanguages, "none"]);
  return {
    schema: args.text("schema"),
    dimensions: args.number("dimensions"),
    idType: args.choice("id-type", idTypes),
    trainings: readTable(args.text("trainings")),
    vectorIndex: args.choice("vector-index", vectorIndexTypes),
    textSearch: textSearch === "none" ? false : textSearch,
    hnsw: m === undefined && efConstruction === undefined ? undefined : { m, efConstruction },
    extensionSchema: args.text("extension-schema"),
  };
}

function readTable(text: string | undefined): MigrateOptions["trainings"] {
  if (text === undefined) return undefined;
  const [table = "", column, ...others] = text.split(".");
  if (table === "" || column === "" || others.length > 0)
    throw new UsageError("--trainings must be TABLE or TABLE.COLUMN");
  return { table, column };
}
