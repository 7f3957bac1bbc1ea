import type pg from "pg";
import { checkDatabase } from "../../calls/host-database.js";
import { configFromEnv } from "../../environment.js";
import { SchemaError } from "../../errors.js";
import type { EmbeddingProfile, Filter, IdType, Notice, TrainingIndex } from "../../index.js";
import { migrationStatus } from "../../migrations/index.js";
import { boundedDatabase } from "../../postgres/host-client.js";
import { readActiveProfile } from "../../schema/catalog.js";
import { DEFAULT_SCHEMA } from "../../schema/layout.js";
import type { Arguments } from "./arguments.js";
import { PROGRAM, UsageError } from "./command.js";
import { embedderOf, unusedEmbedder } from "./embedders.js";
import { printNote, type Terminal } from "./terminal.js";

/** A migrated schema, before an index is opened on it. */
export interface FoundSchema {
  name: string;
  idType: IdType;
  dimensions: number;
  /** The model of the stored vectors; `undefined` until the first write. */
  recorded: EmbeddingProfile | undefined;
}

/** An index that a command has opened. */
export interface OpenedIndex {
  index: TrainingIndex;
  schema: FoundSchema;
}

/** How a command opens an index. */
export interface OpenOptions {
  /** Whether the command embeds texts, or only with the recorded model. If it does not, no embedder is needed. */
  embeds: boolean | "recorded";
  filter?: Filter | undefined;
  /** The model, if the command knows which; default: the recorded one. */
  profile?: Omit<EmbeddingProfile, "maxTokens"> | undefined;
}

/** Opens a pool on a server. */
export async function openServerPool(connectionString: string): Promise<pg.Pool> {
  const { Pool } = (await import("pg")).default; // here, because `sql` needs no database
  const pool = new Pool({ connectionString, application_name: "training-index" });
  // The statement that needs the connection reports the outage; without a listener a lost idle one would end the process.
  pool.on("error", () => undefined);
  return pool;
}

/**
 * Runs work with a pool on the database of `DATABASE_URL`, and ends the pool.
 *
 * @throws {@link UsageError} without `DATABASE_URL`
 */
export async function withPool<T>({ env, openPool }: Terminal, work: (pool: pg.Pool) => Promise<T>): Promise<T> {
  const { databaseUrl } = configFromEnv(env);
  if (databaseUrl === undefined) {
    throw new UsageError(
      "DATABASE_URL is not set: export it, or write it to .env: postgres://user:password@host/database",
    );
  }
  const pool = await openPool(databaseUrl);
  try {
    return await work(pool);
  } finally {
    await pool.end();
  }
}

/** @returns an `onNotice` that prints fallbacks to stderr */
export function noticePrinter(terminal: Terminal): (notice: Notice) => void {
  return ({ code, message }) => {
    printNote(terminal, `${PROGRAM}: ${code}: ${message}`);
  };
}

/** Opens an index on the schema that the arguments name, and runs work with it. */
export async function withIndex<T>(
  args: Arguments,
  terminal: Terminal,
  options: OpenOptions,
  work: (opened: OpenedIndex) => Promise<T>,
): Promise<T> {
  return withPool(terminal, async (pool) => work(await openIndex(pool, args, terminal, options)));
}

/** Opens an index on the schema that the arguments name. */
export async function openIndex(
  pool: pg.Pool,
  args: Arguments,
  terminal: Terminal,
  { embeds, filter, profile }: OpenOptions,
): Promise<OpenedIndex> {
  const schema = await findSchema(pool, args.text("schema"));
  const { efSearch } = configFromEnv(terminal.env).hnsw;
  const chosen = embeds === "recorded" ? schema.recorded?.model : undefined;
  const embeddings = embeds ? await embedderOf(args, terminal, schema, chosen) : unusedEmbedder(schema, profile);
  // Here, because commands without an index should not wait for LangChain.
  const { TrainingIndex } = await import("../../index.js");
  const whole = await TrainingIndex.initialize(embeddings, {
    pool,
    schema: schema.name,
    hnsw: { efSearch },
    onNotice: noticePrinter(terminal),
  });
  return { index: filter === undefined ? whole : whole.withFilter(filter), schema };
}

/** @throws {@link SchemaError} if it has not been migrated; `TrainingIndex.initialize` checks everything else */
async function findSchema(pool: pg.Pool, name = DEFAULT_SCHEMA): Promise<FoundSchema> {
  const { version, idType, dimensions } = await migrationStatus(pool, { schema: name });
  if (version === 0 || idType === undefined || dimensions === undefined) {
    const state = version === 0 ? "has not been migrated" : "is damaged";
    throw new SchemaError(
      version === 0 ? "SCHEMA_MISSING" : "SCHEMA_DAMAGED",
      `Schema ${JSON.stringify(name)} ${state}: run training-index migrate --schema ${name}`,
    );
  }
  const recorded = (await readActiveProfile(boundedDatabase(checkDatabase(pool)), name))?.recorded;
  return { name, idType, dimensions, recorded: recorded && { ...recorded, dimensions } };
}
