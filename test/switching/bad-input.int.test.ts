/** What can be wrong with a switch: a clear error, and the model in use goes on untouched. */
import { EmbeddingError, TrainingIndex } from "langchain-training-index";
import { expect, it } from "vitest";
import { failureOf } from "../support/contract.js";
import { describeOnServerOrEmbedded } from "../support/databases.js";
import { smallTraining } from "../support/index.js";
import { OtherEmbeddings, otherModel } from "../support/other-model.js";
import { hold, openSwitching, type Switching } from "../support/switching.js";

const MONTH_MS = 30 * 24 * 3600 * 1000;

/** A model with a window, which refuses longer texts one by one. */
class SmallWindow extends OtherEmbeddings {
  readonly #characters: number;
  readonly embedded: string[] = [];

  constructor(characters: number) {
    super(32, "small-window");
    this.#characters = characters;
  }

  async embedEach(texts: readonly string[]): Promise<(number[] | EmbeddingError)[]> {
    return Promise.all(
      texts.map(async (text) => {
        if (text.length > this.#characters) return new EmbeddingError("TEXT_TOO_LONG", "is too long", false);
        this.embedded.push(text);
        return this.embedQuery(text);
      }),
    );
  }
}

/** The model in use before the switch still answers, and is the one that writes go to. */
async function expectUntouched({ both, index, embeddings }: Switching): Promise<void> {
  expect((await index.similar("loja")).length).toBeGreaterThan(0);
  expect(await both.upsertTraining({ id: "depois", content: "Depois da falha." })).toMatchObject({ status: "indexed" });
  expect(await index.similar("Depois da falha.", { k: 1 })).toMatchObject([{ trainingId: "depois" }]);
  expect((await both.status()).model).toMatchObject({ name: embeddings.profile.model });
}

describeOnServerOrEmbedded("A switch of the model that goes wrong", (database) => {
  it("cuts the stored chunks that are longer than the new model reads, and loses no text", async () => {
    const { both, switching, pool, schema } = await openSwitching(database, ["a"]);
    const content = `Primeira frase. ${"O prazo de entrega é de dez dias. ".repeat(8)}\r\nFim.`;
    await both.upsertTraining({ id: "longo", content });
    const small = new SmallWindow(60);
    expect(await switching.switchModel(small)).toMatchObject({ status: "switched" });
    const opened = await TrainingIndex.initialize(small, { pool, schema });
    const chunks = await opened.chunks("longo");
    expect(chunks.length).toBeGreaterThan(4);
    expect(Math.max(...small.embedded.map(({ length }) => length))).toBeLessThanOrEqual(60);
    for (const chunk of chunks) expect(content.slice(chunk.start, chunk.end)).toBe(chunk.content);
    const covered = chunks.map(({ content: text }) => text.replace(/\s/g, "")).join("");
    expect(covered).toBe(content.replace(/\s/g, ""));
    expect(await opened.similar("Fim.", { k: 1 })).toMatchObject([{ trainingId: "longo" }]);
    expect(await opened.verify()).toMatchObject({ damaged: { count: 0 } });
  });

  it("is refused for a model that finds every text too long", async () => {
    const test = await openSwitching(database);
    const failure = await failureOf(test.switching.switchModel(new SmallWindow(0), { dimensions: 32 }));
    expect(failure).toMatchObject({ code: "SWITCH_REFUSED", retryable: false });
    expect(failure.message).toContain("longer than the new model reads");
    await expectUntouched(test);
  });

  it("ends where the new model changes its dimensions in the middle", async () => {
    const test = await openSwitching(database);
    const { switching, next } = test;
    const embed = next.embedDocuments.bind(next);
    next.embedDocuments = async (texts) =>
      (await embed(texts)).map((vector) => (texts[0] === "loja" ? vector : vector.slice(1)));
    expect(await failureOf(switching.switchModel(next))).toMatchObject({ code: "EMBEDDING_INVALID", retryable: false });
    await expectUntouched(test);
  });

  it("can be tried again and again while the embedder fails, and ended while it hangs", async () => {
    const test = await openSwitching(database);
    const { both, switching, next } = test;
    next.before = (texts) => {
      if (texts[0] !== "loja") throw new Error("down");
    };
    for (let hour = 1; hour <= 3; hour++) {
      expect(await failureOf(switching.switchModel(next))).toMatchObject({ code: "EMBEDDING_FAILED", retryable: true });
    }
    await expectUntouched(test);
    const { reached } = hold(next);
    const controller = new AbortController();
    const hanging = switching.switchModel(next, { signal: controller.signal });
    await reached;
    controller.abort();
    expect((await failureOf(hanging)).name).toBe("AbortError");
    next.before = () => undefined;
    expect(await switching.switchModel(next)).toMatchObject({ status: "switched", report: { behind: 0 } });
    expect(await both.similar("Depois da falha.", { k: 1 })).toMatchObject([{ trainingId: "depois" }]);
  });

  it("shares the work with a second call for the same model, and refuses one for a third model", async () => {
    const { both, switching, next, owner, schema, embeddings } = await openSwitching(database);
    const held = hold(next);
    const first = switching.switchModel(next, { sample: 0 });
    await held.reached;
    const elsewhere = await TrainingIndex.initialize(embeddings, { pool: owner, schema });
    const refused = await failureOf(elsewhere.switchModel(otherModel(16, "third")));
    expect(refused).toMatchObject({ code: "SWITCH_REFUSED", retryable: false });
    expect(refused.message).toContain('is being switched to "other-1" with 32 dimensions');
    const second = elsewhere.switchModel(otherModel(32), { sample: 0 });
    held.release();
    const results = await Promise.all([first, second]);
    expect(results).toMatchObject([{ status: "switched" }, { status: "switched" }]);
    expect(await both.status()).toMatchObject({ model: { name: "other-1" }, otherModel: { state: "retired" } });
  });

  it("ends with an error if the new model is discarded meanwhile", async () => {
    const test = await openSwitching(database);
    const { switching, next } = test;
    const held = hold(next);
    const running = switching.switchModel(next, { sample: 0 });
    await held.reached;
    expect(await switching.retireModel()).toMatchObject({ name: "other-1" });
    held.release();
    expect(["CONFLICT", "SCHEMA_MISSING", "SCHEMA_DAMAGED"]).toContain((await failureOf(running)).code);
    await expectUntouched(test);
  });

  it("is reported a month later, and can then be continued or discarded", async () => {
    const test = await openSwitching(database);
    const { both, switching, next, owner, schema } = test;
    const abandon = async (): Promise<void> => {
      next.before = (texts) => {
        if (texts[0] !== "loja") throw new Error("down");
      };
      await failureOf(switching.switchModel(next));
      next.before = () => undefined;
      await owner.query(
        `UPDATE ${schema}.profile SET created_at = now() - interval '30 days' WHERE status = 'building'`,
      );
    };
    const warnings = async (): Promise<string[]> => (await both.status()).warnings.map(({ code }) => code);
    await abandon();
    expect(await warnings()).toContain("SWITCH_ABANDONED");
    await expectUntouched(test);
    await switching.retireModel();
    expect(await warnings()).not.toContain("SWITCH_ABANDONED");
    await abandon();
    expect(await warnings()).toContain("SWITCH_ABANDONED");
    expect((await both.status()).otherModel?.createdAt.getTime()).toBeLessThan(Date.now() - MONTH_MS + 60_000);
    await switching.switchModel(next);
    expect(await warnings()).not.toContain("SWITCH_ABANDONED");
    // A switch back is not an abandoned one, however old its model is.
    await owner.query(`UPDATE ${schema}.profile SET created_at = now() - interval '30 days'`);
    await both.upsertTraining(smallTraining("z"));
    const held = hold(test.embeddings);
    const back = switching.switchModel(test.embeddings);
    await held.reached;
    expect(await warnings()).not.toContain("SWITCH_ABANDONED");
    held.release();
    await back;
  });

  it("ends with a retryable error when the disk is full, and is continued when it is not", async () => {
    const test = await openSwitching(database);
    const { both, switching, next, owner, schema } = test;
    const held = hold(next);
    const running = switching.switchModel(next);
    await held.reached;
    await owner.query(`CREATE FUNCTION ${schema}.no_space() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      RAISE EXCEPTION 'could not extend file "base/1/2": No space left on device' USING ERRCODE = '53100'; END $$`);
    await owner.query(
      `CREATE TRIGGER no_space BEFORE INSERT ON ${schema}.chunk_2 EXECUTE FUNCTION ${schema}.no_space()`,
    );
    held.release();
    expect(await failureOf(running)).toMatchObject({ name: "DatabaseError", sqlState: "53100", retryable: true });
    await expectUntouched(test);
    expect(await both.status()).toMatchObject({ otherModel: { state: "building", behind: 4 } });
    await owner.query(`DROP TRIGGER no_space ON ${schema}.chunk_2`);
    expect(await switching.switchModel(next)).toMatchObject({ status: "switched", trainings: 4 });
  });
});
