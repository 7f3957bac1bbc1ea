import { readFile } from "node:fs/promises";
import { Hono } from "hono";
import { InvalidArgumentError, type TrainingIndex } from "langchain-training-index";
import { similarityHandler } from "langchain-training-index/http";
import type pg from "pg";
import { deleteTraining, listTrainings, saveTraining, type TrainingRow } from "./trainings.js";

const FILES = {
  "/": ["page.html", "text/html; charset=utf-8"],
  "/page.css": ["page.css", "text/css; charset=utf-8"],
  "/page.js": ["page.js", "text/javascript; charset=utf-8"],
  "/texts.js": ["texts.js", "text/javascript; charset=utf-8"],
} as const;

/** The page, the search over HTTP, and the trainings. It has no authentication: for your own machine only. */
export function playgroundApp(pool: pg.Pool, index: TrainingIndex): Hono {
  const app = new Hono();
  for (const [path, [file, type]] of Object.entries(FILES)) {
    app.get(path, async (context) =>
      context.body(await readFile(new URL(file, import.meta.url), "utf8"), 200, { "Content-Type": type }),
    );
  }
  const handler = similarityHandler(index, { modes: ["vector", "text", "hybrid"], search: { matches: true } });
  app.all("/oraculo/similarity", (context) => handler(context.req.raw));
  app.get("/treinamentos", async (context) => context.json(await listTrainings(pool)));
  app.put("/treinamentos/:id", async (context) => {
    const row = toRow(context.req.param("id"), await context.req.json().catch(() => undefined));
    if (!row) return context.json({ error: "tag, grupo and conteudo must be strings, and finalizado a boolean" }, 400);
    return context.json(await saveTraining(pool, index, row));
  });
  app.delete("/treinamentos/:id", async (context) =>
    context.json(await deleteTraining(pool, index, context.req.param("id"))),
  );
  app.onError((error, context) =>
    InvalidArgumentError.is(error)
      ? context.json({ error: error.message }, 400)
      : context.json({ error: "The request failed" }, 500),
  );
  return app;
}

function toRow(id: string, body: unknown): TrainingRow | undefined {
  const { tag, grupo, conteudo, finalizado } = (body ?? {}) as Record<string, unknown>;
  const isText = (value: unknown): value is string => typeof value === "string";
  if (!isText(tag) || !isText(grupo) || !isText(conteudo) || typeof finalizado !== "boolean") return undefined;
  return { id, tag, grupo, conteudo, finalizado };
}
