import { Hono } from "hono";

/** A Hono app with the handler at a path. Hono itself uses `Request` and `Response`. */
export function honoApp(path: string, handler: (request: Request) => Promise<Response>): Hono {
  const app = new Hono();
  app.all(path, (context) => handler(context.req.raw));
  return app;
}
