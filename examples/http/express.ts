import { getRequestListener } from "@hono/node-server";
import express, { type Express, type RequestHandler } from "express";
import { PATHS, type Handler, type OraculoHandlers } from "./handlers.js";

/**
 * An Express app with the handlers. Mount them before `express.json()`, or on paths without a body parser: they read the body
 * themselves, up to their size limit.
 */
export function expressApp({ similarity, trainings, health }: OraculoHandlers): Express {
  const app = express();
  app.disable("x-powered-by");
  app.all(PATHS.similarity, listenerOf(similarity));
  app.all(`${PATHS.trainings}{/*id}`, listenerOf(trainings));
  app.all(PATHS.health, listenerOf(health));
  return app;
}

/** By default the adapter replaces the process' global `Request` and `Response` with faster classes. */
function listenerOf(handler: Handler): RequestHandler {
  return getRequestListener(handler, { overrideGlobalObjects: false });
}
