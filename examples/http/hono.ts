import { Hono } from "hono";
import { PATHS, type OraculoHandlers } from "./handlers.js";

/** A Hono app with the handlers. Hono itself uses `Request` and `Response`. */
export function honoApp({ similarity, trainings, health }: OraculoHandlers): Hono {
  const app = new Hono();
  app.all(PATHS.similarity, ({ req }) => similarity(req.raw));
  app.all(`${PATHS.trainings}/*`, ({ req }) => trainings(req.raw)); // the path itself, too
  app.all(PATHS.health, ({ req }) => health(req.raw));
  return app;
}
