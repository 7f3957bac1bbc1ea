import { afterAll, beforeAll, beforeEach } from "vitest";

/** A server that a test starts, or that the environment names. */
interface StartedServer {
  stop: () => Promise<unknown>;
}

/** What went wrong, in one line: engines answer in many. */
export function oneLine(error: unknown): string {
  const { message, errors } = error as { message?: string; errors?: unknown[] };
  // Of several addresses of one host none answered.
  if (!message && errors?.length) return oneLine(errors[0]);
  const text = (message ?? String(error)).replace(/\s+/g, " ").trim();
  return text.length > 200 ? `${text.slice(0, 200)}...` : text;
}

/**
 * A server for the tests of a suite, in a container. Where none can be started, the suite's tests are left out, which is
 * said with the reason; with `CI=true`, and for a server that the environment names, that is a failure.
 *
 * @returns the server; it is there in hooks and tests only
 */
export function useContainer<Server extends StartedServer>(
  name: string,
  start: () => Promise<Server>,
  isAskedFor = false,
): () => Server {
  let server: Server | undefined;
  let missing: string | undefined;
  beforeAll(async () => {
    try {
      server = await start();
    } catch (error) {
      if (isAskedFor || process.env["CI"] === "true") {
        throw new Error(`there is no ${name} for these tests: ${oneLine(error)}`, { cause: error });
      }
      missing = oneLine(error);
      console.log(`${name}: NONE (${missing}): the tests of this suite were left out`);
    }
  }, 120_000);
  beforeEach(({ skip }) => {
    skip(missing !== undefined, `no ${name}`);
  });
  afterAll(() => server?.stop());
  return () => {
    if (!server) throw new Error(`${name} is there in hooks and tests only`);
    return server;
  };
}
