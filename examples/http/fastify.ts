import { getRequestListener } from "@hono/node-server";
import fastify, { type FastifyInstance, type RouteShorthandOptions } from "fastify";
import { PATHS, type Handler, type OraculoHandlers } from "./handlers.js";

/** A Fastify app with the handlers. */
export function fastifyApp({ similarity, trainings, health }: OraculoHandlers): FastifyInstance {
  const app = fastify();
  app.all(PATHS.similarity, takenBy(similarity), unreached);
  app.all(PATHS.trainings, takenBy(trainings), unreached);
  app.all(`${PATHS.trainings}/*`, takenBy(trainings), unreached);
  app.all(PATHS.health, takenBy(health), unreached);
  return app;
}

/** Takes the request from Fastify before it parses the body, which the handler reads itself, up to its size limit. */
function takenBy(handler: Handler): RouteShorthandOptions {
  const listener = getRequestListener(handler, { overrideGlobalObjects: false });
  return {
    onRequest: ({ raw }, reply) => void listener(raw, reply.hijack().raw),
  };
}

/** Fastify wants a handler for each route. */
function unreached(): void {
  throw new Error("onRequest answers");
}
