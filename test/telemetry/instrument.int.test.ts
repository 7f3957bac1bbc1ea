import { setTimeout as sleep } from "node:timers/promises";
import { context, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import type { ReadableSpan } from "@opentelemetry/sdk-trace-base";
import { TrainingIndex } from "langchain-training-index";
import { HashingEmbeddings } from "langchain-training-index/testing";
import { expect, it } from "vitest";
import { describeOnServerOrEmbedded } from "../support/databases.js";
import { DIMENSIONS, gateOf, sharedIndex } from "../support/index.js";
import { record, registerContextManager, treeOf, type Recorder } from "./recorder.js";

const QUESTION = "Quanto custa o frete?";
const FREIGHT = { id: "frete", content: "O frete custa doze reais." };

describeOnServerOrEmbedded("instrument", (database) => {
  const test = sharedIndex(database);

  it("makes the spans of a retriever's call, with those of the embedder and the statements inside", async () => {
    const { index, schema } = test();
    await index.upsertTraining(FREIGHT);
    registerContextManager();
    const recorder = record();
    const tracer = recorder.provider.getTracer("host");
    const retriever = index.asRetriever({ k: 2, filter: { grupo: { exists: false } } });
    await tracer.startActiveSpan("answer", async (span) => {
      await retriever.invoke(QUESTION);
      span.end();
    });
    expect(treeOf(recorder.spans())).toEqual([
      "answer",
      `  retrieval ${schema}`,
      "    embeddings hashing-1",
      "    search-exactly",
    ]);
    expect(described(recorder, "retrieval")).toEqual({
      kind: SpanKind.CLIENT,
      attributes: {
        "gen_ai.operation.name": "retrieval",
        "gen_ai.data_source.id": schema,
        "gen_ai.request.model": "hashing-1",
        "gen_ai.retrieval.top_k": 2,
        "langchain_training_index.search.mode": "vector",
        "langchain_training_index.search.strategy": "chunks",
        "langchain_training_index.search.filtered": true,
        "langchain_training_index.search.reranked": false,
        "langchain_training_index.search.hits": 1,
      },
    });
    expect(described(recorder, "embeddings")).toEqual({
      kind: SpanKind.CLIENT,
      attributes: {
        "gen_ai.operation.name": "embeddings",
        "gen_ai.provider.name": "counting", // of the class CountingEmbeddings
        "gen_ai.request.model": "hashing-1",
        "gen_ai.embeddings.dimension.count": DIMENSIONS,
        "langchain_training_index.embedding.purpose": "query",
        "langchain_training_index.embedding.texts": 1,
        "langchain_training_index.embedding.characters": QUESTION.length,
      },
    });
    expect(described(recorder, "search-exactly")).toEqual({
      kind: SpanKind.CLIENT,
      attributes: {
        "db.system.name": "postgresql",
        "db.query.summary": "search-exactly",
        "db.response.returned_rows": 1,
      },
    });
    expect(await recorder.points()).toEqual([
      {
        metric: "gen_ai.client.operation.duration",
        attributes: {
          "gen_ai.operation.name": "retrieval",
          "gen_ai.data_source.id": schema,
          "gen_ai.request.model": "hashing-1",
          "langchain_training_index.search.mode": "vector",
        },
        value: 1,
      },
      {
        metric: "gen_ai.client.embeddings.duration",
        attributes: {
          "gen_ai.operation.name": "embeddings",
          "gen_ai.provider.name": "counting",
          "gen_ai.request.model": "hashing-1",
          "langchain_training_index.embedding.purpose": "query",
        },
        value: 1,
      },
      {
        metric: "db.client.operation.duration",
        attributes: { "db.system.name": "postgresql", "db.query.summary": "search-exactly" },
        value: 1,
      },
    ]);
  });

  it.each(["with", "without"])("keeps concurrent calls apart, %s a context manager", async (manager) => {
    const { index, schema, pool } = test();
    await index.upsertTraining(FREIGHT);
    if (manager === "with") registerContextManager();
    const recorder = record({ recordQueryText: true });
    const tracer = recorder.provider.getTracer("host");
    const slow = await TrainingIndex.initialize(new SlowEmbeddings(tracer), { pool, schema });
    recorder.reset();
    const ask = async (place: number): Promise<void> => {
      const span = tracer.startSpan(`answer ${place}`);
      await context.with(trace.setSpan(context.active(), span), () => slow.similar(`pergunta ${place}`));
      span.end();
    };
    await Promise.all(Array.from({ length: 20 }, (_, place) => ask(place)));
    const retrievals = recorder.spans().filter(({ name }) => name.startsWith("retrieval"));
    expect(retrievals).toHaveLength(20);
    for (const retrieval of retrievals) {
      const question = String(retrieval.attributes["gen_ai.retrieval.query.text"]);
      expect(parentOf(recorder, retrieval)?.name).toBe(
        manager === "with" ? question.replace("pergunta", "answer") : undefined,
      );
      const children = recorder.spans().filter((span) => parentOf(recorder, span) === retrieval);
      expect(children.map(({ name }) => name)).toEqual(["embeddings hashing-1", "search-exactly"]);
      if (manager === "without") continue;
      // A span that the host's own code makes inside one of ours.
      const [inner] = recorder.spans().filter((span) => parentOf(recorder, span) === children[0]);
      expect(inner?.name).toBe(`request for ${question}`);
    }
  });

  it("makes spans and counts of writes, whichever way they are made", async () => {
    const { index, embeddings, schema } = test();
    await index.upsertTraining(FREIGHT); // records the model
    const recorder = record();
    await index.upsertTrainings([FREIGHT, { id: "prazo", content: "A entrega leva três dias." }]);
    const prepared = await index.prepareTraining({ id: "troca", content: "A troca leva sete dias." });
    await prepared.commit();
    embeddings.before = (texts) => {
      if (texts.includes("Ruim.")) throw new Error("a bad text");
    };
    await index.upsertTrainings([{ id: "a", content: "Ruim." }, FREIGHT], { onFailure: "continue" });
    embeddings.before = () => undefined;
    await index.deleteTrainings({ ids: ["frete", "nenhum"] });
    await index.prune({ olderThanMs: 60_000 });
    await index.vectorStore.addDocuments([{ pageContent: "Boleto.", metadata: {} }], { ids: ["boleto"] });
    const roots = recorder.spans().filter((span) => parentOf(recorder, span) === undefined);
    expect(roots.map(({ name, attributes }) => [name, attributes])).toEqual(
      [
        ["upsert", { trainings: 2, indexed: 1, unchanged: 1, embedded: 1, reused: 1 }],
        ["prepare", { trainings: 1 }],
        ["commit", { trainings: 1, indexed: 1, embedded: 1 }],
        ["upsert", { trainings: 2, unchanged: 1, failed: 1, reused: 1 }],
        ["delete", { trainings: 2, deleted: 1, absent: 1, removed: 1 }],
        ["prune", { trainings: 0 }],
        ["upsert", { trainings: 1, indexed: 1, embedded: 1 }],
      ].map(([operation, counts]) => [
        `${operation as string} ${schema}`,
        {
          "gen_ai.data_source.id": schema,
          "langchain_training_index.write.operation": operation,
          ...Object.fromEntries(
            Object.entries(counts as object).map(([name, count]) => [
              `langchain_training_index.write.${name}`,
              count as number,
            ]),
          ),
        },
      ]),
    );
    const counted = (await recorder.points())
      .filter(({ metric }) => /\.(trainings|chunks)$/.test(metric))
      .map(({ attributes, value }) => [
        attributes["langchain_training_index.write.operation"],
        attributes["langchain_training_index.outcome"],
        value,
      ]);
    expect(counted).toEqual([
      ["upsert", "indexed", 2],
      ["upsert", "unchanged", 2],
      ["commit", "indexed", 1],
      ["upsert", "failed", 1],
      ["delete", "deleted", 1],
      ["delete", "absent", 1],
      ["upsert", "embedded", 2],
      ["upsert", "reused", 2],
      ["commit", "embedded", 1],
      ["delete", "removed", 1],
    ]);
  });

  it("records questions, hits and SQL on request only", async () => {
    const { index } = test();
    await index.upsertTraining(FREIGHT);
    const silent = record();
    const open = record({ recordQueryText: true, recordDocuments: true, recordStatementText: true });
    const [hit] = await index.similar(QUESTION, { k: 1 });
    await index.similar(new Array(DIMENSIONS).fill(1), { k: 1, minScore: 1 });
    expect(JSON.stringify(silent.spans().map(({ attributes }) => attributes))).not.toMatch(/frete|SELECT|score"/i);
    const [byText, byVector] = open.spans().filter(({ name }) => name.startsWith("retrieval"));
    expect(byText?.attributes).toMatchObject({
      "gen_ai.retrieval.query.text": QUESTION,
      "gen_ai.retrieval.documents": JSON.stringify([{ id: hit?.chunkId, score: hit?.score }]),
    });
    expect(byVector?.attributes).toMatchObject({ "gen_ai.retrieval.documents": "[]" });
    expect(byVector?.attributes["gen_ai.retrieval.query.text"]).toBeUndefined();
    const statement = open.spans().find(({ name }) => name === "search-exactly");
    expect(statement?.attributes["db.query.text"]).toMatch(
      /^\s*SELECT \/\* langchain-training-index:search-exactly \*\//,
    );
  });

  it("measures statements without spans, if others make them", async () => {
    const { index, schema } = test();
    const recorder = record({ statementSpans: false });
    await index.similar(QUESTION);
    expect(treeOf(recorder.spans())).toEqual([`retrieval ${schema}`, "  embeddings hashing-1"]);
    expect((await recorder.points()).map(({ metric }) => metric)).toContain("db.client.operation.duration");
  });

  it("records failures by their codes, without texts", async () => {
    const { index, embeddings, schema } = test();
    const recorder = record();
    embeddings.before = () => {
      throw new Error("um texto secreto");
    };
    await expect(index.upsertTraining({ id: "a", content: "um texto secreto" })).rejects.toThrow("failed");
    embeddings.before = () => undefined;
    const failed = recorder.spans().filter(({ status }) => status.code === SpanStatusCode.ERROR);
    expect(failed.map(({ name, status, attributes }) => [name, status.message, attributes["error.type"]])).toEqual([
      ["embeddings hashing-1", "The embedder of model hashing-1 failed", "EMBEDDING_FAILED"],
      [`upsert ${schema}`, "The embedder of model hashing-1 failed", "EMBEDDING_FAILED"],
    ]);
    expect(JSON.stringify([recorder.spans(), await recorder.points()].map(plain))).not.toContain("secreto");
    const points = (await recorder.points()).filter(({ attributes }) => attributes["error.type"] !== undefined);
    expect(points.map(({ metric, value }) => [metric, value])).toEqual([
      ["gen_ai.client.embeddings.duration", 1],
      ["langchain_training_index.write.duration", 1],
    ]);
  });

  it("records the SQLSTATE of a statement that Postgres rejects", async () => {
    const { index, pool, schema } = test();
    const recorder = record();
    const client = await pool.connect();
    try {
      await client.query("BEGIN READ ONLY");
      await expect(index.deleteTraining("frete", { client })).rejects.toMatchObject({ sqlState: "25006" });
    } finally {
      await client.query("ROLLBACK");
      client.release();
    }
    expect(treeOf(recorder.spans())).toEqual([`delete ${schema}`, "  savepoint", "  take-tickets", "  rollback"]);
    const [failed] = recorder.spans().filter(({ name }) => name === "take-tickets");
    expect(failed?.attributes).toMatchObject({ "error.type": "25006" });
  });

  it("records a notice as an event of its span, and counts it", async () => {
    const { index } = test();
    await index.upsertTraining(FREIGHT);
    const recorder = record();
    const by = (): never => {
      throw new Error("um texto secreto");
    };
    await index.similar(QUESTION, { rerank: { by, onFailure: "continue" } });
    const [retrieval] = recorder.spans().filter(({ name }) => name.startsWith("retrieval"));
    expect(retrieval?.events.map(({ name, attributes }) => [name, attributes])).toEqual([
      [
        "langchain_training_index.notice",
        {
          "langchain_training_index.notice.code": "NOT_RERANKED",
          "langchain_training_index.notice.message": expect.stringMatching(/^A search was answered/) as string,
        },
      ],
    ]);
    const notices = (await recorder.points()).filter(({ metric }) => metric.endsWith("notices"));
    expect(notices.map(({ attributes, value }) => [attributes, value])).toEqual([
      [{ "langchain_training_index.notice.code": "NOT_RERANKED" }, 1],
    ]);
  });

  it("records nothing after it was stopped, except work that was in progress", async () => {
    const { index, embeddings, schema } = test();
    const recorder = record();
    const [reached, released] = [gateOf(), gateOf()];
    embeddings.before = () => {
      reached.resolve();
      return released.promise;
    };
    const upserting = index.upsertTraining(FREIGHT);
    await reached.promise;
    recorder.stop();
    released.resolve();
    await upserting;
    embeddings.before = () => undefined;
    await index.similar(QUESTION);
    expect(treeOf(recorder.spans())).toEqual([`upsert ${schema}`, "  take-tickets", "  embeddings hashing-1"]);
    recorder.stop(); // a repeat does nothing
  });
});

/** An embedder that takes a random time, and makes a span as an instrumented HTTP client would. */
class SlowEmbeddings extends HashingEmbeddings {
  readonly #tracer;

  constructor(tracer: ReturnType<Recorder["provider"]["getTracer"]>) {
    super({ dimensions: DIMENSIONS });
    this.#tracer = tracer;
  }

  override async embedQuery(text: string): Promise<number[]> {
    await sleep(Math.random() * 20);
    const span = this.#tracer.startSpan(`request for ${text}`);
    await sleep(Math.random() * 20);
    span.end();
    return super.embedQuery(text);
  }
}

function described(recorder: Recorder, prefix: string): Pick<ReadableSpan, "kind" | "attributes"> | undefined {
  const found = recorder.spans().find(({ name }) => name.startsWith(prefix));
  return found && { kind: found.kind, attributes: found.attributes };
}

function parentOf(recorder: Recorder, { parentSpanContext }: ReadableSpan): ReadableSpan | undefined {
  return recorder.spans().find((span) => span.spanContext().spanId === parentSpanContext?.spanId);
}

function plain(recorded: unknown): unknown {
  return Array.isArray(recorded)
    ? recorded.map(({ name, attributes, events, status }: ReadableSpan) => ({ name, attributes, events, status }))
    : recorded;
}
