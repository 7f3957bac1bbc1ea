import { getRequestListener } from "@hono/node-server";
import express, { type Express } from "express";

/**
 * An Express app with the handler at a path. Mount it before `express.json()`, or on a path that has no body parser: the
 * handler reads the body itself, and no more of it than it takes.
 */
export function expressApp(path: string, handler: (request: Request) => Promise<Response>): Express {
  const app = express();
  app.disable("x-powered-by");
  // By default the adapter puts quicker classes in the place of the process' own `Request` and `Response`.
  const listener = getRequestListener(handler, { overrideGlobalObjects: false });
  app.all(path, (request, response) => void listener(request, response));
  return app;
}
