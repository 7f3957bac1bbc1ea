import { getRequestListener } from "@hono/node-server";
import express, { type Express } from "express";

/**
 * An Express app with the handler at a path. Mount it before `express.json()`, or on a path without a body parser: the
 * handler reads the body itself, up to its size limit.
 */
export function expressApp(path: string, handler: (request: Request) => Promise<Response>): Express {
  const app = express();
  app.disable("x-powered-by");
  // By default the adapter replaces the process' global `Request` and `Response` with faster classes.
  const listener = getRequestListener(handler, { overrideGlobalObjects: false });
  app.all(path, (request, response) => void listener(request, response));
  return app;
}
