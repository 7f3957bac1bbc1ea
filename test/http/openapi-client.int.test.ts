/** A client that a real generator makes of `docs/openapi.yaml`: its types are right, and it can call the handlers. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { bearerToken, healthHandler, similarityHandler, trainingsHandler } from "langchain-training-index/http";
import openapiTS, { astToString } from "openapi-typescript";
import ts from "typescript";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnServerOrEmbedded } from "../support/databases.js";
import { sharedIndex } from "../support/index.js";

/** What a host would write. Each `@ts-expect-error` is an error if the compiler does not complain. */
const CLIENT = `
import createClient from "openapi-fetch";
import type { components, paths } from "./oraculo.js";

type Training = components["schemas"]["StoredTraining"];

export async function run(fetch: (request: Request) => Promise<Response>) {
  const oraculo = createClient<paths>({ baseUrl: "http://oraculo", fetch });
  oraculo.use({
    onRequest: ({ request }) => {
      request.headers.set("authorization", "Bearer segredo");
    },
  });
  const path = { id: "loja/7 ação?" };
  const body = { content: "O frete custa doze reais.", metadata: { grupo: "loja" }, revision: 2 };
  const stored = await oraculo.PUT("/trainings/{id}", { params: { path }, body });
  const late = await oraculo.PUT("/trainings/{id}", { params: { path }, body: { ...body, revision: "1" } });
  await oraculo.PUT("/trainings/{id}", { params: { path: { id: "m" } }, body: { documents: [{ pageContent: "Um." }], split: false } });
  const listed: Training[] = [];
  for (let after: string | null | undefined; after !== null; ) {
    const { data } = await oraculo.GET("/trainings", { params: { query: { limit: 1, ...(after === undefined ? {} : { after }) } } });
    if (!data) throw new Error("no page");
    listed.push(...data.trainings);
    after = data.next;
  }
  const { data: found } = await oraculo.POST("/oraculo/similarity", { body: { query: "frete", k: 1, mode: "text" } });
  const [hit] = found?.results ?? [];
  const content: string | undefined = hit && "content" in hit ? hit.content : undefined;
  const { data: removed } = await oraculo.DELETE("/trainings/{id}", { params: { path, query: { revision: "3" } } });
  const { error, response } = await oraculo.GET("/trainings/{id}", { params: { path } });
  const { data: health } = await oraculo.GET("/health");
  return {
    stored: stored.data?.status, late: late.data?.reason, listed: listed.map(({ id, chunks }) => [id, chunks]), content,
    removed: removed?.status, missing: [response.status, error?.error], health: health?.status,
  };
}

export async function wrong() {
  const oraculo = createClient<paths>({ baseUrl: "http://oraculo" });
  // @ts-expect-error: the id is missing
  await oraculo.DELETE("/trainings/{id}", { params: { path: {} } });
  // @ts-expect-error: a training has content or documents
  await oraculo.PUT("/trainings/{id}", { params: { path: { id: "a" } }, body: { metadata: {} } });
  // @ts-expect-error: no such mode
  await oraculo.POST("/oraculo/similarity", { body: { query: "frete", mode: "bm25" } });
  // @ts-expect-error: the question is missing
  await oraculo.POST("/oraculo/similarity", { body: { k: 3 } });
  // @ts-expect-error: no such path
  await oraculo.GET("/treinamentos");
}
`;

/** Below `node_modules`, so that the client finds the packages that it imports. */
const CACHE = fileURLToPath(new URL("../../node_modules/.cache/", import.meta.url));
const DESCRIPTION = new URL("../../docs/openapi.yaml", import.meta.url);
let folder = "";

beforeAll(async () => {
  await mkdir(CACHE, { recursive: true });
  folder = await mkdtemp(join(CACHE, "openapi-client-"));
  await writeFile(join(folder, "oraculo.ts"), astToString(await openapiTS(DESCRIPTION)));
  await writeFile(join(folder, "client.ts"), CLIENT);
});

afterAll(() => rm(folder, { recursive: true, force: true }));

it("is typed, with nothing required that the handlers do not require", () => {
  const program = ts.createProgram([join(folder, "client.ts")], {
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.Preserve,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    types: ["node"],
  });
  const errors = ts.getPreEmitDiagnostics(program).map(({ messageText, file, start = 0 }) => {
    const line = (file?.getLineAndCharacterOfPosition(start).line ?? -1) + 1;
    return `${line}: ${ts.flattenDiagnosticMessageText(messageText, "\n")}`;
  });
  expect(errors).toEqual([]);
});

describeOnServerOrEmbedded("a client made of docs/openapi.yaml", (database) => {
  const test = sharedIndex(database, { textSearch: "portuguese" });

  it("stores, lists, finds and deletes trainings", async () => {
    const { outputText } = ts.transpileModule(await readFile(join(folder, "client.ts"), "utf8"), {
      compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ES2022 },
    });
    const file = join(folder, "client.mjs");
    await writeFile(file, outputText);
    const { run } = (await import(pathToFileURL(file).href)) as {
      run: (fetch: (request: Request) => Promise<Response>) => Promise<unknown>;
    };
    const { index } = test();
    const authorize = bearerToken("segredo");
    const handlers = {
      oraculo: similarityHandler(index, { modes: ["vector", "text"], authorize }),
      trainings: trainingsHandler(index, { authorize }),
      health: healthHandler(index),
    };
    const outcome = await run((request) => {
      const [, name = ""] = new URL(request.url).pathname.split("/");
      return handlers[name as keyof typeof handlers](request);
    });
    expect(outcome).toEqual({
      stored: "indexed",
      late: "newer",
      listed: [
        ["loja/7 ação?", 1],
        ["m", 1],
      ],
      content: "O frete custa doze reais.",
      removed: "deleted",
      missing: [404, "There is no such training"],
      health: expect.stringMatching(/^(?:ok|degraded)$/) as unknown, // degraded by an older pgvector
    });
  });
});
