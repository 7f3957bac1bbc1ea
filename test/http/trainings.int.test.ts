/** `trainingsHandler` on a real index: what arrives twice, late, or from another tenant. */
import { trainingsHandler, type TrainingsHandlerOptions } from "langchain-training-index/http";
import { describe, expect, it } from "vitest";
import { describeOnServerOrEmbedded, uniqueName, type TestDatabase } from "../support/databases.js";
import { checkTrainingsAnswer, everyone, IDS_OF_ANY_CHARACTERS, put } from "../support/http-trainings.js";
import { openTestIndex, sharedIndex, type TestIndex } from "../support/index.js";

type Handler = (request: Request) => Promise<Response>;

/** Sends a request, checks the answer against `docs/openapi.yaml`, and returns the status and the body. */
async function ask(handler: Handler, path: string, init: RequestInit = {}): Promise<[status: number, body: unknown]> {
  const request = new Request(`http://localhost${path}`, init);
  const response = await handler(request);
  const text = await response.text();
  checkTrainingsAnswer(request, response, text);
  return [response.status, JSON.parse(text)];
}

const remove = (revision?: number): [string, RequestInit] => [
  revision === undefined ? "" : `?revision=${revision}`,
  { method: "DELETE" },
];

/** Everything that is stored of trainings, in a form that can be compared. */
async function rowsOf({ owner, schema }: TestIndex): Promise<unknown[]> {
  const tables = ["training", "indexed_1", "chunk_1"].map((table) => `SELECT t::text AS row FROM ${schema}.${table} t`);
  return (await owner.query<{ row: string }>(`${tables.join(" UNION ALL ")} ORDER BY 1`)).rows;
}

describeOnServerOrEmbedded("trainings over HTTP", (database) => {
  const test = sharedIndex(database);
  const open = (options: Partial<TrainingsHandlerOptions> = {}): Handler =>
    trainingsHandler(test().index, { ...everyone, ...options });

  it("are stored, found, read, listed and deleted", async () => {
    const handler = open();
    const body = { content: "O frete custa doze reais.", metadata: { grupo: "loja" }, revision: 7 };
    const outcome = { id: "frete", status: "indexed", chunks: 1, embedded: 1, reused: 0, removed: 0 };
    expect(await ask(handler, "/trainings/frete", put(body))).toEqual([200, outcome]);
    expect(await test().index.similar("frete")).toMatchObject([{ trainingId: "frete", content: body.content }]);
    expect(await ask(handler, "/trainings/frete", put(body))).toMatchObject([
      200,
      { status: "unchanged", embedded: 0 },
    ]);
    const stored = { id: "frete", metadata: { grupo: "loja" }, revision: 7, chunks: 1 };
    expect(await ask(handler, "/trainings/frete")).toMatchObject([200, stored]);
    const documents = [{ page_content: "Um.", metadata: { page: 1 } }, { pageContent: "Dois." }];
    await ask(handler, "/trainings/manual", put({ documents, split: false }));
    const page = await ask(handler, "/trainings?limit=1");
    expect(page).toMatchObject([200, { trainings: [stored], next: "frete" }]);
    expect(await ask(handler, "/trainings?limit=1&after=frete")).toMatchObject([
      200,
      { trainings: [{ id: "manual", chunks: 2 }], next: null },
    ]);
    expect(await ask(handler, "/trainings/frete", { method: "DELETE" })).toEqual([
      200,
      { id: "frete", status: "deleted", removed: 1 },
    ]);
    expect((await ask(handler, "/trainings/frete"))[0]).toBe(404);
    expect(await test().index.similar("frete", { filter: { grupo: "loja" } })).toEqual([]);
  });

  it("are as their highest revision says, in whatever order requests arrive, and however often", async () => {
    const handler = open();
    const version = (revision: number): [string, RequestInit] => [
      "",
      put({ content: `Versão ${revision}.`, revision }),
    ];
    const send = async ([query, init]: [string, RequestInit]): Promise<unknown> =>
      (await ask(handler, `/trainings/a${query}`, init))[1];
    expect(await send(version(2))).toMatchObject({ status: "indexed" });
    expect(await send(version(1))).toMatchObject({ status: "superseded", reason: "newer" });
    expect(await send(remove(1))).toMatchObject({ status: "superseded" });
    expect(await send(version(2))).toMatchObject({ status: "unchanged" });
    expect(await send(remove(3))).toMatchObject({ status: "deleted" });
    for (const late of [version(2), version(1), version(2)]) {
      expect(await send(late)).toMatchObject({ status: "superseded", reason: "deleted" });
    }
    expect(await send(remove(3))).toMatchObject({ status: "absent" });
    expect((await ask(handler, "/trainings/a"))[0]).toBe(404);
    expect(await send(version(4))).toMatchObject({ status: "indexed" });
    expect(await send(remove(3))).toMatchObject({ status: "superseded" });
    expect(await test().index.similar("Versão")).toMatchObject([{ content: "Versão 4." }]);
  });

  it("have ids of any characters, which lead from page to page", async () => {
    const handler = open();
    for (const id of IDS_OF_ANY_CHARACTERS) {
      const path = `/trainings/${encodeURIComponent(id)}`;
      expect(await ask(handler, path, put({ content: id })), id).toMatchObject([200, { id, status: "indexed" }]);
      expect(await ask(handler, path), id).toMatchObject([200, { id }]);
    }
    const listed: string[] = [];
    for (let after: string | null | undefined; after !== null;) {
      const query = new URLSearchParams(after === undefined ? { limit: "5" } : { limit: "5", after });
      const [, page] = await ask(handler, `/trainings?${query.toString()}`);
      const { trainings, next } = page as { trainings: { id: string }[]; next: string | null };
      listed.push(...trainings.map(({ id }) => id));
      after = next;
    }
    expect(listed.sort()).toEqual([...IDS_OF_ANY_CHARACTERS].sort());
    for (const id of [" ", "x".repeat(1025), "a\0b"]) {
      expect((await ask(handler, `/trainings/${encodeURIComponent(id)}`, put({ content: "a" })))[0], id).toBe(400);
    }
  });

  it.each([
    [{}, "training must have"],
    [{ content: 5 }, "content must be a string"],
    [{ content: null }, "content must be a string"],
    [{ content: "a", documents: [] }, "training must have either content or documents, not both"],
    [{ content: "a", split: false }, "split can only be given with documents"],
    [{ content: "a", metadata: [] }, "metadata must be"],
    [{ content: "a", metadata: { conta: 2 ** 53 } }, "metadata.conta"],
    [{ documents: [{ text: "a" }] }, "documents[0] must have a pageContent or page_content"],
    [{ documents: ["{"] }, "documents[0] is a string, but not valid JSON of a document"],
  ])("are refused with what is wrong, and nothing is stored: %j", async (body, error) => {
    const [status, answer] = await ask(open(), "/trainings/a", put(body));
    expect(status, JSON.stringify(answer)).toBe(400);
    if (Object.keys(body).length > 0) expect(answer).toEqual({ error: expect.stringContaining(error) as string });
    expect(await rowsOf(test())).toEqual([]);
  });

  it("are refused if the body is nested deeper than a stack holds", async () => {
    const depth = 100_000;
    const nested = `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`;
    const init = { ...put({}), body: `{"content":"a","metadata":${nested}}` };
    expect(await ask(open(), "/trainings/a", init)).toEqual([400, { error: "The body is nested too deep" }]);
    expect(await rowsOf(test())).toEqual([]);
  });

  describe("of one tenant", () => {
    const tenants = (): Handler =>
      open({ options: ({ headers }) => ({ filter: { empresa: headers.get("x-empresa") ?? "" } }) });
    const as = (empresa: string, init: RequestInit = {}): RequestInit => ({
      ...init,
      headers: { ...(init.headers as Record<string, string>), "x-empresa": empresa },
    });

    it("are stored with its value, and no other tenant sees, replaces or deletes them", async () => {
      const handler = tenants();
      const secret = { content: "Segredo da globex.", metadata: { grupo: "loja" }, revision: 1 };
      expect((await ask(handler, "/trainings/preco", as("globex", put(secret))))[0]).toBe(200);
      expect(await test().index.get("preco")).toMatchObject({ metadata: { empresa: "globex", grupo: "loja" } });
      const before = await rowsOf(test());

      const hostile = { content: "Da acme.", revision: 99 };
      expect(await ask(handler, "/trainings/preco", as("acme"))).toEqual([404, { error: "There is no such training" }]);
      expect(await ask(handler, "/trainings", as("acme"))).toEqual([200, { trainings: [], next: null }]);
      for (const metadata of [{}, { empresa: "acme" }, { empresa: "globex" }]) {
        const [status, answer] = await ask(handler, "/trainings/preco", as("acme", put({ ...hostile, metadata })));
        expect([400, 409]).toContain(status);
        expect(JSON.stringify(answer)).not.toMatch(/globex|Segredo/);
      }
      const others = [
        { content: "a", metadata: { empresa: "globex" } },
        { content: "a", metadata: { empresa: ["acme", "globex"] } },
        { content: "a", metadata: { empresa: null } },
        { documents: [{ pageContent: "a", metadata: { empresa: "globex" } }] },
        { documents: [{ pageContent: "a" }, { page_content: "b", metadata: { empresa: "globex" } }], split: false },
      ];
      for (const body of others) {
        const [status] = await ask(handler, "/trainings/novo", as("acme", put(body)));
        expect(status, JSON.stringify(body)).toBe(400);
      }
      for (const [query, init] of [remove(), remove(99)]) {
        const answer = await ask(handler, `/trainings/preco${query}`, as("acme", init));
        expect(answer).toEqual([200, { id: "preco", status: "absent", removed: 0 }]);
      }
      expect(await rowsOf(test())).toEqual(before);
      expect(await test().index.similar("segredo")).toMatchObject([{ content: "Segredo da globex." }]);
    });

    it("are not kept out by what another tenant has deleted", async () => {
      const handler = tenants();
      for (const id of ["nunca", "antes"]) {
        if (id === "antes") await ask(handler, "/trainings/antes", as("acme", put({ content: "a", revision: 8 })));
        await ask(handler, `/trainings/${id}?revision=99`, as("acme", { method: "DELETE" }));
        const [, stored] = await ask(handler, `/trainings/${id}`, as("globex", put({ content: "b", revision: 1 })));
        expect(stored).toMatchObject({ status: "indexed" });
        expect((await ask(handler, `/trainings/${id}`, as("acme", put({ content: "a", revision: 100 }))))[0]).toBe(409);
      }
    });

    it("are not taken for stored if another tenant takes the id at the same time", async () => {
      const handler = tenants();
      const { embeddings, index } = test();
      const version = { content: "Da acme.", revision: 9 };
      embeddings.before = async (texts) => {
        if (texts.includes("Da acme."))
          await ask(handler, "/trainings/novo", as("globex", put({ content: "Da globex." })));
      };
      expect(await ask(handler, "/trainings/novo", as("acme", put(version)))).toMatchObject([409, {}]);
      expect(await index.get("novo")).toMatchObject({ metadata: { empresa: "globex" } });
      // A newer version of its own is no conflict.
      embeddings.before = async (texts) => {
        if (texts.includes("Da acme."))
          await ask(handler, "/trainings/seu", as("acme", put({ content: "Nova.", revision: 10 })));
      };
      expect(await ask(handler, "/trainings/seu", as("acme", put(version)))).toMatchObject([200, { reason: "newer" }]);
      embeddings.before = () => undefined;
    });

    it("are only read with a filter that does not say what to store", async () => {
      await test().index.upsertTraining({ id: "a", content: "a", metadata: { ano: 2026 } });
      const handler = open({ options: () => ({ filter: { ano: { gte: 2025 } } }) });
      expect((await ask(handler, "/trainings/a"))[0]).toBe(200);
      const refused = [403, { error: "Only reads are allowed here" }];
      expect(await ask(handler, "/trainings/a", put({ content: "b", metadata: { ano: 2026 } }))).toEqual(refused);
      expect(await ask(handler, "/trainings/a", { method: "DELETE" })).toEqual(refused);
    });
  });
});

describeOnServerOrEmbedded("trainings over HTTP with integer ids of a host's table", (database: TestDatabase) => {
  it("take digits as ids, and answer 409 while the host's row is missing", async () => {
    const table = uniqueName("host");
    await database.owner.query(`CREATE TABLE ${table} (id integer PRIMARY KEY)`);
    await database.owner.query(`INSERT INTO ${table} VALUES (7), (10)`);
    const { index } = await openTestIndex(database, {}, { trainings: { table } });
    const handler = trainingsHandler(index, everyone);
    for (const id of ["7", "10"]) {
      expect(await ask(handler, `/trainings/${id}`, put({ content: id }))).toMatchObject([200, { id }]);
    }
    expect(await ask(handler, "/trainings/7")).toMatchObject([200, { id: 7 }]);
    expect(await ask(handler, "/trainings?limit=1")).toMatchObject([200, { trainings: [{ id: 7 }], next: "7" }]);
    expect(await ask(handler, "/trainings?limit=1&after=7")).toMatchObject([
      200,
      { trainings: [{ id: 10 }], next: null },
    ]);
    expect((await ask(handler, "/trainings/8", put({ content: "a" })))[0]).toBe(409);
    for (const path of ["/trainings/frete", "/trainings/007", "/trainings/1e3", "/trainings?after=x"]) {
      expect((await ask(handler, path))[0], path).toBe(400);
    }
    await database.owner.query(`DROP TABLE ${table} CASCADE`);
  });
});
