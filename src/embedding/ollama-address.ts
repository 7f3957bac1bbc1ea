import { InvalidArgumentError } from "../errors.js";

/** The port that Ollama's client uses for an address with neither protocol nor port. */
const DEFAULT_PORT = "11434";

/**
 * Completes an address the way Ollama's client does, for use in error messages.
 *
 * @returns protocol, host and port only: a user name, a password or a path may hold a secret
 * @throws {@link InvalidArgumentError} for a value that is not an http or https address
 */
export function serverAddress(baseUrl: unknown): string {
  if (typeof baseUrl !== "string") throw notAnAddress();
  const host = baseUrl.startsWith(":") ? `localhost${baseUrl}` : baseUrl || "localhost";
  const hasProtocol = host.includes("://");
  const address = hasProtocol ? host : `http://${host}`;
  if (!URL.canParse(address)) throw notAnAddress();
  const { protocol, hostname, port } = new URL(address);
  if (!/^https?:$/.test(protocol)) throw notAnAddress();
  const shownPort = port || (hasProtocol ? "" : DEFAULT_PORT);
  return `${protocol}//${hostname}${shownPort && `:${shownPort}`}`;
}

function notAnAddress(): InvalidArgumentError {
  return new InvalidArgumentError("baseUrl", "must be an address that starts with http:// or https://, as a string");
}
