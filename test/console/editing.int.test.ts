/** Edits of the console: what a person has not seen is never replaced, and nothing is lost. */
import { expect, it } from "vitest";
import type { TrainingId } from "langchain-training-index";
import { readTraining, removeTraining, storeTraining, type Edit } from "../../src/console/editing.js";
import type { Opened } from "../../src/console/open-index.js";
import { describeOnServerOrEmbedded, describeOnServer } from "../support/databases.js";
import { gateOf, sharedIndex, type TestIndex } from "../support/index.js";

const signal = new AbortController().signal;
/** Ids that could break a statement, an address or a page. */
const IDS = ["a/b?c=d#e", "' OR true --", '"><script>alert(1)</script>', "não % 100%", "🌻", "..", "__proto__", "a\nb"];

function openedOf({ index, pool, schema }: TestIndex): Opened {
  return { index, pool, schema, idType: "text" };
}

function edit(id: TrainingId, text: string, version?: string): Edit {
  return { id, text, metadata: { grupo: "loja" }, version };
}

describeOnServerOrEmbedded("edits of the console", (database) => {
  const test = sharedIndex(database);
  const store = (given: Edit): ReturnType<typeof storeTraining> => storeTraining(openedOf(test()), given, signal);
  const read = (id: TrainingId): ReturnType<typeof readTraining> => readTraining(openedOf(test()), id, signal);
  const codeOf = (work: Promise<unknown>): Promise<unknown> =>
    work.then(
      () => "done",
      (error: unknown) => (error as { code?: unknown }).code,
    );

  it("create, read, change and delete a training", async () => {
    expect(await store(edit("frete", "O frete custa doze reais."))).toMatchObject({ status: "indexed", embedded: 1 });
    const first = await read("frete");
    expect(first).toMatchObject({ text: "O frete custa doze reais.", metadata: { grupo: "loja" }, locked: undefined });
    expect(await store(edit("frete", "O frete custa dez reais.", first.version))).toMatchObject({
      embedded: 1,
      removed: 1,
    });
    const { version } = await read("frete");
    expect(version).not.toBe(first.version);
    expect(await removeTraining(openedOf(test()), { id: "frete", version }, signal)).toMatchObject({
      status: "deleted",
    });
    expect(await codeOf(read("frete"))).toBe("GONE");
    expect(await store(edit("frete", "De novo."))).toMatchObject({ status: "indexed" });
  });

  it.each(IDS)("take the id %j", async (id) => {
    await store(edit(id, "Um texto."));
    const { version, id: stored } = await read(id);
    expect(stored).toBe(id);
    await removeTraining(openedOf(test()), { id, version }, signal);
    expect(await codeOf(read(id))).toBe("GONE");
  });

  it("never replace an existing training by a new one", async () => {
    await store(edit("frete", "O frete custa doze reais."));
    expect(await codeOf(store(edit("frete", "Outro.")))).toBe("ID_TAKEN");
    expect((await read("frete")).text).toBe("O frete custa doze reais.");
  });

  it("never replace or delete a version that was not seen", async () => {
    await store(edit("frete", "Primeiro."));
    const { version } = await read("frete");
    await store(edit("frete", "Segundo.", version));
    expect(await codeOf(store(edit("frete", "Terceiro.", version)))).toBe("CHANGED");
    expect(await codeOf(removeTraining(openedOf(test()), { id: "frete", version }, signal))).toBe("CHANGED");
    // The host's own writes count as well, and a training that was deleted and stored again is another version.
    const second = await read("frete");
    await test().index.deleteTraining("frete");
    expect(await codeOf(store(edit("frete", "Terceiro.", second.version)))).toBe("GONE");
    await test().index.upsertTraining({ id: "frete", content: "Segundo.", metadata: { grupo: "loja" } });
    expect(await codeOf(store(edit("frete", "Terceiro.", second.version)))).toBe("CHANGED");
    expect((await read("frete")).text).toBe("Segundo.");
  });

  it("keep the text between and around the passages, and the vectors of what was not edited", async () => {
    const { index, embeddings } = test();
    const paragraphs = Array.from({ length: 8 }, (_, number) =>
      `Parágrafo ${number}: ${"o prazo é de dias. ".repeat(30)}`.trim(),
    );
    const content = paragraphs.join("\n\n");
    await index.upsertTraining({ id: "longo", content });
    const { text, version, passages } = await read("longo");
    expect(passages.length).toBeGreaterThan(3);
    expect(text).toBe(content);
    embeddings.texts = [];
    const result = await store({ id: "longo", text: text.replace("Parágrafo 3", "Trecho 3"), metadata: {}, version });
    expect(result).toMatchObject({ status: "indexed" });
    expect(embeddings.texts.length).toBeLessThan(3);
    expect(result.reused).toBe(result.chunks - embeddings.texts.length);
  });

  it("refuse a training of which a part is missing, since its text would be lost", async () => {
    const { index, owner, schema } = test();
    const content = Array.from({ length: 8 }, (_, number) => `Parágrafo ${number}: ${"texto ".repeat(100)}`).join(
      "\n\n",
    );
    await index.upsertTraining({ id: "longo", content });
    const { version, passages } = await read("longo");
    await owner.query(`DELETE FROM ${schema}.chunk_1 WHERE content = $1`, [passages.at(-1)?.content]);
    expect(await read("longo")).toMatchObject({ locked: "DAMAGED_TRAINING" });
    expect(await codeOf(store({ id: "longo", text: "Curto.", metadata: {}, version }))).toBe("DAMAGED_TRAINING");
  });

  it("refuse a training whose parts have data of their own, which a single text would lose", async () => {
    await test().index.upsertTraining({
      id: "manual",
      documents: [
        { pageContent: "Um.", metadata: { page: 1 } },
        { pageContent: "Dois.", metadata: { page: 2 } },
      ],
    });
    const { version, locked } = await read("manual");
    expect(locked).toBe("IN_PARTS");
    expect(await codeOf(store({ id: "manual", text: "Um.", metadata: {}, version }))).toBe("IN_PARTS");
  });

  it("leave the revision to the host: its next one replaces the edit", async () => {
    const { index } = test();
    await index.upsertTraining({ id: "frete", content: "Sete.", revision: 7 });
    const { version } = await read("frete");
    await store(edit("frete", "Editado.", version));
    expect(await read("frete")).toMatchObject({ text: "Editado.", revision: 7 });
    expect(await index.upsertTraining({ id: "frete", content: "Oito.", revision: 8 })).toMatchObject({
      status: "indexed",
    });
  });

  it("change nothing if the model fails", async () => {
    const { embeddings } = test();
    await store(edit("frete", "Primeiro."));
    const { version } = await read("frete");
    embeddings.before = () => Promise.reject(new Error("down"));
    expect(await codeOf(store(edit("frete", "Segundo.", version)))).toBe("EMBEDDING_FAILED");
    embeddings.before = () => undefined;
    expect((await read("frete")).text).toBe("Primeiro.");
  });
});

describeOnServer("edits of the console at the same time", (database) => {
  const test = sharedIndex(database);

  it("store one of several edits of one version, and refuse all others", async () => {
    const opened = openedOf(test());
    for (let round = 0; round < 5; round += 1) {
      await test().index.upsertTraining({ id: "frete", content: `Rodada ${round}.` });
      const { version } = await readTraining(opened, "frete", signal);
      const outcomes = await Promise.allSettled(
        Array.from({ length: 6 }, (_, person) =>
          storeTraining(opened, edit("frete", `Pessoa ${person}, ${round}.`, version), signal),
        ),
      );
      const stored = outcomes.flatMap(({ status }, person) => (status === "fulfilled" ? [person] : []));
      expect(stored).toHaveLength(1);
      expect((await readTraining(opened, "frete", signal)).text).toBe(`Pessoa ${stored[0]}, ${round}.`);
      for (const outcome of outcomes) {
        if (outcome.status === "rejected") expect(outcome.reason).toMatchObject({ code: "CHANGED" });
      }
    }
  });

  it("create a training once", async () => {
    const opened = openedOf(test());
    for (let round = 0; round < 5; round += 1) {
      const id = `novo ${round}`;
      const outcomes = await Promise.allSettled(
        Array.from({ length: 6 }, (_, person) => storeTraining(opened, edit(id, `Pessoa ${person}.`), signal)),
      );
      expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
      for (const outcome of outcomes) {
        if (outcome.status === "rejected") expect(outcome.reason).toMatchObject({ code: "ID_TAKEN" });
      }
    }
  });

  it("compare the version after the model has answered, so a write meanwhile is not lost", async () => {
    const { index, embeddings } = test();
    const opened = openedOf(test());
    await index.upsertTraining({ id: "frete", content: "Primeiro." });
    const { version } = await readTraining(opened, "frete", signal);
    const gate = gateOf();
    embeddings.before = (texts) => (texts.includes("Meu.") ? gate.promise : undefined);
    const mine = storeTraining(opened, edit("frete", "Meu.", version), signal);
    await index.upsertTraining({ id: "frete", content: "Do host." });
    gate.resolve();
    await expect(mine).rejects.toMatchObject({ code: "CHANGED" });
    embeddings.before = () => undefined;
    expect((await readTraining(opened, "frete", signal)).text).toBe("Do host.");
  });
});
