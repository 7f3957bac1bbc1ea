import { createServer, type Server } from "node:http";
import { createAdaptorServer } from "@hono/node-server";
import { expressApp } from "./express.js";
import { fastifyApp } from "./fastify.js";
import type { OraculoHandlers } from "./handlers.js";
import { honoApp } from "./hono.js";

/** A Node server with the handlers, for each framework. */
export const SERVERS: Readonly<Record<string, (handlers: OraculoHandlers) => Promise<Server>>> = {
  hono: (handlers) => Promise.resolve(createAdaptorServer(honoApp(handlers)) as Server),
  express: (handlers) => Promise.resolve(createServer(expressApp(handlers))),
  fastify: async (handlers) => {
    const app = fastifyApp(handlers);
    await app.ready();
    return app.server;
  },
};
