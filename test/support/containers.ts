import { afterAll, beforeAll, beforeEach } from "vitest";

/** A server that a test starts, or one named by the environment. */
interface StartedServer {
  stop: () => Promise<unknown>;
}

/** The error message in one line; Docker's has several. */
export function oneLine(error: unknown): string {
  const { message, errors } = error as { message?: string; errors?: unknown[] };
  // An AggregateError: none of several addresses of a host answered.
  if (!message && errors?.length) return oneLine(errors[0]);
  const text = (message ?? String(error)).replace(/\s+/g, " ").trim();
  return text.length > 200 ? `${text.slice(0, 200)}...` : text;
}

/**
 * A server for the tests of a suite, in a container. If none can be started, the suite's tests are skipped and the reason is
 * printed; with `CI=true`, and for a server named by the environment, they fail.
 *
 * @returns the server; available only in hooks and tests
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
