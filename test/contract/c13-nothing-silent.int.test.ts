import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  EmbeddingError,
  TrainingIndex,
  type Notice,
  type Training,
  type TrainingIndexOptions,
} from "langchain-training-index";
import { migrate } from "langchain-training-index/migrations";
import { describe, expect, it, onTestFinished } from "vitest";
import { subscribeNotices } from "../support/channels.js";
import { observedPool, openServerPool } from "../support/contract.js";
import { describeOnEach, describeOnServer, uniqueName } from "../support/databases.js";
import { CountingEmbeddings, DIMENSIONS, dropAtEnd, migratedSchema } from "../support/index.js";
import { overtakenPreparation } from "../support/overtaken.js";

/** What the callback of an index was told, and what was published meanwhile. */
interface Told {
  callback: Notice[];
  published: { code: string; message: string }[];
}

async function openTold(
  options: TrainingIndexOptions,
  embeddings = new CountingEmbeddings(),
): Promise<{ index: TrainingIndex; told: Told }> {
  const told: Told = { callback: [], published: subscribeNotices() };
  const onNotice = (notice: Notice): void => void told.callback.push(notice);
  return { index: await TrainingIndex.initialize(embeddings, { ...options, onNotice }), told };
}

/** Both were told the same. */
function expectTold({ callback, published }: Told, ...notices: { code: string; message?: unknown }[]): void {
  expect(callback).toMatchObject(notices);
  expect(published.map(({ code, message }) => ({ code, message }))).toEqual(
    callback.map(({ code, message }) => ({ code, message })),
  );
}

describeOnEach("C13 Nothing silent", (database) => {
  it("a search that falls back, and reranking that fails", async () => {
    const schema = await migratedSchema(database, { textSearch: "portuguese" });
    const embeddings = new CountingEmbeddings();
    embeddings.embedQuery = () => Promise.reject(new Error("is down"));
    const { index, told } = await openTold({ pool: database.pool, schema }, embeddings);
    await index.upsertTraining({ id: "a", content: "O frete custa doze reais." });
    const by = (): never => {
      throw new Error("is down");
    };
    const options = { mode: "hybrid", onTextOnly: () => undefined, rerank: { by, onFailure: "continue" } } as const;
    expect(await index.similar("frete", options)).toHaveLength(1);
    expectTold(told, { code: "TEXT_ONLY" }, { code: "NOT_RERANKED" });
  });

  it("a chunk that the model cannot read whole", async () => {
    const schema = await migratedSchema(database);
    const embeddings = Object.assign(new CountingEmbeddings(), {
      embedEach: async (texts: string[]) =>
        (await embeddings.embedDocuments(texts)).map((vector, place) =>
          (texts[place] ?? "").length < 40 ? vector : new EmbeddingError("TEXT_TOO_LONG", "too long", false),
        ),
    });
    const { index, told } = await openTold({ pool: database.pool, schema }, embeddings);
    await index.upsertTraining({ id: "a", content: "O frete custa doze reais. A entrega leva três dias." });
    expectTold(told, { code: "TEXT_TOO_LONG", message: expect.stringMatching(/^1 chunks were longer/) });
  });

  it("a batch that is stored in parts, because of a host's row or a bad text", async () => {
    const host = uniqueName("host");
    await database.owner.query(`CREATE TABLE public.${host} (id text PRIMARY KEY)`);
    await database.owner.query(`INSERT INTO public.${host} VALUES ('a'), ('c')`);
    const schema = await migratedSchema(database, { trainings: { table: host } });
    onTestFinished(async () => {
      await database.owner.query(`DROP SCHEMA ${schema} CASCADE; DROP TABLE public.${host}`);
    });
    const embeddings = new CountingEmbeddings();
    const { index, told } = await openTold({ pool: database.pool, schema }, embeddings);
    await index.upsertTraining({ id: "a", content: "A loja." });
    const both = ["b", "c"].map((id) => ({ id, content: `A loja ${id}.` }));
    expect(await index.upsertTrainings(both)).toMatchObject({ indexed: 1, superseded: 1 });
    // In a single statement, and then in a transaction.
    const missing = { code: "RETRY", message: expect.stringContaining("host's row") as string };
    expectTold(told, ...told.callback.map(() => missing));
    expect(told.callback.length).toBeGreaterThan(0);

    told.callback.length = told.published.length = 0;
    embeddings.before = (texts) => {
      if (texts.includes("Ruim.")) throw new Error("a bad text");
    };
    const bad = [
      { id: "a", content: "Ruim." },
      { id: "c", content: "Boa." },
    ];
    expect(await index.upsertTrainings(bad, { onFailure: "continue" })).toMatchObject({ indexed: 1 });
    expectTold(told, { code: "RETRY", message: expect.stringContaining("each half") });
  });

  it("a training that another call has changed since it was prepared", async () => {
    const schema = await migratedSchema(database);
    const { index, told } = await openTold({ pool: database.pool, schema });
    const versionOf = (...texts: string[]): Training => ({
      id: "a",
      documents: texts.map((pageContent) => ({ pageContent })),
      split: false,
    });
    await index.upsertTraining({ ...versionOf("O frete."), revision: 0 });
    // Prepared to keep the vector of a chunk that is gone when it is stored.
    const prepared = await overtakenPreparation(index, versionOf("O frete.", "O prazo."), [versionOf("A troca.")]);
    expect(await prepared.commit()).toMatchObject({ status: "indexed", embedded: 2 });
    expectTold(told, { code: "RETRY", message: expect.stringContaining("prepared again") });
  });
});

describeOnServer("C13 Nothing silent", (database) => {
  it("a pool whose clients are all in use", async () => {
    const schema = await migratedSchema(database);
    const pool = openServerPool({ max: 1 });
    const { index, told } = await openTold({ pool, schema });
    const client = await pool.connect();
    const waiting = index.similar("frete");
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    client.release();
    await waiting;
    expectTold(told, { code: "SLOW_POOL", message: expect.stringContaining("whose only client is in use") });
  });

  it("a model that has to be recorded in the host's transaction", async () => {
    const schema = await migratedSchema(database);
    const pool = openServerPool({ max: 1 });
    const { index, told } = await openTold({ pool, schema });
    const client = await pool.connect();
    await client.query("BEGIN");
    const prepared = index.upsertTraining({ id: "a", content: "A loja." }, { client });
    await prepared;
    await client.query("COMMIT");
    client.release();
    expectTold(told, { code: "LATE_CLAIM" });
  });

  it("a claim of an index build that cannot be released", async () => {
    const schema = uniqueName();
    dropAtEnd(database.owner, schema);
    await migrate(database.owner, { schema, dimensions: DIMENSIONS });
    const pool = observedPool(database.owner, {
      before: (text) => {
        if (text.includes("vector_index_claimed_at = NULL")) throw new Error("the connection broke");
      },
    });
    const published = subscribeNotices();
    const told: Notice[] = [];
    const onNotice = (notice: Notice): void => void told.push(notice);
    expect(await migrate(pool, { schema, vectorIndex: "halfvec", onNotice })).toMatchObject({ vectorIndex: "built" });
    expect(told.map(({ code }) => code).filter((code) => code !== "SERIAL_BUILD")).toEqual(["POSTPONED"]);
    expect(published.map(({ code }) => code)).toEqual(told.map(({ code }) => code));
  });

  it("two writes that Postgres cannot serialize", async () => {
    const schema = await migratedSchema(database);
    let failures = 1;
    const rejected = Object.assign(new Error("deadlock detected"), { code: "40P01", severity: "ERROR" });
    const pool = observedPool(openServerPool(), {
      before: (text) => {
        if (text.includes("delete-trainings") && failures-- > 0) throw rejected;
      },
    });
    const { index, told } = await openTold({ pool, schema });
    expect(await index.deleteTraining("a")).toMatchObject({ status: "absent" });
    expectTold(told, { code: "RETRY", message: expect.stringContaining("40P01") });
  });
});

describe("C13 Nothing silent", () => {
  const codes = [
    ...(/NoticeCode =(.*?);/s.exec(readFileSync("src/calls/notices.ts", "utf8"))?.[1] ?? "").matchAll(/\w+/g),
  ]
    .map(([code]) => code)
    .sort();

  it("each code is in the documentation, and no other", () => {
    const [, table = ""] = /^## Notices\n(.*?)^## /ms.exec(readFileSync("docs/configuration.md", "utf8")) ?? [];
    expect([...table.matchAll(/^\| `(\w+)`/gm)].map(([, code]) => code).sort()).toEqual(codes);
  });

  it("each code is used by the sources", () => {
    const sources = readdirSync("src", { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts"))
      .map((name) => readFileSync(join("src", name), "utf8"))
      .join("\n");
    expect(codes.length).toBeGreaterThan(10);
    expect(codes.filter((code) => !sources.includes(`code: "${code}"`))).toEqual([]);
  });
});
